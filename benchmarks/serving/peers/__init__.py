"""The servers that ours is measured against: each module runs in an environment of its own, as a script."""

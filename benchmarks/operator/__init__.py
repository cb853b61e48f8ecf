"""How long a user waits: from `kubectl apply` to the first byte served, and from a split to its effect."""

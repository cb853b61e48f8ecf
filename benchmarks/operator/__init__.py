"""How long a user waits for the first byte and for a split to take effect; what the operator needs for a fleet.

`python -m benchmarks.operator`: one model on a real cluster. `python -m benchmarks.operator.fleet`: thousands of
versions at an API server of its own, without a node.
"""

"""Canaries that break or fail, on the real cluster."""

import benchmarks.cluster  # noqa: F401 – it says where the harness is imported from

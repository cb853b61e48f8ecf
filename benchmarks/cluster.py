"""The real cluster for a benchmark: the one that runs, else one of its own that ends with it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cluster"))  # where the harness lives

from harness import Cluster
from harness.layout import here
from harness.lifecycle import down, is_healthy, up

__all__ = ["Cluster", "cluster_for"]


@contextlib.contextmanager
def cluster_for(purpose: str) -> Iterator[Cluster]:
    """A healthy cluster; one that was started here is stopped again. `purpose` is told while it starts."""
    layout = here()
    running = is_healthy(layout)
    if not running:
        print(f"starting a cluster for {purpose}", file=sys.stderr, flush=True)
        up(layout)
    try:
        yield Cluster(layout)
    finally:
        if not running:
            down(layout)

"""How many threads the numeric libraries may use, decided before any of them is imported.

n = max(1, floor(min(cgroup quota, affinity))). Libraries read these variables once, at import, and by
themselves count the machine's cores rather than the container's share. What the user set explicitly is left
alone.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

POOLS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def plan(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Threads per pool for this process."""
    quota = quota_cores(cgroup)
    affinity = len(os.sched_getaffinity(0))
    return max(1, int(min(affinity, quota))) if quota is not None else affinity


def quota_cores(cgroup: Path) -> float | None:
    """Cores granted by cgroup v2 (`cpu.max`) or v1 (`cpu.cfs_*`); None where there is no limit."""
    v2 = _words(cgroup / "cpu.max")
    if v2:
        return None if v2[0] == "max" else int(v2[0]) / int(v2[1])
    quota = _words(cgroup / "cpu" / "cpu.cfs_quota_us") or _words(cgroup / "cpu.cfs_quota_us")
    period = _words(cgroup / "cpu" / "cpu.cfs_period_us") or _words(cgroup / "cpu.cfs_period_us")
    if not quota or not period or int(quota[0]) <= 0:
        return None
    return int(quota[0]) / int(period[0])


def _words(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").split()
    except OSError:
        return []


def apply(threads: int, environment: MutableMapping[str, str] | None = None) -> None:
    """Tells the libraries; torch gets its own call once it is loaded."""
    environment = os.environ if environment is None else environment
    for pool in POOLS:
        environment.setdefault(pool, str(threads))
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")

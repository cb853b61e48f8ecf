"""Files that change: read when they begin to look different, and never half-written ones twice as wrong.

Looks at names, sizes and times twice a second, which works on every file system; a change is taken when it has
stood still for one look, so that an editor's half-written file is not an error.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from turnout.api.loading import SUFFIXES, Loaded, load

PERIOD = 0.5

Look = frozenset[tuple[str, int, int]]


async def readings(paths: Sequence[Path], period: float = PERIOD) -> AsyncIterator[Loaded]:
    """What the files say: now, and again after each change."""
    taken: Look | None = None
    before = look(paths)
    while True:
        if taken is None or before != taken:
            taken = before
            yield load(paths)
        await asyncio.sleep(period)
        now = look(paths)
        before = now if now == before else await _settled(paths, now, period)


async def _settled(paths: Sequence[Path], now: Look, period: float) -> Look:
    while True:
        await asyncio.sleep(min(period, 0.1))
        later = look(paths)
        if later == now:
            return now
        now = later


def look(paths: Sequence[Path]) -> Look:
    """What can be told from outside: (path, size, time of change) of every file that would be read."""
    return frozenset(fact for path in paths for file in _candidates(path) for fact in _facts(file))


def _candidates(path: Path) -> Sequence[Path]:
    try:
        return [file for file in path.iterdir() if file.suffix in SUFFIXES] if path.is_dir() else [path]
    except OSError:
        return ()


def _facts(file: Path) -> Sequence[tuple[str, int, int]]:
    try:
        stat = file.stat()
    except OSError:
        return ()
    return ((str(file), stat.st_size, stat.st_mtime_ns),)

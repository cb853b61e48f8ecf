"""Ends of processes, each counted once: a request that ended badly, on its side, and told by no counter.

The platform tells the last end of each pod in every poll anew; so those of this attempt are remembered. There is room
for so many of both sides together. Beyond, neither side's count: to see one side's alone would be no comparison.
"""

from collections.abc import Iterable, Sequence
from zlib import crc32

from turnout.judge.harm import Sides
from turnout.judge.increments import members
from turnout.judge.memory import milliseconds
from turnout.judge.protocol import End, Poll

MOST = 20
SHORT = 0xFFFFFF
"""Names of 24 bits: among so few, two alike are not to be expected."""


def fresh(poll: Poll, known: Sequence[int], since: int) -> tuple[list[int], list[int]]:
    """The canary's and stable's new ends, by name. One from before the attempt (`since`, milliseconds) is nobody's."""
    if not poll.canary_ends and not poll.stable_ends:
        return [], []
    canary, stable = (
        [name for name in _names(side, ends, since) if name not in known]
        for side, ends in (("c", poll.canary_ends), ("s", poll.stable_ends))
    )
    return (canary, stable) if len(known) + len(canary) + len(stable) <= MOST else ([], [])


def by_pods(poll: Poll, ends: tuple[Sequence[int], Sequence[int]]) -> Sides:
    """Per side how many pods there are, and how many ended; a side that was not read has no ends either."""
    canary, stable = members(poll.canary), members(poll.stable)
    return (canary, min(canary, len(ends[0]))), (stable, min(stable, len(ends[1])))


def _names(side: str, ends: Iterable[End], since: int) -> list[int]:
    began = ((end.pod, milliseconds(end.successor_began)) for end in ends)
    return [crc32(f"{side}{pod}@{moment}".encode()) & SHORT for pod, moment in began if moment >= since]

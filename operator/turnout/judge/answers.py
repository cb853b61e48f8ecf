"""Counts of answers by bin, side by side: which of them can be compared, and what came in an interval.

Bins travel with the artifact: counts of two versions mean the same only where their bins do. What cannot be compared is
left alone, and said.
"""

from collections.abc import Sequence
from operator import sub

from turnout.judge.drift import MOST_BINS, Bins
from turnout.judge.protocol import PodCounters, Poll

MOST_ROWS = 10**12
"""Nobody publishes more; what claims to is no count."""


def counted(output: str, pods: Sequence[PodCounters]) -> Bins:
    """One side's answers by bin; empty where a pod that has answered has none, or other bins than the rest."""
    pods = [pod for pod in pods if pod.has_answered]
    found = [pod.outputs.get(_named(output, pod), ()) for pod in pods]
    if not found or any(len(bins) != len(found[0]) for bins in found) or len(found[0]) > MOST_BINS:
        return ()
    return tuple(map(sum, zip(*found, strict=True))) if len(_bins(output, pods)) == 1 else ()


def published(output: str, pods: Sequence[PodCounters]) -> Bins:
    """The rows that a side was published with, by the same bins; empty where it has none."""
    found = {pod.reference.get(_named(output, pod), ()) for pod in pods if pod.has_answered}
    rows = found.pop() if len(found) == 1 else ()
    whole = all(type(count) is int and 0 <= count <= MOST_ROWS for count in rows)
    return rows if whole and any(rows) else ()


def rise(now: Bins, before: Bins) -> Bins:
    """What came; empty after a reset."""
    if len(now) != len(before) or any(new < old for new, old in zip(now, before, strict=True)):
        return ()
    return tuple(map(sub, now, before))


def have_same_bins(output: str, poll: Poll) -> bool:
    """Both sides count over bins that mean the same; each version's artifact has its own."""
    return len(_bins(output, (*poll.canary, *poll.stable))) == 1


def _bins(output: str, pods: Sequence[PodCounters]) -> set[str]:
    return {pod.bins.get(_named(output, pod), "") for pod in pods if pod.has_answered}


def _named(output: str, pod: PodCounters) -> str:
    return output or min(pod.outputs, default="")

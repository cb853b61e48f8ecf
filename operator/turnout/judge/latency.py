"""Where the latency edges lie: at stable's own quantiles, as they were before the interval that is judged.

An edge that is known before its interval is predictable, so evidence stays valid while edges move. Only the bounds of
the predictors' buckets can be edges. One that nearly everybody exceeds is blind: the slower cannot exceed it more. So
an edge is never below the bucket of stable's quantile, and what is slower than stable by the ratio of two bounds (1.25
in the predictors) must exceed it more often than stable, wherever in its buckets stable lies.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from itertools import accumulate
from operator import add, lt, sub
from zlib import crc32

from turnout.judge.protocol import PodCounters
from turnout.judge.terms import Terms

FADING = 4
"""Each interval a quarter of the past fades, so that edges follow the day and do not jump with each poll."""
WINDOW = 4000
"""Stable's whole past counts as at most so many requests when edges are first set."""
NEAR = 1.25
"""An edge is the lowest that at most so many times the requests exceed that its quantile says."""

Histogram = tuple[int, ...]


def histogram_of(pods: Sequence[PodCounters]) -> Histogram:
    """All pods' buckets; empty if any pod has none."""
    latencies = [pod.latency for pod in pods]
    if len(latencies) == 1:
        return latencies[0]
    return tuple(reduce(_plus, latencies)) if all(latencies) else ()


def _plus(one: Iterable[int], other: Iterable[int]) -> Iterable[int]:
    return map(add, one, other)


@lru_cache(maxsize=64)
def name_of(edges: tuple[float, ...]) -> int:
    """A short name of the bounds: counts along others mean something else, be they as many. 0 where there are none."""
    return crc32(repr(edges).encode()) if edges else 0


def first_window(total: Histogram) -> Histogram:
    scale = max(1.0, sum(total) / WINDOW)
    return tuple(round(count / scale) for count in total)


def next_window(window: Histogram, before: Histogram, now: Histogram) -> Histogram:
    """The fading window with one interval more; unchanged where pods came, went or were reset."""
    if len(before) != len(now) or len(window) != len(now):
        return first_window(now)
    if any(map(lt, now, before)):
        return window
    # the last few of a bucket fade too where nothing comes any more
    return tuple(
        [
            old - (old // FADING or (old > 0 and not new)) + new
            for old, new in zip(window, map(sub, now, before), strict=True)
        ]
    )


def cuts(terms: Terms, window: Histogram, edges: Sequence[float]) -> tuple[int, ...]:
    """The indices of the edges: one per latency stream, and one for `latency.passBelow` if it is set.

    Without a window the last edge stands in: hardly anything is slower, so nothing is bet. Empty without buckets.
    """
    if not edges:
        return ()
    beyond = _beyond(window)
    found = [_exceeded_by(beyond, part) if window else len(edges) - 1 for part in terms.beyond]
    if terms.latency_limit is not None:
        found.append(min(bisect_left(edges, terms.latency_limit), len(edges) - 1))
    return tuple(found)


def exceeded_by(window: Histogram, part: float) -> int:
    """The lowest edge that about `part` of stable's requests exceed, or fewer; the last where there is none."""
    return _exceeded_by(_beyond(window), part)


def _beyond(window: Histogram) -> list[int]:
    """So many requests exceed the last edge, the one before, and so on; at the end all there are."""
    return [*accumulate(reversed(window))]


def _exceeded_by(beyond: Sequence[int], part: float) -> int:
    edges, total = len(beyond) - 1, beyond[-1]
    if not total:
        return edges - 1
    most = NEAR * part * total
    return edges - max(1, bisect_right(beyond, most, 0, edges))


def slower_than(window: Histogram, cut: int) -> float:
    """The part of stable's requests beyond an edge, before the interval; 1 where nothing is known."""
    total = sum(window)
    return sum(window[cut + 1 :]) / total if total else 1.0

"""Where the latency edges lie: at stable's own quantiles, as they were before the interval that is judged.

An edge that is known before its interval is predictable, so evidence stays valid while edges move. Only the bounds of
the predictors' buckets can be edges; the nearest is taken.
"""

from bisect import bisect_left
from collections.abc import Sequence
from operator import sub

from turnout.judge.protocol import PodCounters
from turnout.judge.terms import LATENCY, Terms

FADING = 4
"""Each interval a quarter of the past fades, so that edges follow the day and do not jump with each poll."""
WINDOW = 4000
"""Stable's whole past counts as at most so many requests when edges are first set."""

LEAST_PART = 4
"""An edge must be exceeded by at least a quarter of the requests that its quantile says."""

Histogram = tuple[int, ...]


def histogram_of(pods: Sequence[PodCounters]) -> Histogram:
    """All pods' buckets; empty if any pod has none."""
    return tuple(map(sum, zip(*(pod.latency for pod in pods), strict=True))) if all(p.latency for p in pods) else ()


def first_window(total: Histogram) -> Histogram:
    scale = max(1.0, sum(total) / WINDOW)
    return tuple(round(count / scale) for count in total)


def next_window(window: Histogram, before: Histogram, now: Histogram) -> Histogram:
    """The fading window with one interval more; unchanged where pods came, went or were reset."""
    if len(before) != len(now) or len(window) != len(now):
        return first_window(now)
    rise = tuple(map(sub, now, before))
    if min(rise) < 0:
        return window
    return tuple([kept - kept // FADING + new for kept, new in zip(window, rise, strict=True)])


def cuts(terms: Terms, window: Histogram, edges: Sequence[float]) -> tuple[int, ...]:
    """The indices of the edges: one per latency stream, one for the pass, one for `latency.passBelow` if it is set.

    Without a window the last edge stands in: hardly anything is slower, so nothing is bet. Empty without buckets.
    """
    if not edges:
        return ()
    parts = [stream.quantile for stream in terms.streams if stream.metric == LATENCY]
    if sum(window):
        found = [nearest(quantile(window, part, edges), edges) for part in parts]
        found.append(exceeded(window, found[terms.pass_edge], 1 - parts[terms.pass_edge]))
    else:
        found = [len(edges) - 1] * (len(parts) + 1)
    if terms.latency_limit is not None:
        found.append(min(bisect_left(edges, terms.latency_limit), len(edges) - 1))
    return tuple(found)


def exceeded(window: Histogram, cut: int, part: float) -> int:
    """The edge, or the next below that a fair part of stable's requests exceeds.

    An edge that nobody exceeds is good for finding harm, and shows no candidate to be good.
    """
    fair = part * sum(window) / LEAST_PART
    while cut and sum(window[cut + 1 :]) < fair:
        cut -= 1
    return cut


def is_beyond_ratios(window: Histogram, cut: int) -> bool:
    """Stable answers within the first bucket: no ratio to its slow requests means anything."""
    return bool(sum(window)) and not sum(window[cut + 1 :])


def quantile(window: Histogram, part: float, edges: Sequence[float]) -> float:
    """Seconds, interpolated in the bucket; beyond the last edge it is that edge."""
    rank, below = part * sum(window), 0
    for index, count in enumerate(window[:-1]):
        if count and below + count >= rank:
            low = edges[index - 1] if index else 0.0
            return low + (edges[index] - low) * (rank - below) / count
        below += count
    return edges[-1]


def nearest(seconds: float, edges: Sequence[float]) -> int:
    """By ratio, as the edges are spaced."""
    above = min(bisect_left(edges, seconds), len(edges) - 1)
    if above and seconds * seconds < edges[above] * edges[above - 1]:
        return above - 1
    return above

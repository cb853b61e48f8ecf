"""Pods of both sides compared at equal numbers of requests: the busier one's are drawn without replacement.

If bursts hit pods, a quiet candidate pod gets as many of them as a busy stable one, and every share of requests is
the wrong yardstick. Pods are matched, each pair cut down to as many requests; then sides of equal quality are
exchangeable, and whichever is ahead in bad events is a fair coin. The mean over all draws is computed, none is made.
Blind to no ratio.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import count
from math import exp, lgamma
from operator import itemgetter
from typing import NamedTuple

MOST_MEAN = 6.0
"""Up to this mean number of bad draws each number is told apart; beyond, the mean stands for all, on the safe side."""
LEAST_CHANCE = 1e-10
"""Numbers of bad draws that are less likely, beyond the others, are left out, which counts against the bet."""

Tally = tuple[int, int]


class Draws(NamedTuple):
    """The bad ones among the draws: the chance that it is `least`, and of each number that follows.

    Or their mean alone, and then `bend` is the variance that this leaves out.
    """

    least: float
    chances: Sequence[float]
    bend: float = 0.0

    def by_number(self) -> Iterator[tuple[float, float]]:
        return zip(count(self.least), self.chances, strict=False)


def superiority(
    tolerate: float, canary: Sequence[Tally], stable: Sequence[Tally], more: Sequence[tuple[Tally, Tally]] = ()
) -> float:
    """At least -1, of mean <= 0 while the candidate's pods are at most `tolerate` times as bad as stable's.

    Each tally is (requests, bad events). It is the candidate's part of the bad events at equal requests, less what it
    may expect, relative to that; 0 where there are none. `more`: pairs that are matched already.
    """
    pairs = [*zip(_busiest(canary), _busiest(stable), strict=False), *more]
    ours, theirs = _draws(pairs), _draws([(other, pod) for pod, other in pairs])
    expected, against = tolerate / (tolerate + 1), [*theirs.by_number()]
    total = sum(
        [
            chance * other_chance * (number / together / expected - 1)
            for number, chance in ours.by_number()
            for other, other_chance in against
            if (together := number + other)
        ]
    )
    missing = max(0.0, 1 - sum(ours.chances) * sum(theirs.chances))
    if ours.bend:  # concave in our own draws: take off twice the second-order term
        mean = sum([number * chance for number, chance in against])
        missing += ours.bend * 2 * mean / (ours.least + mean) ** 3 / expected
    return max(-1.0, total - missing)


def _busiest(pods: Sequence[Tally]) -> Sequence[Tally]:
    """Matched by rank in requests, which no version's quality decides."""
    return sorted(pods, key=itemgetter(0), reverse=True) if len(pods) > 1 else pods


def _draws(pairs: Sequence[tuple[Tally, Tally]]) -> Draws:
    """Of the first of each pair, as many as the second has; of all pairs together."""
    mean = variance = 0.0
    for (size, bad), (other, _) in pairs:
        draws, part = min(size, other), bad / size
        mean += draws * part
        if draws < size:
            variance += draws * part * (1 - part) * ((size - draws) / (size - 1))
    if mean > MOST_MEAN or not variance:
        return Draws(mean, (1.0,), variance)
    return reduce(_both, [_hypergeometric(pod, min(pod[0], other[0])) for pod, other in pairs])


def _hypergeometric(pod: Tally, draws: int) -> Draws:
    size, bad = pod
    good = size - bad
    spare, least, most = good - draws + 1, max(0, draws - good), min(bad, draws)
    chance = exp(_log_choose(bad, least) + _log_choose(good, draws - least) - _log_choose(size, draws))
    chances = [chance]
    for drawn in range(least, most):
        step = (bad - drawn) * (draws - drawn) / ((drawn + 1) * (spare + drawn))
        chance *= step
        if chance < LEAST_CHANCE and step < 1:
            break
        chances.append(chance)
    return Draws(least, chances)


def _both(one: Draws, other: Draws) -> Draws:
    """The sum of two."""
    few, many = sorted((one.chances, other.chances), key=len)
    summed = [0.0] * (len(few) + len(many) - 1)
    for start, chance in enumerate(few):
        for at, more in enumerate(many, start):
            summed[at] += chance * more
    while summed[-1] < LEAST_CHANCE:
        summed.pop()
    return Draws(one.least + other.least, summed)


def _log_choose(total: int, chosen: int) -> float:
    if not chosen:
        return 0.0
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)

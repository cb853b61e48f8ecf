"""Pods of both sides compared at equal numbers of requests: the busier one's are drawn without replacement.

If bursts hit pods, a quiet candidate pod gets as many of them as a busy stable one, and every share of requests is
the wrong yardstick. Pods are matched, each pair cut down to as many requests; then sides of equal quality are
exchangeable, and whichever is ahead in bad events is a fair coin. The mean over all draws is computed, none is made.
Blind to no ratio.
"""

from collections.abc import Sequence
from math import exp, lgamma, sqrt

MOST_MEAN = 6.0
"""Up to this mean number of bad draws each number is told apart; beyond, the mean stands for all, on the safe side."""
REACH = 5.0
"""Standard deviations around the mean that are told apart; what is left out counts against the bet."""

Tally = tuple[int, int]
Chances = tuple[int, list[float]]
"""The least number of bad draws, and the chance of it and of each that follows."""


def superiority(
    tolerate: float, canary: Sequence[Tally], stable: Sequence[Tally], more: Sequence[tuple[Tally, Tally]] = ()
) -> float:
    """At least -1, of mean <= 0 while the candidate's pods are at most `tolerate` times as bad as stable's.

    Each tally is (requests, bad events). It is the candidate's part of the bad events at equal requests, less what it
    may expect, relative to that; 0 where there are none. `more`: pairs that are matched already.
    """
    pairs = [*zip(_busiest(canary), _busiest(stable), strict=False), *more]
    cuts = [min(ours[0], theirs[0]) for ours, theirs in pairs]
    ours, bend = _draws([pair[0] for pair in pairs], cuts)
    theirs, _ = _draws([pair[1] for pair in pairs], cuts)
    expected = tolerate / (tolerate + 1)
    total = 0.0
    for number, chance in ours.items():
        for other, other_chance in theirs.items():
            if together := number + other:
                total += chance * other_chance * (number / together / expected - 1)
    missing = max(0.0, 1 - sum(ours.values()) * sum(theirs.values()))
    if bend:  # concave in our own draws: take off twice the second-order term
        mean, against = next(iter(ours)), _mean_of(theirs)
        missing += bend * 2 * against / (mean + against) ** 3 / expected
    return max(-1.0, total - missing)


def _busiest(pods: Sequence[Tally]) -> Sequence[Tally]:
    """Matched by rank in requests, which no version's quality decides."""
    return sorted(pods, key=lambda pod: -pod[0]) if len(pods) > 1 else pods


def _mean_of(chances: dict[float, float]) -> float:
    return sum(number * chance for number, chance in chances.items())


def _draws(pods: Sequence[Tally], cuts: Sequence[int]) -> tuple[dict[float, float], float]:
    """The chances of each total number of bad events in the draws; or the mean alone, and the variance left out."""
    moments = [_moments(size, bad, draws) for (size, bad), draws in zip(pods, cuts, strict=True)]
    mean, variance = sum([each[0] for each in moments]), sum([each[1] for each in moments])
    if mean > MOST_MEAN or not variance:
        return {mean: 1.0}, variance
    total: Chances = (0, [1.0])
    for (size, bad), draws, moment in zip(pods, cuts, moments, strict=True):
        total = _both(total, _hypergeometric(size, bad, draws, *moment))
    return {total[0] + index: chance for index, chance in enumerate(total[1])}, 0.0


def _moments(size: int, bad: int, draws: int) -> tuple[float, float]:
    """Mean and variance of the number of bad ones drawn."""
    part = bad / size
    left = (size - draws) / (size - 1) if size > 1 else 0.0
    return draws * part, draws * part * (1 - part) * left


def _hypergeometric(size: int, bad: int, draws: int, mean: float, variance: float) -> Chances:
    good, reach = size - bad, REACH * sqrt(variance)
    first = max(0, draws - good, int(mean - reach - 1))
    last = min(bad, draws, int(mean + reach + 6))
    chance = exp(_log_choose(bad, first) + _log_choose(good, draws - first) - _log_choose(size, draws))
    chances = []
    for drawn in range(first, last + 1):
        chances.append(chance)
        chance *= (bad - drawn) * (draws - drawn) / ((drawn + 1) * (good - draws + drawn + 1))
    return first, chances


def _both(one: Chances, other: Chances) -> Chances:
    """The chances of the sum of two."""
    first, ours, theirs = one[0] + other[0], one[1], other[1]
    if len(theirs) == 1:
        return first, [chance * theirs[0] for chance in ours]
    if len(ours) == 1:
        return first, [ours[0] * chance for chance in theirs]
    summed = [0.0] * (len(ours) + len(theirs) - 1)
    for index, chance in enumerate(ours):
        at = index
        for more in theirs:
            summed[at] += chance * more
            at += 1
    return first, summed


def _log_choose(total: int, chosen: int) -> float:
    if not chosen:
        return 0.0
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)

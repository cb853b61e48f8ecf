"""What can be found, and how soon: printed before a rollout starts, so that nobody waits for a proof that cannot come.

The real bets are laid on Poisson counts, and their mean growth says after how many polls the evidence suffices. A
mean: about half of all attempts take longer. Independent polls; kinder than life.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, exp, inf, log, sqrt
from statistics import NormalDist

from turnout.api.analysis import Assumption
from turnout.judge.harm import bettors, log_factors

FEW = 12.0
"""Up to this mean each count is looked at; beyond, so many points of the normal distribution."""
POINTS = 15
GREATEST_RATIO = 1000.0
PRECISION = 1.02


@dataclass(frozen=True, slots=True)
class Traffic:
    """`rps`: requests a second of the model. `weight`: the candidate's share, a fraction. `bad`: stable's bad part.

    `alpha`: the part of the budget that this metric has. `tolerate`: the ratio to stable that is no harm.
    """

    rps: float
    weight: float
    bad: float
    alpha: float
    interval: float = 15.0
    assume: Assumption = Assumption.CLUSTERED_ERRORS
    tolerate: float = 1.0


def seconds_to_detect(traffic: Traffic, ratio: float) -> float:
    """Until a candidate is found whose bad part is `ratio` times stable's; infinite where evidence does not grow."""
    growth = _growth(traffic, ratio)
    if growth <= 0:
        return inf
    needed = log(1 / traffic.alpha) + log(bettors(traffic.assume))
    return ceil(needed / growth) * traffic.interval


def least_ratio(traffic: Traffic, seconds: float) -> float:
    """The least ratio that is found within `seconds`; infinite where none is."""
    low, high = 1.0, min(GREATEST_RATIO, 1 / traffic.bad) if traffic.bad else GREATEST_RATIO
    if seconds_to_detect(traffic, high) > seconds:
        return inf
    while high / low > PRECISION:
        middle = sqrt(low * high)
        low, high = (low, middle) if seconds_to_detect(traffic, middle) <= seconds else (middle, high)
    return high


@lru_cache(maxsize=4096)
def _growth(traffic: Traffic, ratio: float) -> float:
    """The mean log factor a poll of the best of the bettors."""
    requests = traffic.rps * traffic.interval
    ours, theirs = requests * traffic.weight, requests * (1 - traffic.weight)
    if ours < 1:  # polls without a request carry no bet: one bet on as many polls as bring one
        longer = replace(traffic, interval=traffic.interval / ours) if ours else None
        return _growth(longer, ratio) * ours if longer else 0.0
    sides = (round(ours), max(1, round(theirs)))
    means = [0.0] * bettors(traffic.assume)
    for bad, chance in _counts(ours * min(1.0, traffic.bad * ratio)):
        for others, other_chance in _counts(theirs * traffic.bad):
            tallies = [(sides[0], min(sides[0], bad))], [(sides[1], min(sides[1], others))]
            for index, factor in enumerate(log_factors(traffic.assume, traffic.tolerate, *tallies)):
                means[index] += chance * other_chance * factor
    return max(means)


def _counts(mean: float) -> Iterator[tuple[int, float]]:
    """Poisson counts with their chances."""
    if mean > FEW:
        normal = NormalDist(mean, sqrt(mean))
        yield from ((max(0, round(normal.inv_cdf((point + 0.5) / POINTS))), 1 / POINTS) for point in range(POINTS))
        return
    chance, count, left = exp(-mean), 0, 1.0
    while left > 1e-4:
        yield count, chance
        left, count = left - chance, count + 1
        chance *= mean / count

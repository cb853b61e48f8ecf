"""Have the answers moved? Significance by a categorical e-process, size by a distance that is bounded from below.

A new version is meant to differ, so significance alone is no drift: the distance must exceed the tolerance with
confidence too. No PSI: on small windows it exceeds its usual bound without any shift.
"""

from collections.abc import Sequence
from math import log, pi, sqrt

PRIOR = 30.0
"""Pseudo-counts by which each side's past is drawn to the pool."""
MOST_BINS = 20

Bins = tuple[int, ...]


def log_factor(past_canary: Bins, past_stable: Bins, canary: Bins, stable: Bins) -> float:
    """One interval's log of evidence that both sides draw from different distributions; 0 without two sides.

    What is bet on comes from earlier intervals only. Valid while both sides draw independently from one distribution
    in each interval, which may wander (2106.02693).
    """
    served, control = sum(canary), sum(stable)
    if not served or not control:
        return 0.0
    ours, theirs = _beliefs(past_canary, past_stable)
    total = 0.0
    for bin_, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        mixed = (served * one + control * other) / (served + control)
        total += canary[bin_] * log(one / mixed) + stable[bin_] * log(other / mixed)
    return total


def _beliefs(canary: Bins, stable: Bins) -> tuple[list[float], list[float]]:
    bins, everything = len(canary), sum(canary) + sum(stable)
    pool = [(one + other + 1 / bins) / (everything + 1) for one, other in zip(canary, stable, strict=True)]
    return _shrunk(canary, pool), _shrunk(stable, pool)


def _shrunk(counts: Bins, pool: Sequence[float]) -> list[float]:
    total = sum(counts) + PRIOR
    return [(count + PRIOR * part) / total for count, part in zip(counts, pool, strict=True)]


def distance(canary: Bins, stable: Bins) -> float:
    """Kolmogorov-Smirnov: the greatest gap between the two cumulated distributions."""
    served, control = sum(canary), sum(stable)
    if not served or not control:
        return 0.0
    gap, ours, theirs = 0.0, 0, 0
    for one, other in zip(canary, stable, strict=True):
        ours, theirs = ours + one, theirs + other
        gap = max(gap, abs(ours / served - theirs / control))
    return gap


def distance_at_least(canary: Bins, stable: Bins, looks: int, alpha: float) -> float:
    """A lower bound of the true distance that holds at every look at once with probability 1 - alpha.

    Massart's constant 2 exp(-2 n e²) for each side (1990), spent as 6 / (pi² k²) over the looks k = 1, 2, ...; within
    a tenth of the curved boundary of 1906.09712 for up to some hundred looks, and with nothing to take on trust.
    """
    served, control = sum(canary), sum(stable)
    if not served or not control:
        return 0.0
    spent = alpha / 2 * 6 / (pi * max(1, looks)) ** 2
    doubt = sqrt(log(2 / spent) / 2)
    return max(0.0, distance(canary, stable) - doubt / sqrt(served) - doubt / sqrt(control))

"""Have the answers moved? Significance by a categorical e-process, size by a distance that is bounded from below.

A new version is meant to differ, so significance alone is no drift: the distance must exceed the tolerance with
confidence too. No PSI: on small windows it exceeds its usual bound without any shift.
"""

from collections.abc import Sequence
from math import exp, log, sqrt

PRIOR = 30.0
"""Pseudo-counts by which each side's past is drawn to the pool."""
MOST_BINS = 20
SOON = 100.0
"""So many answers after which, about, the bound on a distance is as tight as it can be."""

Bins = tuple[int, ...]


def part_of(epoch: int) -> float:
    """Of wealth, or of a budget: what is staked in the nth epoch, which a change of the weight begins; all sum to 1."""
    return 1 / (epoch * (epoch + 1))


def wealth(before: float, now: float, epoch: int) -> float:
    """The log of the evidence of all epochs; each bets with a part of its own, so that none can ruin the next."""
    return _log_sum(banked(before, now, epoch), -log(epoch + 1))  # what is kept for those to come


def banked(before: float, now: float, epoch: int) -> float:
    """The log of what the epochs have made of their parts so far."""
    return _log_sum(before, now + log(part_of(epoch)))


def _log_sum(one: float, other: float) -> float:
    most = max(one, other)
    return most + log(exp(one - most) + exp(other - most))


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


def distance_at_least(canary: Bins, stable: Bins, alpha: float) -> float:
    """A lower bound of the true distance of two sides, that holds at all times at once with probability 1 - alpha."""
    served, control = sum(canary), sum(stable)
    if not served or not control:
        return 0.0
    unsure = doubt(served, len(canary), alpha / 2) + doubt(control, len(stable), alpha / 2)
    return max(0.0, distance(canary, stable) - unsure)


def distance_at_most(canary: Bins, stable: Bins, alpha: float) -> float:
    """The same from above; 1, the greatest there is, while there is nothing to compare."""
    served, control = sum(canary), sum(stable)
    if not served or not control:
        return 1.0
    unsure = doubt(served, len(canary), alpha / 2) + doubt(control, len(stable), alpha / 2)
    return min(1.0, distance(canary, stable) + unsure)


def moved_at_least(answers: Bins, published: Bins, alpha: float) -> float:
    """The same of one side and the rows of publishing, which are looked at once: Massart's 2 exp(-2 n e²) (1990)."""
    served, rows = sum(answers), sum(published)
    if not served or not rows:
        return 0.0
    unsure = doubt(served, len(answers), alpha / 2) + sqrt(log(4 / alpha) / (2 * rows))
    return max(0.0, distance(answers, published) - unsure)


def doubt(answers: int, bins: int, alpha: float) -> float:
    """How far the cumulated shares of so many answers may be from the true ones: at all times, at all bounds of bins.

    Proof. At one bound let S be the sum over n answers of (1 if the answer is at most the bound, else 0) less its mean
    given the past. By Hoeffding's lemma exp(l S - l² n / 8) is a supermartingale for every l; so is its mean over l
    drawn from a normal distribution of variance 4 / SOON, which is sqrt(SOON / (n + SOON)) exp(2 S² / (n + SOON)). It
    starts at 1, so it ever reaches 1/a with probability at most a (Ville). Solved for |S| / n, with a = alpha /
    (bins - 1) at each bound; beyond the last lie all answers. Nothing is asked of when one looks, and the shares may
    wander. With bins as few as here it is tighter than Massart's constant spent over looks, and takes none on trust.
    """
    likely = log(max(1, bins - 1) / alpha) + log(1 + answers / SOON) / 2
    return sqrt((answers + SOON) / 2 * likely) / answers

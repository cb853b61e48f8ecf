"""Two pods compared at equal numbers of requests: the busier one's requests are drawn without replacement.

If bursts hit pods, a quiet candidate pod gets as many of them as a busy stable one, and every share of requests is
the wrong yardstick. Cut down to as many requests, pods of equal quality are exchangeable: whichever is ahead in bad
events is a fair coin. The mean over all draws is computed, none is made. Blind to no ratio.
"""

from collections.abc import Callable
from math import exp, lgamma, sqrt

MOST_MEAN = 25.0
"""Up to this mean number of bad draws each number is told apart; beyond, the mean stands for all, on the safe side."""
REACH = 6.0
"""Standard deviations around the mean that are summed; what is left out counts against the bet."""

Lead = Callable[[float], float]


def superiority(tolerate: float, canary: tuple[int, int], stable: tuple[int, int]) -> float:
    """At least -1, of mean <= 0 while the candidate's pod is at most `tolerate` times as bad as stable's.

    Each tally is (requests, bad events). It is the candidate's part of the bad events at equal requests, less what it
    may expect, relative to that; 0 where there are none.
    """
    (served, failed), (control, control_failed) = canary, stable
    expected = tolerate / (tolerate + 1)

    def lead(ours: float, theirs: float) -> float:
        return ours / (ours + theirs) / expected - 1 if ours + theirs else 0.0

    if served <= control:
        return _mean(lambda drawn: lead(failed, drawn), control, control_failed, served)
    mean, spread = _moments(served, failed, control)
    if mean <= MOST_MEAN:
        return _mean(lambda drawn: lead(drawn, control_failed), served, failed, control)
    # concave in our own draws: take off twice the second-order term
    bend = 2 * control_failed / (mean + control_failed) ** 3 / expected
    return max(-1.0, lead(mean, control_failed) - bend * spread**2)


def _mean(lead: Lead, size: int, bad: int, draws: int) -> float:
    """The mean of `lead` over the number of bad ones in `draws` of `size` requests (hypergeometric)."""
    mean, spread = _moments(size, bad, draws)
    if spread == 0 or mean > MOST_MEAN:
        return lead(mean)  # convex in the other side's draws (Jensen)
    good = size - bad
    first = max(0, draws - good, int(mean - REACH * spread - 1))
    last = min(bad, draws, int(mean + REACH * spread + 8))
    weight = exp(_log_choose(bad, first) + _log_choose(good, draws - first) - _log_choose(size, draws))
    total, seen = 0.0, 0.0
    for drawn in range(first, last + 1):
        total += weight * lead(drawn)
        seen += weight
        weight *= (bad - drawn) * (draws - drawn) / ((drawn + 1) * (good - draws + drawn + 1))
    return max(-1.0, total - max(0.0, 1.0 - seen))


def _moments(size: int, bad: int, draws: int) -> tuple[float, float]:
    """Mean and standard deviation of the number of bad ones drawn."""
    part = bad / size
    left = (size - draws) / (size - 1) if size > 1 else 0.0
    return draws * part, sqrt(draws * part * (1 - part) * left)


def _log_choose(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)

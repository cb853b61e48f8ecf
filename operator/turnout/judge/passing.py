"""Proof that the candidate is good enough: an absolute bound on errors, a ratio to stable for latency.

Every enabled metric must pass, each against its own beta, and from the evidence of the step alone, since harm can
depend on load. These tests take requests as independent; where errors cluster, evidence is divided by how much more
they vary than that, which makes beta a target, not a guarantee.
"""

from functools import lru_cache
from math import log

from turnout.judge.harm import grid, likelihood, log_mean
from turnout.judge.latency import NEAR
from turnout.judge.memory import MILLI, Logs

BETTER_PARTS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75)
"""Error rates bet on, as parts of the one that must be undercut."""
RATIO_PARTS = grid(0.33, 0.5, 0.6, 0.67, 0.75, 0.85)
"""Ratios to stable's share of slow requests bet on, as parts of the one that must be undercut. As many as BETTER_PARTS,
for whichever of the two is bet on in an interval, a bettor goes on with what it has."""
SLOW_PART = 0.1
"""With an absolute latency bound: the share of requests that may be slower."""


def under_limit(limit: float, requests: int, bad: int) -> tuple[float, ...]:
    """Logs of factors against "the bad part is at least `limit`"."""
    good = requests - bad
    return tuple([bad * for_bad + good * for_good for for_bad, for_good in _stakes(limit)])


@lru_cache(maxsize=512)
def _stakes(limit: float) -> tuple[tuple[float, float], ...]:
    """Per bettor the log of what a bad request multiplies its wealth by, and of what a good one does."""
    return tuple((log(part), log((1 - part * limit) / (1 - limit))) for part in BETTER_PARTS)


def under_ratio(ratio: float, canary: tuple[int, int], stable: tuple[int, int]) -> tuple[float, ...]:
    """Logs of factors against "the bad part is at least `ratio` times stable's"; empty where nothing can be said."""
    if not canary[0] or not stable[0] or not canary[1] + stable[1]:
        return ()
    return likelihood(ratio, canary, stable, RATIO_PARTS)


def under_stable(
    ratio: float, part: float, usual: float, canary: tuple[int, int], stable: tuple[int, int]
) -> tuple[float, ...]:
    """Logs of factors against "the slow part is at least `ratio` times stable's, or times `part`, whichever is more".

    `part`: what stable's quantile says; `usual`: what stable had beyond the edge before the interval. Where that is far
    less, as when all of stable lies in one bucket, no ratio to it means anything, and the bet is on the second half of
    the statement. Where `ratio` times `part` is nearly all, the bet is on half of what stable answers in time.
    """
    if usual > NEAR * part:
        return ()  # beyond the last edge: not even stable's quantile is known
    most = (1 + part) / 2
    if usual >= part / 2 and ratio * part <= most:
        return under_ratio(ratio, canary, stable)
    return under_limit(min(ratio * part, most), *canary)


def evidence(logs: Logs, dispersion: float) -> float:
    """The log of the evidence for a pass; 0 without any."""
    return log_mean(logs, MILLI) / max(1.0, dispersion)

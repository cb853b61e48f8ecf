"""Whether stable itself is fit to be compared with: an error rate far beyond what any version may have.

One bet a poll on stable's own part of bad requests, against "it is at most ten times `passBelow`"; so bursts, of any
size, are one bet. It watches for a change and back, not for a proof within the attempt: a bettor's wealth never falls
below 1 and is not kept beyond what a verdict needs. So a stable that fails is found as soon late as early, and one
that recovers is believed within minutes.
"""

from collections.abc import Sequence
from math import floor, log

from turnout.judge.harm import log_mean

TIMES = 10.0
"""How far beyond `passBelow` an error rate is no control."""
MOST = 0.5
"""Whoever fails half of all requests is unwell, whatever `passBelow` says."""
STAKES = (0.3, 0.6, 0.9)
LOG_STAKES = log(len(STAKES))
WELL_AGAIN = log(2.0)
MILLI = 1000

Watch = tuple[int, ...]
"""1 while it counts as failing, then the log of each bettor's wealth in thousandths; empty before the first bet."""


def bound(pass_below: float) -> float:
    """The error rate from which on stable is no control, a fraction."""
    return min(MOST, TIMES * pass_below)


def watched(watch: Watch, limit: float, requests: int, bad: int, enough: float) -> Watch:
    """After one more poll. `enough`: the log of the evidence that a verdict needs."""
    if not requests:
        return watch
    surprise = bad / requests / limit - 1
    most = int((enough + LOG_STAKES) * MILLI) + 1
    before: Sequence[int] = watch[1:] or (0,) * len(STAKES)
    grown = [known + floor(log(1 + stake * surprise) * MILLI) for known, stake in zip(before, STAKES, strict=True)]
    logs = [min(most, max(0, each)) for each in grown]
    if not any(logs):
        return (0, *logs)
    evidence = log_mean(logs, MILLI)
    fails = evidence >= enough or (fails_by(watch) and evidence >= WELL_AGAIN)
    return (int(fails), *logs)


def fails_by(watch: Watch) -> bool:
    return bool(watch and watch[0])

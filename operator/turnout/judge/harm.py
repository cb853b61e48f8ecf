"""Bets that the candidate is worse than tolerated: per stream and interval, what each bettor's wealth is multiplied by.

Every factor has a mean of at most 1 while the candidate is no worse, so the mean over the bettors is an e-process:
it exceeds 1/alpha with a probability of at most alpha, however often it is looked at (Ville 1939). Nothing here
knows of thresholds, verdicts or time.
"""

from collections.abc import Sequence
from math import exp, log

from turnout.api.analysis import Assumption
from turnout.judge.thinning import superiority

Grid = tuple[tuple[float, float], ...]
"""Ratios that are bet on, each with its log."""


def grid(*ratios: float) -> Grid:
    return tuple((ratio, log(ratio)) for ratio in ratios)


LIKELY_RATIOS = grid(1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
BETTING_RATIOS = (2.0, 8.0)
MOST_STAKED = 0.97
"""No interval takes more than this part of a bettor's wealth, however wrong it was."""
POD_STAKES = (0.1, 0.3, 0.6, 0.95)

Tally = tuple[int, int]
"""Requests and bad events of one pod, or of one side."""
Sides = tuple[Tally, Tally]
NO_ENDS: Sides = ((0, 0), (0, 0))


def bettors(assume: Assumption) -> int:
    """How many logs of wealth a stream keeps."""
    grids = {Assumption.INDEPENDENT_REQUESTS: LIKELY_RATIOS, Assumption.CLUSTERED_ERRORS: BETTING_RATIOS}
    return len(grids.get(assume, POD_STAKES))


def log_factors(
    assume: Assumption, tolerate: float, canary: Sequence[Tally], stable: Sequence[Tally], ends: Sides = NO_ENDS
) -> tuple[float, ...]:
    """Logs of one interval's factors, one per bettor; empty where the interval carries no bet.

    `ends`: how many pods each side has, and how many of their processes ended.
    """
    if assume is Assumption.POD_BURSTS:
        return pod_bursts(tolerate, canary, stable, ends)
    (_, ended), (_, control_ended) = ends
    return side_factors(assume, tolerate, summed(canary, ended), summed(stable, control_ended))


def side_factors(assume: Assumption, tolerate: float, canary: Tally, stable: Tally) -> tuple[float, ...]:
    """The same where pods are not told apart."""
    if not canary[0] or not stable[0] or not canary[1] + stable[1]:
        return ()
    return (likelihood if assume is Assumption.INDEPENDENT_REQUESTS else betting)(tolerate, canary, stable)


def share(ratio: float, canary: int, stable: int) -> float:
    """The candidate's expected part of all bad events if it fails `ratio` times as often as stable."""
    due = ratio * canary
    return due / (due + stable)


def likelihood(tolerate: float, canary: Tally, stable: Tally, ratios: Grid = LIKELY_RATIOS) -> tuple[float, ...]:
    """Each bad event is a draw of its own (`IndependentRequests`).

    A factor is what the ratio makes of an event's chance: ratio * due / (ratio * due + control) over
    due / (due + control) for one of the candidate's, control over the same divisors for one of stable's.
    """
    (served, bad), (control, control_bad) = canary, stable
    due, events = tolerate * served, bad + control_bad
    together = due + control
    return tuple([bad * log_ratio - events * log((ratio * due + control) / together) for ratio, log_ratio in ratios])


def betting(tolerate: float, canary: Tally, stable: Tally) -> tuple[float, ...]:
    """One bet an interval on the candidate's part of the bad events, however they cluster (`ClusteredErrors`).

    Needs only that the mean of that part is at most `share`, given the past and how many there were; so the stake may
    depend on how many there were. It is nearly Kelly's: for one event exactly, for many it tends to all.
    """
    (served, bad), (control, control_bad) = canary, stable
    events, expected = bad + control_bad, share(tolerate, served, control)
    others, surprise = 1 - expected, bad / events / expected - 1
    logs = []
    for ratio in BETTING_RATIOS:
        due = tolerate * ratio * served
        single = (due / (due + control) - expected) / others
        stake = min(MOST_STAKED, events * single / (1 + (events - 1) * single))
        logs.append(log(1 + stake * surprise))
    return tuple(logs)


def pod_bursts(
    tolerate: float, canary: Sequence[Tally], stable: Sequence[Tally], ends: Sides = NO_ENDS
) -> tuple[float, ...]:
    """One bet an interval on pods compared at equal numbers of requests (`PodBursts`); see `thinning`.

    An end of a process hits a pod, however busy: those are compared at equal numbers of pods.
    """
    ours, theirs = ([pod for pod in side if pod[0]] for side in (canary, stable))
    pods = [ends] if ends[0][1] + ends[1][1] and ends[0][0] and ends[1][0] else []
    edge = superiority(tolerate, ours, theirs, pods) if pods or (ours and theirs) else 0.0
    return tuple([log(1 + stake * edge) for stake in POD_STAKES]) if edge else ()


def log_mean(logs: Sequence[float], parts: int = 1) -> float:
    """The log of the mean wealth of all bettors; 0 without any. `parts`: of a unit, in which the logs are counted."""
    if not logs:
        return 0.0
    most = max(logs)
    return most / parts + log(sum([exp((each - most) / parts) for each in logs]) / len(logs))


def summed(pods: Sequence[Tally], ended: int = 0) -> Tally:
    """`ended`: so many processes; an end is a request that ended badly."""
    requests = bad = ended
    for served, failed in pods:
        requests += served
        bad += failed
    return requests, bad

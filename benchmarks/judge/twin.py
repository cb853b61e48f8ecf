"""The judge's harm and passes for many attempts at once; checked to be the real judge's by `check` and by a test.

Numpy repeats the arithmetic of `turnout.judge.harm`, `passing` and `budget`, down to the rounding of the memory. Bets
on pods are made by the real functions, one attempt after the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.traffic import BEYOND, Cell, Side, Traffic
from turnout.api.analysis import Assumption
from turnout.judge.dispersion import CAUTION, LEAST_EVENTS, PRIOR_EVENTS
from turnout.judge.harm import BETTING_RATIOS, LIKELY_RATIOS, MOST_STAKED, bettors, log_factors
from turnout.judge.passing import BETTER_PARTS, RATIO_PARTS
from turnout.judge.terms import PASS_QUANTILE

MILLI = 1000
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def wealth(traffic: Traffic, assume: Assumption, tolerate: float = 1.0) -> Floats:
    """Log of evidence per stream, [streams, attempts, polls]: errors, then latency by quantile."""
    if assume is Assumption.POD_BURSTS:
        return np.stack([_pods(traffic, stream, tolerate) for stream in range(1 + len(BEYOND))])
    return np.stack([_sides(traffic, stream, assume, tolerate) for stream in range(1 + len(BEYOND))])


def combined(streams: Floats, latency: bool = True) -> Floats:
    """The log of the mean evidence of both metrics; of errors alone where latency is off."""
    if not latency:
        return streams[0]
    return np.logaddexp(streams[0], log_mean(streams[1:])) - np.log(2)


def log_mean(logs: Floats) -> Floats:
    most = logs.max(0)
    return most + np.log(np.exp(logs - most).mean(0))


def _stream(side: Side, stream: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Requests and bad events of a stream, per pod."""
    return (side.requests, side.bad) if stream == 0 else (side.ok, side.slow[stream - 1])


def _sides(traffic: Traffic, stream: int, assume: Assumption, tolerate: float) -> Floats:
    (n_c, x_c), (n_s, x_s) = (_stream(side.total(), stream) for side in (traffic.canary, traffic.stable))
    n_c, x_c, n_s, x_s = (counts[..., 0] for counts in (n_c, x_c, n_s, x_s))
    events = x_c + x_s
    counts = (n_c > 0) & (n_s > 0) & (events > 0) & ~traffic.discarded
    safe_c, safe_s, safe_m = np.where(counts, n_c, 1), np.where(counts, n_s, 1), np.where(counts, events, 1)

    def share(ratio: float) -> Floats:
        return ratio * safe_c / (ratio * safe_c + safe_s)

    expected = share(tolerate)
    logs = []
    if assume is Assumption.INDEPENDENT_REQUESTS:
        for ratio, _ in LIKELY_RATIOS:
            worse = share(tolerate * ratio)
            logs.append(x_c * np.log(worse / expected) + x_s * np.log((1 - worse) / (1 - expected)))
    else:
        for ratio in BETTING_RATIOS:
            single = (share(tolerate * ratio) - expected) / (1 - expected)
            stake = np.minimum(MOST_STAKED, safe_m * single / (1 + (safe_m - 1) * single))
            logs.append(np.log(1 + stake * (x_c / safe_m / expected - 1)))
    return log_mean(np.stack([remembered(np.where(counts, each, 0.0)) for each in logs]))


def remembered(factors: Floats) -> Floats:
    """Summed over polls as the memory keeps them: in thousandths, rounded down."""
    return np.cumsum(np.floor(factors * MILLI), axis=-1) / MILLI


def _pods(traffic: Traffic, stream: int, tolerate: float) -> Floats:
    (n_c, x_c), (n_s, x_s) = (_stream(side, stream) for side in (traffic.canary, traffic.stable))
    runs, polls = traffic.discarded.shape
    factors = np.zeros((bettors(Assumption.POD_BURSTS), runs, polls))
    quiet = (x_c.sum(2) + x_s.sum(2) == 0) | traffic.discarded
    for run, poll in zip(*np.nonzero(~quiet), strict=True):
        canary = list(zip(n_c[run, poll].tolist(), x_c[run, poll].tolist(), strict=True))
        stable = list(zip(n_s[run, poll].tolist(), x_s[run, poll].tolist(), strict=True))
        found = log_factors(Assumption.POD_BURSTS, tolerate, canary, stable)
        if found:
            factors[:, run, poll] = found
    return log_mean(np.stack([remembered(each) for each in factors]))


def passing(traffic: Traffic, limit: float, robust: bool) -> Floats:
    """Log of the evidence that errors are below `limit`, [attempts, polls]."""
    n, x = traffic.canary.total().requests[..., 0], traffic.canary.total().bad[..., 0]
    logs = [x * np.log(part) + (n - x) * np.log((1 - part * limit) / (1 - limit)) for part in BETTER_PARTS]
    evidence = log_mean(np.stack([remembered(each) for each in logs]))
    if not robust:
        return evidence
    return evidence / np.maximum(_spread_at(limit, n, x), _spread(traffic.stable.total()))


def passing_latency(traffic: Traffic, cell: Cell, ratio: float, robust: bool) -> Floats:
    """Log of the evidence that slow requests are fewer than `ratio` times stable's, [attempts, polls]."""
    part, usual = 1 - PASS_QUANTILE, cell.beyond[1]
    (n_c, x_c), (n_s, x_s) = (_stream(side.total(), 2) for side in (traffic.canary, traffic.stable))
    n_c, x_c, n_s, x_s = (counts[..., 0] for counts in (n_c, x_c, n_s, x_s))
    limit, most = min(ratio * part, (1 + part) / 2), (1 + part) / 2
    if usual < part / 2 or ratio * part > most:
        logs = [x_c * np.log(p) + (n_c - x_c) * np.log((1 - p * limit) / (1 - limit)) for p in BETTER_PARTS]
    else:
        safe_c, safe_s = np.maximum(n_c, 1), np.maximum(n_s, 1)
        counts = (n_c > 0) & (n_s > 0) & (x_c + x_s > 0)
        forbidden, logs = ratio * safe_c / (ratio * safe_c + safe_s), []
        for better in (part * ratio * safe_c / (part * ratio * safe_c + safe_s) for part, _ in RATIO_PARTS):
            factor = x_c * np.log(better / forbidden) + x_s * np.log((1 - better) / (1 - forbidden))
            logs.append(np.where(counts, factor, 0.0))
    evidence = log_mean(np.stack([remembered(np.where(traffic.discarded, 0.0, each)) for each in logs]))
    return evidence / _split(n_c, x_c, n_s, x_s) if robust else evidence


def _split(n_c: Counts, x_c: Counts, n_s: Counts, x_s: Counts) -> Floats:
    """The dispersion of the canary's part of the slow requests, as `dispersion.Split` sums it up."""
    shape = n_c.shape
    intervals, surprise, seen, due = (np.zeros(shape[0]) for _ in range(4))
    found = np.ones(shape)
    for poll in range(shape[1]):
        one, slow, other, slow_too = (counts[:, poll] for counts in (n_c, x_c, n_s, x_s))
        events = slow + slow_too
        counts = (events > 0) & (one > 0) & (other > 0)
        rate = (seen + PRIOR_EVENTS) / (due + PRIOR_EVENTS)
        expected = np.where(counts, rate * one / np.maximum(rate * one + other, 1e-9), 0.5)
        squared = (slow - events * expected) ** 2 / np.where(counts, events * expected * (1 - expected), 1.0)
        surprise, intervals = surprise + np.where(counts, squared, 0.0), intervals + counts
        due = due + np.where(counts, events * one / np.maximum(one + other, 1), 0.0)
        seen = seen + np.where(counts, slow, 0)
        enough = intervals >= LEAST_EVENTS
        found[:, poll] = np.where(enough, np.maximum(1.0, surprise / np.maximum(intervals, 1)), 1.0)
    return found


def _spread_at(limit: float, n: Counts, x: Counts) -> Floats:
    """The same of a canary at `limit`, as `dispersion.Spread.factor_at` has it."""
    squares, intervals = np.cumsum(x * x / np.maximum(n, 1), -1), np.cumsum(n > 0, -1)
    return np.maximum(1.0, CAUTION * squares / np.maximum(intervals, 1) / limit)


def _spread(side: Side) -> Floats:
    """Variance over mean of the bad events per interval so far, at least 1."""
    n, x = side.requests[..., 0], side.bad[..., 0]
    squares = np.cumsum(np.where(n > 0, x * x / np.maximum(n, 1), 0.0), -1)
    requests, bad, intervals = np.cumsum(n, -1), np.cumsum(x, -1), np.cumsum(n > 0, -1)
    rate = bad / np.maximum(requests, 1)
    enough = (bad >= 4) & (intervals >= 2)
    chi_square = squares / np.where(enough, rate, 1.0) - bad
    found = chi_square / np.maximum(intervals - 1, 1) / np.maximum(0.05, 1 - rate)
    return np.where(enough, np.maximum(1.0, found), 1.0)

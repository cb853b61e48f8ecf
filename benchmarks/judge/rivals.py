"""Other rules on the same polls: what people use today, what textbooks say, and one that knows the answer."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.judge.traffic import POLL_SECONDS, Cell, Traffic

MINUTE = 60 // POLL_SECONDS
LOOKS = 10
ALPHA = 0.01
Floats = NDArray[np.float64]
Hits = NDArray[np.bool_]
"""[attempts, polls]: the rule rolls back at this poll."""


def sides(traffic: Traffic) -> tuple[Floats, Floats, Floats, Floats]:
    """n_c, x_c, n_s, x_s per attempt and poll."""
    canary, stable = traffic.canary.total(), traffic.stable.total()
    return tuple(c[..., 0].astype(float) for c in (canary.requests, canary.bad, stable.requests, stable.bad))  # type: ignore[return-value]


def flagger(traffic: Traffic, failures: int = 5) -> Hits:
    """Each minute: fewer than 99 % of the canary's requests of that minute succeeded; so many failed checks in all."""
    n, x, _, _ = sides(traffic)
    served, failed = _minutes(n), _minutes(x)
    broken = (failed > 0.01 * served) & (served > 0)
    return _at_minutes(np.cumsum(broken, 1) >= failures, n.shape[1])


def argo(traffic: Traffic, limit: int = 3) -> Hits:
    """Each minute: fewer than 95 % succeeded over the last five minutes; more than three such in all."""
    n, x, _, _ = sides(traffic)
    served, failed = (_window(_minutes(each), 5) for each in (n, x))
    broken = (failed > 0.05 * served) & (served > 0)
    return _at_minutes(np.cumsum(broken, 1) > limit, n.shape[1])


def kayenta(traffic: Traffic) -> Hits:
    """Once after ten minutes: Mann-Whitney on the error rates of minutes, one-sided 98 %."""
    n_c, x_c, n_s, x_s = (_minutes(each) for each in sides(traffic))
    ours, theirs = x_c / np.maximum(n_c, 1), x_s / np.maximum(n_s, 1)
    size = ours.shape[1]
    ranks = rankdata(np.concatenate([ours, theirs], 1), axis=1)
    statistic = ranks[:, :size].sum(1) - size * (size + 1) / 2
    ties = np.array(
        [(np.unique(row, return_counts=True)[1] ** 3 - np.unique(row, return_counts=True)[1]).sum() for row in ranks]
    )
    spread = np.sqrt(size * size / 12 * ((2 * size + 1) - ties / (2 * size * (2 * size - 1))))
    z = (statistic - size * size / 2 - 0.5) / np.maximum(spread, 1e-9)
    hits = np.zeros((len(z), n_c.shape[1] * MINUTE), dtype=bool)
    hits[:, -1] = (z > 2.054) & (spread > 0)
    return hits


def naive_z(traffic: Traffic) -> Hits:
    """At each poll: p < 0.05 of a two-proportion z-test on everything so far."""
    return _z(traffic) > 1.645


def pocock(traffic: Traffic) -> Hits:
    """Ten looks, one a minute, at the constant bound that keeps alpha over them."""
    z = _z(traffic)
    hits = np.zeros(z.shape, dtype=bool)
    hits[:, MINUTE - 1 :: MINUTE] = (z > pocock_bound())[:, MINUTE - 1 :: MINUTE]
    return hits


@cache
def pocock_bound() -> float:
    steps = np.random.default_rng(1).standard_normal((400_000, LOOKS))
    greatest = (np.cumsum(steps, 1) / np.sqrt(np.arange(1, LOOKS + 1))).max(1)
    return float(np.quantile(greatest, 1 - ALPHA))


def oracle(traffic: Traffic, cell: Cell) -> Hits:
    """Wald's test that knows the effect, on errors alone: the fastest that keeps alpha at single requests."""
    n_c, x_c, n_s, x_s = sides(traffic)
    ratio = cell.canary_rate / cell.base if cell.base else 100.0
    both = (n_c > 0) & (n_s > 0)
    null = np.where(both, n_c / np.maximum(n_c + n_s, 1), 0.5)
    worse = np.where(both, ratio * n_c / np.maximum(ratio * n_c + n_s, 1), 0.5)
    factors = np.where(both, x_c * np.log(worse / null) + x_s * np.log((1 - worse) / (1 - null)), 0.0)
    return np.cumsum(factors, 1) >= np.log(1 / ALPHA)


def fixed_stakes(traffic: Traffic) -> Floats:
    """Betting on clusters with the same four stakes whatever was counted, and whatever the ratio: log of evidence."""
    n_c, x_c, n_s, x_s = sides(traffic)
    events = x_c + x_s
    bets = (n_c > 0) & (n_s > 0) & (events > 0)
    null = np.where(bets, n_c / np.maximum(n_c + n_s, 1), 0.5)
    surprise = np.where(bets, x_c / np.maximum(events, 1) / null - 1, 0.0)
    logs = np.stack([np.cumsum(np.log(1 + stake * surprise), 1) for stake in (0.1, 0.3, 0.6, 0.9)])
    most = logs.max(0)
    evidence: Floats = most + np.log(np.exp(logs - most).mean(0))
    return evidence


def _z(traffic: Traffic) -> Floats:
    n_c, x_c, n_s, x_s = (np.cumsum(each, 1) for each in sides(traffic))
    pool = (x_c + x_s) / np.maximum(n_c + n_s, 1)
    spread = np.sqrt(pool * (1 - pool) * (1 / np.maximum(n_c, 1) + 1 / np.maximum(n_s, 1)))
    gap = x_c / np.maximum(n_c, 1) - x_s / np.maximum(n_s, 1)
    return np.where((spread > 0) & (n_c > 0) & (n_s > 0), gap / np.maximum(spread, 1e-12), 0.0)


def _minutes(counts: Floats) -> Floats:
    return counts.reshape(counts.shape[0], -1, MINUTE).sum(2)


def _window(counts: Floats, minutes: int) -> Floats:
    total = np.cumsum(counts, 1)
    total[:, minutes:] -= np.cumsum(counts, 1)[:, :-minutes]
    return total


def _at_minutes(hits: Hits, polls: int) -> Hits:
    found = np.zeros((hits.shape[0], polls), dtype=bool)
    found[:, MINUTE - 1 :: MINUTE] = hits
    return found

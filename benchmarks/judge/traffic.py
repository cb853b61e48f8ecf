"""Synthetic traffic: what both sides would have counted between polls, for many attempts at once.

Polls every 15 s, Poisson requests, each routed by chance; lognormal latency, edges near quantiles of stable.
Kinder than life: polls are independent but for what a nuisance says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

POLL_SECONDS = 15
POLLS = 40
BEYOND = (0.55, 0.09, 0.0078)
"""Stable's shares beyond the edges of its median, 90th and 99th percentile, with twelve bounds a decade, on average."""
WIDTH = 1.25
"""The greatest ratio of two bounds."""
NARROW = 0.001
"""The same where all of stable lies in one bucket, with all three edges at its upper bound."""
SIGMA = 0.5  # of the logarithm of a latency
CLUSTER = 4
STICKY = 8
Counts = NDArray[np.int64]
Rates = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """One row of the grid. `ratio`: the canary's error rate over stable's; `slower`: its latency over stable's."""

    rps: float
    weight: float
    base: float
    ratio: float = 1.0
    slower: float = 1.0
    shape: str = "shift"  # shift | tail | bimodal | narrow
    nuisance: str = "none"
    pods: tuple[int, int] = (1, 1)
    to: float | None = None  # the canary's error rate where it is no ratio

    @property
    def canary_rate(self) -> float:
        return min(1.0, self.to if self.to is not None else self.base * self.ratio)

    @property
    def is_null(self) -> bool:
        return self.canary_rate <= self.base and self.slower <= 1.0 and self.shape in {"shift", "narrow"}

    @property
    def beyond(self) -> tuple[float, ...]:
        """Stable's shares of successes slower than each edge."""
        return (NARROW,) * len(BEYOND) if self.shape == "narrow" else BEYOND


@dataclass(frozen=True)
class Side:
    """Shape [attempts, polls, pods]; `slow` has the quantiles first. `ok` is requests - bad."""

    requests: Counts
    bad: Counts
    slow: Counts

    @property
    def ok(self) -> Counts:
        return self.requests - self.bad

    def total(self) -> Side:
        """All pods as one."""
        return Side(
            self.requests.sum(2, keepdims=True), self.bad.sum(2, keepdims=True), self.slow.sum(3, keepdims=True)
        )


@dataclass(frozen=True)
class Traffic:
    """`discarded`: intervals that never count. A dropped poll is in the next one already."""

    canary: Side
    stable: Side
    discarded: NDArray[np.bool_]


def simulate(cell: Cell, runs: int, seed: int, polls: int = POLLS) -> Traffic:
    draw = np.random.default_rng([seed, crc32(repr(cell).encode())])
    pace = cell.rps * POLL_SECONDS * _swing(cell, polls)
    total = draw.poisson(pace, (runs, polls))
    ours = draw.binomial(total, cell.weight)
    if cell.nuisance == "clock skew":  # the canary is read two seconds later; load wanders, errors do not
        late = cell.rps * POLL_SECONDS * _swing(cell, polls, 2 / POLL_SECONDS)
        ours, total = (
            draw.poisson(late * cell.weight, (runs, polls)),
            draw.poisson(pace * (1 - cell.weight), (runs, polls)),
        )
        total = total + ours
    spike = _spike(cell, runs, polls, draw)
    sides = []
    for index, (requests, rate) in enumerate(((ours, cell.canary_rate), (total - ours, cell.base))):
        pods = draw.multinomial(requests, [1 / cell.pods[index]] * cell.pods[index])
        heat = _heat(cell, spike, index)
        bad = _bad(cell, pods, np.minimum(1.0, rate * heat[..., None]), draw, hurt=index == 0)
        sides.append(Side(pods, bad, _slow(cell, pods - bad, index == 0, draw)))
    if cell.nuisance == "retries":
        sides = _retried(cell, sides, draw)
    discarded = np.zeros((runs, polls), dtype=bool)
    if cell.nuisance == "weight change":
        discarded[:, 10::10] = True
    return _gapped(cell, Traffic(sides[0], sides[1], discarded), draw)


def _swing(cell: Cell, polls: int, late: float = 0.0) -> Rates:
    if cell.nuisance not in {"diurnal", "clock skew"}:
        return np.ones(polls)
    return np.exp(np.log(4) * np.sin((np.arange(polls) + late) / polls * 2 * np.pi) / 2)


def _spike(cell: Cell, runs: int, polls: int, draw: np.random.Generator) -> Rates:
    """Error rates of both sides times 20 for a minute, at a random moment."""
    heat = np.ones((runs, polls + 1))
    if cell.nuisance in {"common spike", "scrape offset"}:
        start = draw.integers(2, polls - 8, runs)
        for after in range(4):
            heat[np.arange(runs), start + after] = 20.0
    return heat


def _heat(cell: Cell, spike: Rates, index: int) -> Rates:
    """With a scrape offset the canary is read 5 s late: a third of its interval is the next one's."""
    if cell.nuisance == "slow leak" and index == 0:
        return spike[:, :-1] * np.linspace(0, 2, spike.shape[1] - 1)
    if cell.nuisance == "cold start" and index == 0:  # five times the errors in its first minute
        return spike[:, :-1] * np.where(np.arange(spike.shape[1] - 1) < 4, 5.0, 1.0)
    if cell.nuisance == "scrape offset" and index == 0:
        return spike[:, :-1] * 2 / 3 + spike[:, 1:] / 3
    return spike[:, :-1]


def _bad(cell: Cell, pods: Counts, rate: Rates, draw: np.random.Generator, hurt: bool = False) -> Counts:
    size = {"clustered": CLUSTER, "sticky": STICKY}.get(cell.nuisance, 1)
    if size > 1:
        bursts = draw.poisson(pods * rate / size)
        return np.minimum(pods, bursts * size)
    bad = draw.binomial(pods, np.broadcast_to(rate, pods.shape))
    if cell.nuisance == "bad node" and pods.shape[2] == 1 and hurt:
        return np.maximum(bad, draw.binomial(pods, 0.05))
    if cell.nuisance == "pod bursts":
        hit = draw.random(pods.shape) < 0.02
        bad = np.minimum(pods, bad + np.where(hit, draw.binomial(pods, 0.5), 0))
    return bad


def _retried(cell: Cell, sides: list[Side], draw: np.random.Generator) -> list[Side]:
    """Callers repeat what failed, up to twice, and it fails again; each repeat is routed by chance."""
    again = 2 * sum(side.bad.sum(2) for side in sides)
    ours = draw.binomial(again, cell.weight)
    found = []
    for side, repeats in zip(sides, (ours, again - ours), strict=True):
        pods = side.bad.shape[2]
        more = draw.multinomial(repeats, [1 / pods] * pods)
        found.append(Side(side.requests + more, side.bad + more, side.slow))
    return found


def _slow(cell: Cell, ok: Counts, canary: bool, draw: np.random.Generator) -> Counts:
    """Successes slower than the edges, nested as they are."""
    found, left, before = [], ok, 1.0
    for part in survival(cell) if canary else cell.beyond:
        left = draw.binomial(left, min(1.0, part / before) if before else 0.0)
        found.append(left)
        before = part
    return np.stack(found)


def survival(cell: Cell) -> list[float]:
    """The canary's shares of successes slower than the edges."""
    from statistics import NormalDist

    if cell.shape == "narrow":  # stable evenly over one bucket
        return [max(part, min(1.0, (WIDTH - WIDTH / cell.slower) / (WIDTH - 1))) for part in cell.beyond]
    normal = NormalDist()
    quantiles = [1 - part for part in cell.beyond]
    moved = [1 - normal.cdf(normal.inv_cdf(q) - np.log(cell.slower) / SIGMA) for q in quantiles]
    if cell.shape == "tail":  # one in twenty takes five times as long
        far = [1 - normal.cdf(normal.inv_cdf(q) - np.log(5) / SIGMA) for q in quantiles]
        return [0.95 * (1 - q) + 0.05 * part for q, part in zip(quantiles, far, strict=True)]
    if cell.shape == "bimodal":  # half is faster, the other half slower
        near = [1 - normal.cdf(normal.inv_cdf(q) + np.log(1.5) / SIGMA) for q in quantiles]
        far = [1 - normal.cdf(normal.inv_cdf(q) - np.log(1.5) / SIGMA) for q in quantiles]
        return [(one + other) / 2 for one, other in zip(near, far, strict=True)]
    return [float(part) for part in moved]


def _gapped(cell: Cell, traffic: Traffic, draw: np.random.Generator) -> Traffic:
    """Polls that were dropped are added to the next; what a reset hides is lost."""
    runs, polls = traffic.discarded.shape
    if cell.nuisance == "scrape gap":
        dropped = np.zeros((runs, polls), dtype=bool)
        dropped[:, 8:12] = True
    elif cell.nuisance == "source errors":
        dropped = draw.random((runs, polls)) < 0.2
    elif cell.nuisance == "resets":
        return Traffic(_reset(traffic.canary, draw), _reset(traffic.stable, draw), traffic.discarded)
    else:
        return traffic
    dropped[:, -1] = False
    return Traffic(_carried(traffic.canary, dropped), _carried(traffic.stable, dropped), traffic.discarded)


def _carried(side: Side, dropped: NDArray[np.bool_]) -> Side:
    def carry(counts: Any) -> Any:
        counts = counts.copy()
        for poll in range(dropped.shape[1] - 1):
            gone = dropped[:, poll]
            counts[..., gone, poll + 1, :] += counts[..., gone, poll, :]
            counts[..., gone, poll, :] = 0
        return counts

    return Side(carry(side.requests), carry(side.bad), carry(side.slow))


def _reset(side: Side, draw: np.random.Generator) -> Side:
    """Every 3 min the process starts anew half way between polls: half of that interval is never read."""
    requests, bad, slow = side.requests.copy(), side.bad.copy(), side.slow.copy()
    kept_bad = draw.binomial(bad[:, 6::12], 0.5)
    kept_ok = draw.binomial((requests - bad)[:, 6::12], 0.5)
    for index in range(len(slow)):
        slow[index, :, 6::12] = np.minimum(draw.binomial(slow[index, :, 6::12], 0.5), kept_ok)
    requests[:, 6::12], bad[:, 6::12] = kept_bad + kept_ok, kept_bad
    return Side(requests, bad, slow)

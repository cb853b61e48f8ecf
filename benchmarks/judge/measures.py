"""From hits to figures: rates with exact bounds, times, and what was served badly until then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from benchmarks.judge.traffic import POLL_SECONDS, Traffic

NEVER = 10**6


@dataclass(frozen=True)
class Figures:
    """Of one rule in one cell. `upper`: Clopper-Pearson, 95 % one-sided; times in seconds, of those that were found."""

    found: float
    upper: float
    median: float
    p95: float
    bad: float

    @property
    def short(self) -> str:
        """ "100 / 135": percent rolled back, median seconds where most were."""
        share = (
            f"{100 * self.found:.0f}" if self.found in {0.0, 1.0} or self.found >= 0.0995 else f"{100 * self.found:.1f}"
        )
        return f"{share} / {self.median:.0f}" if self.found >= 0.5 else share


def figures(hits: NDArray[np.bool_], traffic: Traffic) -> Figures:
    runs, polls = hits.shape
    hit = hits.any(1)
    first = np.where(hit, hits.argmax(1), polls - 1)
    seconds = np.where(hit, (first + 1) * POLL_SECONDS, NEVER)
    return Figures(
        float(hit.mean()),
        upper_bound(int(hit.sum()), runs),
        _quantile(seconds, 0.5),
        _quantile(seconds, 0.95),
        float(served_until(hits, traffic).mean()),
    )


def served_until(hits: NDArray[np.bool_], traffic: Traffic) -> NDArray[np.int64]:
    """Bad requests of the canary in each attempt, until it is rolled back or the attempt ends."""
    runs, polls = hits.shape
    last = np.where(hits.any(1), hits.argmax(1), polls - 1)
    bad: NDArray[np.int64] = np.cumsum(traffic.canary.total().bad[..., 0], 1)[np.arange(runs), last]
    return bad


def upper_bound(hits: int, runs: int) -> float:
    return 1.0 if hits == runs else float(beta.ppf(0.95, hits + 1, runs - hits))


def lower_bound(hits: int, runs: int) -> float:
    return 0.0 if not hits else float(beta.ppf(0.05, hits, runs - hits + 1))


def _quantile(seconds: NDArray[np.int64], part: float) -> float:
    value = float(np.quantile(seconds, part, method="inverted_cdf"))
    return value if value < NEVER else float("nan")

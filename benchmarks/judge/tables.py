"""The benchmark's tables, each a function from a number of attempts to rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge import rivals
from benchmarks.judge.measures import Figures, figures, lower_bound
from benchmarks.judge.traffic import POLL_SECONDS, Cell, Traffic, simulate
from benchmarks.judge.twin import combined, passing, wealth
from benchmarks.report import Row
from turnout.api.analysis import Assumption

ALPHA = 0.01
APART = {
    "cold start": "the candidate fails five times as often in its first minute",
    "bad node": "the node of the only candidate pod fails every twentieth request",
    "scrape offset": "the candidate is read five seconds late, with a spike on both sides",
}
THRESHOLD = np.log(1 / ALPHA)
BETA = np.log(1 / 0.05)
MIN_POLLS = 8
NUISANCES = (
    "none",
    "common spike",
    "diurnal",
    "clustered",
    "sticky",
    "scrape gap",
    "scrape offset",
    "source errors",
    "resets",
    "retries",
    "clock skew",
    "weight change",
)
SINGLE = {
    "none",
    "common spike",
    "diurnal",
    "scrape gap",
    "source errors",
    "resets",
    "clock skew",
    "weight change",
}
REPEATED = {"clustered", "sticky", "retries"}
COVERED = {
    Assumption.INDEPENDENT_REQUESTS: SINGLE,
    Assumption.CLUSTERED_ERRORS: SINGLE | REPEATED,
    Assumption.POD_BURSTS: SINGLE | REPEATED | {"pod bursts"},
}
"""With a scrape offset a common spike is the canary's alone for an interval: no assumption covers that."""
OURS = {
    "independent": Assumption.INDEPENDENT_REQUESTS,
    "clustered (default)": Assumption.CLUSTERED_ERRORS,
    "pod bursts": Assumption.POD_BURSTS,
}


def judged(traffic: Traffic, assume: Assumption) -> NDArray[np.bool_]:
    """Where the judge has said Harm, with latency beside errors: the shipped default."""
    hits: NDArray[np.bool_] = combined(wealth(traffic, assume)) >= THRESHOLD
    return hits


def innocent(runs: int) -> list[Row]:
    """False rollbacks where each assumption covers the nuisance: the worst cell, and how many were looked at."""
    rows = []
    for name, assume in OURS.items():
        for nuisance in [*NUISANCES, "pod bursts"]:
            cells = list(_nulls(nuisance, assume))
            seen = [
                (figures(judged(traffic := simulate(cell, _runs(runs, assume), seed=5), assume), traffic), cell)
                for cell in cells
            ]
            worst, cell = max(seen, key=lambda each: each[0].found)
            covered = nuisance in COVERED[assume]
            rows.append(
                {
                    "assume": name,
                    "nuisance": nuisance,
                    "cells": len(cells),
                    "attempts each": _runs(runs, assume),
                    "worst, %": 100 * worst.found,
                    "95 % bound, %": 100 * worst.upper,
                    "worst cell": _named(cell),
                    "covered": _kept(worst, _runs(runs, assume)) if covered else "not covered",
                }
            )
    return rows


def _kept(worst: Figures, runs: int) -> str:
    """A bar is broken where more than alpha is proven; too few attempts prove neither."""
    if worst.upper <= ALPHA:
        return "kept"
    return "BROKEN" if lower_bound(round(worst.found * runs), runs) > ALPHA else "too few attempts"


def apart(runs: int) -> list[Row]:
    """What the promise does not speak of, or what no statistics can tell: rolled back, in percent, without a bar."""
    rows = []
    for nuisance, said in APART.items():
        for weight in (0.1, 0.5):
            row: dict[str, str | int | float] = {"20 rps": said, "weight": f"{100 * weight:g} %"}
            for name, assume in OURS.items():
                traffic = simulate(Cell(20, weight, 0.005, nuisance=nuisance), _runs(runs, assume), seed=16)
                row[name] = figures(judged(traffic, assume), traffic).short
            rows.append(row)
    return rows


def _named(cell: Cell) -> str:
    return f"{cell.rps:g} rps, {100 * cell.weight:g} %, base {100 * cell.base:g} %, pods {cell.pods[0]}/{cell.pods[1]}"


def _runs(runs: int, assume: Assumption) -> int:
    return max(100, runs // 5) if assume is Assumption.POD_BURSTS else runs


def _nulls(nuisance: str, assume: Assumption) -> Iterator[Cell]:
    if assume is Assumption.POD_BURSTS or nuisance == "pod bursts":
        pods = [(1, 1), (1, 2)] if nuisance == "pod bursts" else [(1, 1)]
        yield from (Cell(20, w, 0.005, nuisance=nuisance, pods=each) for w, each in product((0.1, 0.5), pods))
        return
    for rps, weight, base in product((20, 200), (0.1, 0.5), (0.005, 0.02)):
        yield Cell(rps, weight, base, nuisance=nuisance)


def whole_grid(runs: int) -> list[Row]:
    """No nuisance, the default assumption, the whole grid: the greatest false-rollback rate by traffic and weight."""
    rows = []
    for rps in (0.2, 2, 20, 200, 2000):
        row: dict[str, str | int | float] = {"rps": f"{rps:g}"}
        for weight in (0.01, 0.05, 0.1, 0.5):
            worst = 0.0
            for base in (0.0, 0.0005, 0.005, 0.02, 0.05):
                cell = Cell(rps, weight, base)
                traffic = simulate(cell, runs, seed=6)
                worst = max(worst, figures(judged(traffic, Assumption.CLUSTERED_ERRORS), traffic).found)
            row[f"{100 * weight:g} %"] = f"{100 * worst:.2f}"
        rows.append(row)
    return rows


def guilty(runs: int) -> list[Row]:
    """Errors alone, default assumption: percent found / median seconds, beside fixed stakes and the oracle."""
    rows = []
    for rps, weight in product((2, 20, 200), (0.05, 0.1, 0.25, 0.5)):
        for ratio in (1.5, 3, 6, 20):
            cell = Cell(rps, weight, 0.005, ratio=ratio)
            traffic = simulate(cell, runs, seed=7)
            ours = figures(combined(wealth(traffic, Assumption.CLUSTERED_ERRORS), latency=False) >= THRESHOLD, traffic)
            fixed = figures(rivals.fixed_stakes(traffic) >= THRESHOLD, traffic)
            best = figures(rivals.oracle(traffic, cell), traffic)
            rows.append(
                {
                    "rps": f"{rps:g}",
                    "weight": f"{100 * weight:g} %",
                    "errors": f"x {ratio:g}",
                    "oracle": best.short,
                    "fixed stakes": fixed.short,
                    "clustered (default)": ours.short,
                    "bar": _bar(ours, best),
                }
            )
    return rows


def _bar(ours: Figures, best: Figures) -> str:
    """At most three times the oracle; where that needs under five polls, at most 15."""
    if best.found < 0.5:
        return "–"
    allowed = 15 * POLL_SECONDS if best.median < 5 * POLL_SECONDS else 3 * best.median
    if not ours.found >= 0.5:
        return "beyond 10 min" if allowed >= 40 * POLL_SECONDS else "missed"
    return "met" if ours.median <= allowed else "missed"


def passed(traffic: Traffic, robust: bool) -> NDArray[np.bool_]:
    """Where errors are proven below 2 %, from the default minDuration of two minutes on."""
    hits: NDArray[np.bool_] = passing(traffic, 0.02, robust) >= BETA
    hits[:, : MIN_POLLS - 1] = False
    return hits


def good(runs: int) -> list[Row]:
    """Errors below 2 %: seconds until a canary at 0.5 % passes; and how many pass that are at 2 %, in bursts or not."""
    rows = []
    for rps, weight in product((2, 20, 200), (0.1, 0.5)):
        row: dict[str, str | int | float] = {"rps": f"{rps:g}", "weight": f"{100 * weight:g} %"}
        for robust, name in ((False, "independent"), (True, "clustered")):
            traffic = simulate(Cell(rps, weight, 0.005), runs, seed=8)
            row[f"{name}: 0.5 % passes"] = figures(passed(traffic, robust), traffic).short
            for nuisance in ("none", "clustered"):
                traffic = simulate(Cell(rps, weight, 0.02, nuisance=nuisance), runs, seed=9)
                wrong = figures(passed(traffic, robust), traffic).found
                row[f"{name}: 2 % passes" + (", bursts of 4" if nuisance == "clustered" else "")] = (
                    f"{100 * wrong:.1f} %"
                )
        rows.append(row)
    return rows

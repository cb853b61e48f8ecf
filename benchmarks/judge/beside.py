"""The judge beside others' rules on the same polls: how many are found, how soon, how late, and what was served badly.

The bar on bad requests is held row by row, against each rule of others that keeps alpha itself: whoever condemns the
innocent too is soon done with the guilty.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge import rivals
from benchmarks.judge.measures import Figures, figures, lower_bound, served_until
from benchmarks.judge.tables import ALPHA, OURS, judged
from benchmarks.judge.traffic import Cell, Traffic, simulate
from benchmarks.report import Row

DEFAULT, ORACLE = "clustered (default)", "oracle"
OTHERS: dict[str, Callable[[Traffic], NDArray[np.bool_]]] = {
    "Flagger 5": rivals.flagger,
    "Flagger 10": partial(rivals.flagger, failures=10),
    "Argo": rivals.argo,
    "Kayenta-like": rivals.kayenta,
    "naive z": rivals.naive_z,
    "Pocock": rivals.pocock,
}
NAMES = (*OTHERS, ORACLE, *OURS)
KEY = "20 rps, 10 %"
PLAIN = {"null 0.5 %": Cell(20, 0.1, 0.005), "2 rps: null 0.5 %": Cell(2, 0.1, 0.005)}
"""Equal candidates at the error rate of all that are worse: where a rule of others keeps alpha if it does anywhere."""
NULLS = PLAIN | {
    "null, common spike": Cell(20, 0.1, 0.005, nuisance="common spike"),
    "null 2 %": Cell(20, 0.1, 0.02),
    "null, clustered": Cell(20, 0.1, 0.005, nuisance="clustered"),
    "2 rps: null 2 %": Cell(2, 0.1, 0.02),
}
"""All that the default assumption covers."""
ORIENTATION = {
    "null 0.5 %": NULLS["null 0.5 %"],
    "null, common spike": NULLS["null, common spike"],
    "null 2 %": NULLS["null 2 %"],
    "null, clustered": NULLS["null, clustered"],
    "null, pod bursts": Cell(20, 0.1, 0.005, nuisance="pod bursts"),
    "0.5 to 1.5 %": Cell(20, 0.1, 0.005, ratio=3),
    "0.5 to 3 %": Cell(20, 0.1, 0.005, ratio=6),
    "0.5 to 10 %": Cell(20, 0.1, 0.005, ratio=20),
    "0.5 to 3 %, slow leak": Cell(20, 0.1, 0.005, ratio=6, nuisance="slow leak"),
    "latency x 1.1": Cell(20, 0.1, 0.005, slower=1.1),
    "latency x 1.2": Cell(20, 0.1, 0.005, slower=1.2),
    "latency x 1.5": Cell(20, 0.1, 0.005, slower=1.5),
    "latency, tail only": Cell(20, 0.1, 0.005, shape="tail"),
    "latency, two modes": Cell(20, 0.1, 0.005, shape="bimodal"),
    "2 rps: null 0.5 %": NULLS["2 rps: null 0.5 %"],
    "2 rps: null 2 %": NULLS["2 rps: null 2 %"],
    "2 rps: 0.5 to 3 %": Cell(2, 0.1, 0.005, ratio=6),
    "2 rps: 0.5 to 10 %": Cell(2, 0.1, 0.005, ratio=20),
    "200 rps: 0.5 to 1.5 %": Cell(200, 0.1, 0.005, ratio=3),
    "200 rps: 0.5 to 3 %": Cell(200, 0.1, 0.005, ratio=6),
    "200 rps, 50 %: 0.5 to 1.5 %": Cell(200, 0.5, 0.005, ratio=3),
}


@dataclass(frozen=True)
class Seen:
    """One cell: each rule's figures, and what its canary had served badly until then, attempt by attempt."""

    title: str
    cell: Cell
    figures: dict[str, Figures]
    bad: dict[str, NDArray[np.int64]]


def looked(runs: int, pods: int) -> list[Seen]:
    """All rules on the same traffic."""
    return [_seen(title, replace(cell, pods=(pods, pods)), runs) for title, cell in ORIENTATION.items()]


def _seen(title: str, cell: Cell, runs: int) -> Seen:
    traffic = simulate(cell, runs, seed=11)
    hits = dict(_rules(cell, traffic))
    return Seen(
        title,
        cell,
        {name: figures(each, traffic) for name, each in hits.items()},
        {name: served_until(each, traffic) for name, each in hits.items()},
    )


def _rules(cell: Cell, traffic: Traffic) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for name, rule in OTHERS.items():
        yield name, rule(traffic)
    if cell.ratio > 1:
        yield ORACLE, rivals.oracle(traffic, cell)
    for name, assume in OURS.items():
        yield name, judged(traffic, assume)


def found(cells: Iterable[Seen]) -> list[Row]:
    """Rolled back, in percent / median seconds."""
    return [_row(each, {name: known.short for name, known in each.figures.items()}) for each in cells]


def late(cells: Iterable[Seen]) -> list[Row]:
    """Seconds within which 95 % of the attempts are rolled back; none where fewer are."""
    return [
        _row(each, {name: f"{known.p95:.0f}" for name, known in each.figures.items() if known.found >= 0.95})
        for each in cells
        if not each.cell.is_null
    ]


def served(cells: Sequence[Seen]) -> list[Row]:
    """Bad requests that the canary served until then, on average; and whose rule served surely fewer than ours."""
    everywhere, plainly = keepers(cells, NULLS), keepers(cells, PLAIN)
    return [
        {
            **_row(each, {name: f"{known.bad:.1f}" for name, known in each.figures.items()}),
            "bar": bar(each.bad, everywhere),
            "of those that keep alpha at 0.5 %": bar(each.bad, plainly),
        }
        for each in cells
        if each.cell.ratio > 1
    ]


def keepers(cells: Iterable[Seen], nulls: Collection[str]) -> list[str]:
    """The rules of others that roll back surely more than alpha of the equal candidates in none of these cells."""
    equal = [each for each in cells if each.title in nulls]
    return [rule for rule in OTHERS if not any(_breaks_alpha(each, rule) for each in equal)]


def _breaks_alpha(equal: Seen, rule: str) -> bool:
    runs = equal.bad[rule].size
    return lower_bound(round(equal.figures[rule].found * runs), runs) > ALPHA


def bar(bad: dict[str, NDArray[np.int64]], rules: Iterable[str]) -> str:
    """None of these serves fewer than the default; on the same attempts, by more than two standard errors."""
    fewer = [rule for rule in rules if _surely_positive(bad[DEFAULT] - bad[rule])]
    return f"missed: {', '.join(fewer)}" if fewer else "kept"


def _surely_positive(more: NDArray[np.int64]) -> bool:
    return bool(more.mean() > 2 * more.std() / np.sqrt(more.size))


def _row(seen: Seen, cells: dict[str, str]) -> dict[str, str | int | float]:
    return {KEY: seen.title, **{name: cells.get(name, "–") for name in NAMES}}

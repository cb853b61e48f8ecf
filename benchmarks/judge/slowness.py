"""Latency: what is slower is rolled back and does not pass before, what is equal passes, wherever stable lies."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.measures import figures
from benchmarks.judge.traffic import Cell, Traffic, simulate
from benchmarks.judge.twin import combined, passing_latency, wealth
from benchmarks.report import Row
from turnout.api.analysis import Assumption

ALPHA, BETA = np.log(1 / 0.01), np.log(1 / 0.05)
MIN_POLLS = 8
RATIOS = (1.0, 1.2, 1.5, 2.0)
PLACES = {"shift": "over many buckets", "narrow": "within one bucket"}


def slower(runs: int) -> list[Row]:
    """Of candidates slower by so much: rolled back / median seconds; and passed first, from two minutes on."""
    rows = []
    for (shape, place), ratio in product(PLACES.items(), RATIOS):
        row: dict[str, str | int | float] = {"stable lies": place, "slower": f"x {ratio:g}"}
        for rps, weight in ((20, 0.1), (20, 0.5), (200, 0.1)):
            cell = Cell(rps, weight, 0.005, slower=ratio, shape=shape)
            traffic = simulate(cell, runs, seed=13)
            hits, passes = _harm(traffic), _passed(traffic, cell)
            traffic_words = f"{rps:g} rps, {100 * weight:g} %"
            row[f"{traffic_words}: rolled back"] = figures(hits, traffic).short
            row[f"{traffic_words}: passed first"] = f"{100 * _first(passes, hits):.1f} %"
        rows.append(row)
    return rows


def _harm(traffic: Traffic) -> NDArray[np.bool_]:
    hits: NDArray[np.bool_] = combined(wealth(traffic, Assumption.CLUSTERED_ERRORS)) >= ALPHA
    return hits


def _passed(traffic: Traffic, cell: Cell) -> NDArray[np.bool_]:
    hits: NDArray[np.bool_] = passing_latency(traffic, cell, 1.5, robust=True) >= BETA
    hits[:, : MIN_POLLS - 1] = False
    return hits


def _first(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """How many attempts see `one`, and no `other` until then."""
    polls = one.shape[1]
    when, before = (np.where(hits.any(1), hits.argmax(1), polls) for hits in (one, other))
    return float((when < before).mean())

"""Drift: answers that moved by little and by much, away from stable's and from those at publishing.

Scores over ten bins, a tenth of stable's in each; the candidate's are those of a normal distribution that is shifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.measures import upper_bound
from benchmarks.judge.traffic import POLL_SECONDS, POLLS
from benchmarks.report import Row
from turnout.judge.drift import PRIOR, doubt, part_of

BINS, TOLERANCE, ALPHA = 10, 0.1, 0.01
STAKED = part_of(1)
"""Of wealth and budget, while the weight has not changed yet."""
ROWS = 2000
SHIFTS = (0.0, 0.1, 0.25, 0.4, 0.7, 1.0)
"""In standard deviations of the score."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """`shift`: of the candidate's answers; `world`: of both sides'; `wander`: the world shifts more with each poll."""

    rps: float
    weight: float
    shift: float
    world: float = 0.0
    wander: float = 0.0


def shares(shift: float) -> Floats:
    normal = NormalDist()
    bounds = [normal.cdf(normal.inv_cdf(step / BINS) - shift) for step in range(1, BINS)]
    return np.diff(np.array([0.0, *bounds, 1.0]))


def distance_of(one: Floats, other: Floats) -> float:
    return float(np.abs(np.cumsum(one - other)).max())


def simulate(cell: Cell, runs: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Answers by bin of both sides, [attempts, polls, bins], and the rows of publishing, [attempts, bins]."""
    draw = np.random.default_rng([seed, round(1000 * cell.shift), round(cell.rps), round(1000 * cell.world)])
    sides = []
    for part, shift in ((cell.weight, cell.shift), (1 - cell.weight, 0.0)):
        answered = draw.poisson(cell.rps * POLL_SECONDS * part, (runs, POLLS))
        counts = np.zeros((runs, POLLS, BINS), np.int64)
        for poll in range(POLLS):
            moved = shares(cell.world + shift + cell.wander * poll / POLLS)
            counts[:, poll] = draw.multinomial(answered[:, poll], moved)
        sides.append(counts)
    return sides[0], sides[1], draw.multinomial(ROWS, shares(0.0), runs)


def against_stable(canary: NDArray[np.int64], stable: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Significant, and surely further apart than is tolerated: the twin of `judge.drift`."""
    ours, theirs = np.cumsum(canary, 1), np.cumsum(stable, 1)
    evidence = np.cumsum(np.floor(_log_factors(ours - canary, theirs - stable, canary, stable) * 1000), 1) / 1000
    sure = _distance(ours, theirs) - _doubt(ours) - _doubt(theirs)
    hits: NDArray[np.bool_] = (np.logaddexp(evidence + np.log(STAKED), np.log(1 - STAKED)) >= np.log(1 / ALPHA)) & (
        sure > TOLERANCE
    )
    return hits


def against_rows(side: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    answered = np.cumsum(side, 1)
    unsure = _doubt(answered) + np.sqrt(np.log(4 / (ALPHA * STAKED)) / (2 * ROWS))
    hits: NDArray[np.bool_] = _distance(answered, rows[:, None, :]) - unsure > TOLERANCE
    return hits


def _log_factors(past_c: Floats, past_s: Floats, canary: Floats, stable: Floats) -> Floats:
    pool = (past_c + past_s + 1 / BINS) / ((past_c + past_s).sum(-1, keepdims=True) + 1)
    ours, theirs = ((past + PRIOR * pool) / (past.sum(-1, keepdims=True) + PRIOR) for past in (past_c, past_s))
    n_c, n_s = (counts.sum(-1, keepdims=True) for counts in (canary, stable))
    mixed = (n_c * ours + n_s * theirs) / np.maximum(n_c + n_s, 1)
    bets = (n_c > 0) & (n_s > 0)
    factors = np.where(bets, canary * np.log(ours / np.where(bets, mixed, 1.0)), 0.0)
    factors += np.where(bets, stable * np.log(theirs / np.where(bets, mixed, 1.0)), 0.0)
    total: Floats = factors.sum(-1)
    return total


def _distance(one: NDArray[np.int64], other: NDArray[np.int64]) -> Floats:
    ours, theirs = (np.cumsum(counts, -1) / np.maximum(counts.sum(-1, keepdims=True), 1) for counts in (one, other))
    gap: Floats = np.abs(ours - theirs).max(-1)
    return gap


def _doubt(counts: NDArray[np.int64]) -> Floats:
    answers = counts.sum(-1)
    sizes, where = np.unique(answers, return_inverse=True)
    known = np.array([doubt(int(size), BINS, ALPHA * STAKED / 2) if size else np.inf for size in sizes])
    found: Floats = known[where].reshape(answers.shape)
    return found


def moved(runs: int) -> list[Row]:
    """Paused, in percent / median seconds; with neither a shift nor one within the tolerance it is never due."""
    rows = []
    for shift in SHIFTS:
        row = _row(f"candidate by {shift:g}" if shift else "nothing", distance_of(shares(shift), shares(0.0)))
        for rps, weight in ((2, 0.5), (20, 0.1), (200, 0.1)):
            canary, stable, published = simulate(Cell(rps, weight, shift), runs, seed=14)
            said = f"{rps:g} rps, {100 * weight:g} %"
            row[f"{said}: from stable"] = _short(against_stable(canary, stable))
            row[f"{said}: from its rows"] = _short(against_rows(canary, published))
        rows.append(row)
    return rows


def the_world(runs: int) -> list[Row]:
    """What is no doing of the candidate's: nothing is found beside stable; beside its rows it is, with the cause."""
    rows = []
    for name, cell in (
        ("nothing", Cell(20, 0.1, 0.0)),
        ("the world by 0.7", Cell(20, 0.1, 0.0, world=0.7)),
        ("the world, on and on", Cell(20, 0.1, 0.0, wander=1.0)),
    ):
        canary, stable, published = simulate(cell, runs, seed=15)
        found, ours, theirs = (
            against_stable(canary, stable),
            against_rows(canary, published),
            against_rows(stable, published),
        )
        bound = 100 * upper_bound(int(found.any(1).sum()), runs)
        first = ours.argmax(1)
        paused = ours.any(1)
        named = theirs[np.arange(runs), first] & paused
        rows.append(
            {
                "moves": name,
                "paused for stable, %": 100 * float(found.any(1).mean()),
                "95 % bound, %": bound,
                "bar": "kept" if bound <= 100 * ALPHA else "not shown" if runs < 400 else "BROKEN",
                "paused for its rows, %": 100 * float(paused.mean()),
                "of those, named as the world's, %": 100 * float(named.sum() / max(1, paused.sum())),
            }
        )
    return rows


def _row(name: str, distance: float) -> dict[str, str | int | float]:
    return {"moves": name, "true distance": distance}


def _short(hits: NDArray[np.bool_]) -> str:
    hit = hits.any(1)
    share = f"{100 * hit.mean():.0f}" if hit.mean() >= 0.0995 or not hit.any() else f"{100 * hit.mean():.1f}"
    if hit.mean() < 0.5:
        return share
    seconds = np.where(hit, (hits.argmax(1) + 1) * POLL_SECONDS, np.iinfo(np.int64).max)
    return f"{share} / {np.quantile(seconds, 0.5, method='inverted_cdf'):.0f}"

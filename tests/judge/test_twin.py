"""The benchmark's vectorised twin says what the real judge says at every poll; the promise holds on a quick grid."""

from bisect import bisect_left
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.judge import moved, speed
from benchmarks.judge.measures import upper_bound
from benchmarks.judge.replay import polls, replay
from benchmarks.judge.traffic import Cell, simulate
from benchmarks.judge.twin import combined, passing, passing_latency, wealth
from turnout.api.analysis import Analysis, Assumption
from turnout.judge.accounting import ERROR_PASS, LATENCY_PASS
from turnout.judge.budget import combined as real_combined
from turnout.judge.drift import distance_at_least, log_factor, moved_at_least, part_of
from turnout.judge.drift import wealth as wealth_of_drift
from turnout.judge.harm import log_mean
from turnout.judge.memory import MILLI, parse
from turnout.judge.passing import evidence
from turnout.judge.terms import terms_of

CELLS = [
    Cell(20, 0.1, 0.005, ratio=6),
    Cell(200, 0.5, 0.02, nuisance="clustered"),
    Cell(200, 0.1, 0.005, slower=1.2, nuisance="weight change", pods=(2, 3)),
    Cell(200, 0.25, 0.05, nuisance="source errors"),
    Cell(200, 0.25, 0.005, slower=1.2, shape="narrow"),
    Cell(200, 0.1, 0.02, nuisance="retries"),
]


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("assume", list(Assumption))
def test_the_twin_is_the_judge(cell: Cell, assume: Assumption) -> None:
    traffic = simulate(cell, runs=2, seed=4, polls=20)
    evidence_of_twin = combined(wealth(traffic, assume))
    passes = passing(traffic, 0.01, robust=assume is not Assumption.INDEPENDENT_REQUESTS)
    latency_passes = passing_latency(traffic, cell, 1.5, robust=assume is not Assumption.INDEPENDENT_REQUESTS)
    analysis = Analysis(assume=assume)
    terms = terms_of(analysis)
    for run in range(2):
        findings = replay(traffic, run, analysis, intervals=20, beyond=cell.beyond)
        for poll, finding in enumerate(findings):
            memory = parse(finding.status.memory)
            assert memory is not None
            real = real_combined(terms, [log_mean(logs, MILLI) for logs in memory.wealths], None)
            assert real == pytest.approx(evidence_of_twin[run, poll], abs=0.05)
            if not traffic.discarded.any():
                canary, stable = memory.spreads
                spread = max(canary.factor_at(0.01), stable.factor) if terms.robust else 1.0
                real_pass = evidence(memory.passes[ERROR_PASS], spread)
                assert real_pass == pytest.approx(passes[run, poll], abs=0.05)
                if cell.rps < 200:
                    continue  # too few to be sure on which side of the choice of bets the window lies
                split = memory.split.factor if terms.robust else 1.0
                real_pass = evidence(memory.passes[LATENCY_PASS], split)
                assert real_pass == pytest.approx(latency_passes[run, poll], rel=0.01, abs=0.05)


@pytest.mark.parametrize(
    ("assume", "cell"),
    [
        (Assumption.INDEPENDENT_REQUESTS, Cell(20, 0.1, 0.005)),
        (Assumption.CLUSTERED_ERRORS, Cell(20, 0.1, 0.005)),
        (Assumption.CLUSTERED_ERRORS, Cell(200, 0.5, 0.02, nuisance="clustered")),
        (Assumption.CLUSTERED_ERRORS, Cell(200, 0.1, 0.02, nuisance="sticky")),
    ],
    ids=str,
)
def test_no_more_than_alpha_of_the_innocent_are_condemned(assume: Assumption, cell: Cell) -> None:
    """5 000 attempts: at most 38 at 1 %, so that the 95 % bound stays below alpha."""
    hits = int((combined(wealth(simulate(cell, 5000, seed=1), assume)).max(1) >= np.log(100)).sum())
    assert upper_bound(hits, 5000) <= 0.01


def test_what_is_timed_is_the_same_traffic_in_as_many_buckets_as_the_predictors_have() -> None:
    for coarse in polls(simulate(Cell(200, 0.1, 0.02, pods=(2, 3)), 1, seed=2), 0, intervals=3):
        fine = speed.finely(coarse)
        places = [0, *(bisect_left(fine.edges, edge) + 1 for edge in coarse.edges), len(fine.edges) + 1]
        for pod, known in zip((*fine.canary, *fine.stable), (*coarse.canary, *coarse.stable), strict=True):
            assert all(pod.latency[:-1])
            assert tuple(sum(pod.latency[start:end]) for start, end in pairwise(places)) == known.latency


def test_the_simulator_is_seeded() -> None:
    one, other = (simulate(CELLS[0], 3, seed=2) for _ in range(2))
    assert (one.canary.bad == other.canary.bad).all()


def test_the_twin_of_drift_is_the_judge() -> None:
    """Both comparisons, poll by poll, on the same answers."""
    cell = moved.Cell(20, 0.25, 0.7, world=0.1)
    canary, stable, rows = moved.simulate(cell, 2, seed=3)
    twin = moved.against_stable(canary, stable), moved.against_rows(canary, rows)
    for run in range(2):
        ours, theirs, evidence_so_far = (0,) * moved.BINS, (0,) * moved.BINS, 0
        published = tuple(rows[run].tolist())
        for poll in range(20):
            new, other = (tuple(side[run, poll].tolist()) for side in (canary, stable))
            evidence_so_far += int(log_factor(ours, theirs, new, other) * 1000 // 1)
            ours, theirs = (tuple(map(sum, zip(*pair, strict=True))) for pair in ((ours, new), (theirs, other)))
            significant = wealth_of_drift(-1e5, evidence_so_far / 1000, 1) >= np.log(1 / moved.ALPHA)
            sure = distance_at_least(ours, theirs, moved.ALPHA * part_of(1)) > moved.TOLERANCE
            assert (significant and sure) == twin[0][run, poll]
            assert (moved_at_least(ours, published, moved.ALPHA * part_of(1)) > moved.TOLERANCE) == twin[1][run, poll]
    assert twin[0].any()
    assert twin[1].any()

"""The course of the evidence: spans the whole attempt, stays small, and is nothing that could stop a rollout."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from turnout.api.judgement import AnalysisStatus, MetricStatus, Trail
from turnout.rollout.trail import BOUND, MOST, extended, logarithm, moments

BEGAN = datetime(2026, 11, 21, 10, 41, 15, tzinfo=UTC)
EVERY = timedelta(seconds=15)


def known(harm: str, **metrics: tuple[str, str]) -> AnalysisStatus:
    shown = tuple(MetricStatus(name=name, harm=bad, pass_=good) for name, (bad, good) in metrics.items())
    return AnalysisStatus(harm=harm, metrics=shown)


def grown(polls: int, every: timedelta = EVERY) -> Trail:
    trail = None
    for poll in range(polls):
        said = known(f"{1 + poll}", errors=(f"{1 + poll}", "2"), latency=("1", ""))
        trail = extended(trail, said, BEGAN + poll * every, 10, every)
    assert trail is not None
    return trail


def test_each_poll_is_a_moment_with_what_was_known_then() -> None:
    trail = grown(3)
    assert (trail.seconds, trail.weight, trail.harm) == ("0 15 30", "10 10 10", "0 69 110")
    assert [(each.name, each.harm, each.pass_) for each in trail.metrics] == [
        ("errors", "0 69 110", "69 69 69"),
        ("latency", "0 0 0", ""),
    ]
    last = moments(trail)[-1]
    assert (last.at, last.harm, last.metrics["errors"], last.passing) == (30, 1.1, 1.1, {"errors": 0.69})


@pytest.mark.parametrize("polls", [1, 2, MOST, MOST + 1, 500, 6000])
def test_it_spans_the_attempt_in_a_few_dozen_moments_that_are_evenly_apart(polls: int) -> None:
    trail = grown(polls)
    points = moments(trail)
    assert len(points) == polls if polls < MOST else MOST // 2 - 2 <= len(points) <= MOST
    assert (points[0].at, points[-1].at) == (0, 15 * (polls - 1))
    gaps = [after.at - before.at for before, after in pairwise(points[:-1])]
    assert len(set(gaps)) <= 1
    assert len(str(trail.body())) < 2500


def test_irregular_polls_are_thinned_too() -> None:
    trail, at = None, 0
    for poll in range(3000):
        at += 5 + poll * 37 % 600
        trail = extended(trail, known("2"), BEGAN + timedelta(seconds=at), 10, EVERY)
    assert trail is not None
    assert len(moments(trail)) <= MOST


def test_a_metric_that_comes_later_has_had_no_evidence_until_then() -> None:
    trail = extended(grown(2), known("3", custom=("2.718", ""), errors=("1", "1")), BEGAN + 2 * EVERY, 25, EVERY)
    assert {each.name: each.harm for each in trail.metrics} == {"custom": "0 0 100", "errors": "0 69 0"}
    assert trail.weight == "10 10 25"


def test_a_clock_that_jumps_back_turns_no_line_around() -> None:
    trail = extended(grown(3), known("1"), BEGAN - timedelta(hours=1), 10, EVERY)
    assert trail.seconds == "0 15 30 30"


@pytest.mark.parametrize(
    "broken",
    [
        Trail(began=BEGAN, seconds="0 15", weight="10", harm="0 1"),
        Trail(began=BEGAN, seconds="0 15", weight="10 10", harm="0 much"),
        Trail(began=BEGAN, seconds="0 15", weight="10 10", harm="0 5-3"),
        Trail(began=BEGAN, seconds="", weight="", harm=""),
    ],
)
def test_what_cannot_be_read_is_begun_anew(broken: Trail) -> None:
    assert moments(broken) == ()
    assert extended(broken, known("1"), BEGAN, 10, EVERY).seconds == "0"


def test_what_would_outgrow_its_place_is_begun_anew() -> None:
    line = " ".join("0" * 256)
    assert extended(Trail(began=BEGAN, seconds=line, weight=line, harm=line), known("1"), BEGAN, 10, EVERY).harm == "0"


@pytest.mark.parametrize(("evidence", "log"), [("", 0.0), ("1", 0.0), ("nonsense", 0.0), ("0", -BOUND / 100)])
def test_evidence_as_text(evidence: str, log: float) -> None:
    assert logarithm(evidence) == log

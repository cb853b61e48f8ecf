"""Bounds of one's own, and the judge that knows nothing else."""

import pytest

from tests.judge.counting import Attempt, analysis
from turnout.api.reasons import Reason
from turnout.judge.protocol import Finding, Lifted, Outcome


def bounded(judge: str = "Sequential", **metric: object) -> Attempt:
    custom = [{"name": "depth", "query": "sum(depth)", "max": "10", **metric}]
    return Attempt(analysis(judge=judge, custom=custom, latency={"enabled": False}))


def see(attempt: Attempt, *values: float) -> Finding:
    for value in values:
        attempt.serve((100, 0), (900, 9))
        found = attempt.ask(custom={"depth": value})
    return found


@pytest.mark.parametrize(
    ("metric", "values", "outcome"),
    [
        pytest.param({}, [11], Outcome.HARM, id="above max at once"),
        pytest.param({"max": "", "min": "3"}, [2], Outcome.HARM, id="below min"),
        pytest.param({}, [10], Outcome.HOLD, id="on the bound"),
        pytest.param({"action": "Pause"}, [11], Outcome.PAUSE, id="and it should pause"),
        pytest.param({"for": "30s"}, [11, 11], Outcome.HOLD, id="not yet for long enough"),
        pytest.param({"for": "30s"}, [11, 11, 11], Outcome.HARM, id="for as long as it says"),
        pytest.param({"for": "30s"}, [11, 11, 9, 11, 11], Outcome.HOLD, id="it came back in between"),
        pytest.param({"dryRun": True}, [11, 11], Outcome.HOLD, id="it is only looked at"),
    ],
)
def test_a_bound(metric: dict[str, object], values: list[float], outcome: Outcome) -> None:
    found = see(bounded(**metric), *values)
    assert found.outcome is outcome
    if outcome is not Outcome.HOLD:
        assert found.reason is Reason.CustomMetric
        assert "this bound carries no guarantee" in found.message


def test_a_bound_that_rolls_back_comes_before_one_that_pauses() -> None:
    metrics = [
        {"name": "depth", "query": "a", "max": "1", "action": "Pause"},
        {"name": "cost", "query": "b", "max": "1"},
    ]
    found = Attempt(analysis(custom=metrics)).ask(custom={"depth": 5.0, "cost": 5.0})
    assert (found.outcome, found.message.split()[0]) == (Outcome.HARM, "cost")


@pytest.mark.parametrize("values", [{}, {"depth": float("nan")}])
def test_a_query_without_a_number_is_no_data(values: dict[str, float]) -> None:
    found = bounded().ask(custom=values)
    assert found.outcome is Outcome.NO_DATA
    assert "depth" in found.message


def test_a_query_that_is_only_looked_at_may_be_silent() -> None:
    assert bounded(dryRun=True).ask(custom={}).outcome is Outcome.HOLD


def test_threshold_does_not_roll_back_what_the_sequential_judge_would() -> None:
    attempt = bounded("Threshold")
    see(attempt, 1)
    for _ in range(8):
        attempt.serve((100, 50), (900, 0))
        found = attempt.ask(custom={"depth": 1.0})
    assert found.outcome is Outcome.PASS
    assert float(found.status.metrics[0].harm) > 1000
    assert "a threshold carries no guarantee" in found.message


def test_threshold_holds_without_numbers_and_waits_for_as_many_requests() -> None:
    attempt = bounded("Threshold")
    see(attempt, 1)
    assert attempt.ask(custom={}).outcome is Outcome.NO_DATA
    assert attempt.ask(stable=(), custom={"depth": 1.0}).outcome is Outcome.NO_DATA
    assert attempt.ask(trouble="it timed out").outcome is Outcome.SOURCE_ERROR
    found = attempt.ask(custom={"depth": 1.0})
    while found.outcome is Outcome.HOLD:
        attempt.serve((1, 0), (9, 0))
        found = attempt.ask(custom={"depth": 1.0})
    assert found.outcome is Outcome.TOO_FEW_REQUESTS


def test_threshold_does_not_pass_out_of_bounds() -> None:
    attempt = bounded("Threshold", **{"for": "5m"})
    found = see(attempt, *[11.0] * 12)
    assert found.outcome is Outcome.HOLD
    assert "depth within its bounds" in found.message


def test_a_bound_that_a_person_has_let_pass_stops_nothing_until_it_was_kept_once() -> None:
    attempt = bounded(action="Pause")
    found = see(attempt, 11)
    assert (found.outcome, found.metric, found.level) == (Outcome.PAUSE, "depth", "11")
    attempt.lifted = {(Reason.CustomMetric, "depth"): Lifted(attempt.at, 11.0)}
    assert see(attempt, 11, 14).outcome is Outcome.HOLD
    assert see(attempt, 9).outcome is Outcome.HOLD
    assert see(attempt, 11).outcome is Outcome.PAUSE


def test_one_that_was_let_pass_hides_no_other() -> None:
    metrics = [{"name": name, "query": name, "max": "1", "action": "Pause"} for name in ("depth", "cost")]
    attempt = Attempt(analysis(custom=metrics))
    attempt.ask(custom={"depth": 5.0, "cost": 0.0})
    attempt.lifted = {(Reason.CustomMetric, "depth"): Lifted(attempt.at, 5.0)}
    found = attempt.ask(custom={"depth": 5.0, "cost": 2.0})
    assert (found.outcome, found.metric, found.level) == (Outcome.PAUSE, "cost", "2")


def test_threshold_passes_with_a_bound_that_a_person_has_let_pass() -> None:
    attempt = bounded("Threshold", action="Pause")
    see(attempt, 11)
    attempt.lifted = {(Reason.CustomMetric, "depth"): Lifted(attempt.at, 11.0)}
    assert see(attempt, *[11.0] * 12).outcome is Outcome.PASS


DEPTH = {"name": "depth", "query": "a", "max": "10", "for": "10m", "action": "Pause"}
COST = {"name": "cost", "query": "b", "max": "10", "for": "10m"}


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        pytest.param([COST, DEPTH], Outcome.PAUSE, id="another before it begins its own time"),
        pytest.param([DEPTH, COST], Outcome.PAUSE, id="another behind it"),
        pytest.param([COST], Outcome.HOLD, id="another in its place"),
        pytest.param([{**DEPTH, "max": "5"}], Outcome.HOLD, id="another bound of its own"),
        pytest.param([], Outcome.HOLD, id="none is left"),
    ],
)
def test_how_long_a_bound_is_broken_is_its_own_also_where_the_list_is_edited(
    after: list[dict[str, str]], outcome: Outcome
) -> None:
    attempt = Attempt(analysis(custom=[DEPTH], latency={"enabled": False}))
    for _ in range(45):
        attempt.serve((100, 0), (900, 0))
        attempt.ask(custom={"depth": 11.0})
    attempt.analysis = analysis(custom=after, latency={"enabled": False})
    attempt.step = None
    attempt.serve((100, 0), (900, 0))
    found = attempt.ask(custom={"depth": 11.0, "cost": 11.0})
    assert found.outcome is outcome

"""What the judge says when: every outcome, in the order of its rules, poll after poll."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.judge.counting import START, Attempt, Pod, analysis, only_errors
from turnout.api.reasons import Reason
from turnout.api.rollout import AnalysisStep
from turnout.api.scalars import Duration
from turnout.judge.protocol import Finding, Outcome


def last(attempt: Attempt, canary: float, stable: float, rate: float = 20, seed: int = 1) -> Finding:
    return list(attempt.run(rate, canary, stable, seed))[-1]


@pytest.mark.parametrize("assume", ["IndependentRequests", "ClusteredErrors", "PodBursts"])
def test_a_candidate_that_fails_more_is_proven_worse(assume: str) -> None:
    found = last(Attempt(only_errors(assume=assume)), canary=0.10, stable=0.005)
    assert (found.outcome, found.reason) == (Outcome.HARM, Reason.ErrorRate)
    assert "worse than stable, proven within a false-alarm budget of 1 %" in found.message
    assert found.message.startswith("canary ")


def test_a_candidate_that_fails_less_is_proven_good() -> None:
    found = last(Attempt(), canary=0.0, stable=0.005, rate=100)
    assert (found.outcome, found.reason) == (Outcome.PASS, Reason.StepDone)
    assert found.message.startswith("proven good enough by ")


def slow(attempt: Attempt, seconds: list[float], polls: int = 40) -> Finding:
    """Stable answers in 20 to 100 ms, evenly; the candidate as said."""
    finding = attempt.ask()
    for _ in range(polls):
        for pods, requests, pace in ((attempt.canary, 100, seconds), (attempt.stable, 900, EVENLY)):
            for pod in pods:
                pod.serve(requests, 0, pace)
        finding = attempt.ask()
        if finding.outcome is not Outcome.HOLD:
            break
    return finding


EVENLY = [0.02 + 0.0008 * index for index in range(100)]


@pytest.mark.parametrize(
    ("seconds", "edge"),
    [
        pytest.param([1.6 * each for each in EVENLY], "p", id="all of it shifted"),
        pytest.param([*EVENLY[:80], *(20 * [0.5])], "p9", id="a heavier tail"),
        pytest.param([0.02, 0.3], "p", id="a second mode"),
    ],
)
def test_a_slower_candidate_is_proven_worse(seconds: list[float], edge: str) -> None:
    found = slow(Attempt(analysis()), seconds)
    assert (found.outcome, found.reason) == (Outcome.HARM, Reason.Latency)
    assert f"(stable's {edge}" in found.message


def test_an_equal_candidate_passes_both_metrics() -> None:
    attempt = Attempt(analysis())
    assert slow(attempt, EVENLY).outcome is Outcome.PASS
    assert [metric.name for metric in attempt.finding.status.metrics] == [  # type: ignore[union-attr]
        "errors",
        "latency p50",
        "latency p90",
        "latency p99",
    ]


def test_fast_failures_do_not_look_like_speed() -> None:
    """Latency is of successes: half of them failing at once changes no share of slow ones."""
    attempt = Attempt(analysis(errors={"enabled": False}))
    attempt.ask()
    for _ in range(8):
        attempt.canary[0].serve(200, 100, [1.6 * each for each in EVENLY])
        attempt.stable[0].serve(900, 0, EVENLY)
        if attempt.ask().outcome is Outcome.HARM:
            break
    assert attempt.finding is not None
    assert attempt.finding.reason is Reason.Latency


def no_pods(attempt: Attempt) -> Finding:
    return attempt.ask(stable=())


def not_a_number(attempt: Attempt) -> Finding:
    return attempt.ask(canary=(replace(attempt.canary[0].read(), requests=float("nan")),))


def silence(attempt: Attempt) -> Finding:
    for _ in range(5):
        attempt.ask()
    return attempt.ask()


@pytest.mark.parametrize(
    ("act", "outcome", "words"),
    [
        pytest.param(no_pods, Outcome.NO_DATA, "no pod of stable", id="a side is stale"),
        pytest.param(not_a_number, Outcome.NO_DATA, "counters of the candidate", id="a value is no number"),
        pytest.param(silence, Outcome.NO_DATA, "nobody asked", id="no request on either side for a while"),
        pytest.param(
            lambda a: a.ask(trouble="it timed out"), Outcome.SOURCE_ERROR, "it timed out", id="the source fails"
        ),
        pytest.param(
            lambda a: a.ask(trouble="two series", ambiguous=True),
            Outcome.SOURCE_ERROR,
            "AmbiguousQuery: two series",
            id="a query names two series",
        ),
    ],
)
def test_without_numbers_it_says_so(act: Callable[[Attempt], Finding], outcome: Outcome, words: str) -> None:
    attempt = Attempt()
    attempt.ask()
    attempt.serve((50, 0), (450, 2))
    attempt.ask()
    before = attempt.memory
    found = act(attempt)
    assert found.outcome is outcome
    assert words in found.message
    if outcome is Outcome.SOURCE_ERROR:
        assert found.status.memory == before


def test_an_outage_spoils_nothing_the_next_poll_spans_the_gap() -> None:
    with_gap, without = Attempt(), Attempt()
    for attempt, gap in ((with_gap, True), (without, False)):
        attempt.ask()
        attempt.serve((50, 1), (450, 2))
        if gap:
            attempt.ask(trouble="gone")
        else:
            attempt.at += timedelta(seconds=15)
        attempt.serve((50, 3), (450, 2))
        attempt.ask()
    assert with_gap.memory == without.memory
    assert with_gap.finding is not None
    assert with_gap.finding.status.requests.canary == 100


STEP_OVER = AnalysisStep(min_duration=Duration("15s"), max_duration=Duration("2m"), min_requests=200)


def test_too_little_traffic_is_said_with_what_would_do() -> None:
    found = last(Attempt(step=STEP_OVER), canary=0.0, stable=0.0, rate=2)
    assert (found.outcome, found.reason) == (Outcome.TOO_FEW_REQUESTS, Reason.TooFewRequests)
    assert "of 200 requests in 2m" in found.message
    assert "at this weight would do, or a weight of" in found.message


def test_enough_traffic_and_no_proof_is_inconclusive_and_may_go_on_by_policy() -> None:
    found = last(Attempt(step=STEP_OVER), canary=0.012, stable=0.012, rate=40, seed=3)
    assert (found.outcome, found.reason, found.may_advance) == (Outcome.INCONCLUSIVE, Reason.Inconclusive, True)


def test_what_looks_like_harm_is_not_let_through_by_policy() -> None:
    attempt = Attempt(step=STEP_OVER)
    attempt.ask()
    while attempt.at < START + timedelta(minutes=2):
        attempt.serve((100, 1), (900, 9))
        attempt.ask()
    attempt.serve((100, 6), (900, 1))
    attempt.ask()
    attempt.serve((100, 6), (900, 1))
    found = attempt.ask()
    assert (found.outcome, found.may_advance) == (Outcome.INCONCLUSIVE, False)
    assert "too much speaks for harm" in found.message


def test_harm_is_looked_for_outside_of_steps_too() -> None:
    found = last(Attempt(step=None), canary=0.2, stable=0.005)
    assert found.outcome is Outcome.HARM


def test_a_pass_starts_anew_in_each_step_and_harm_does_not() -> None:
    attempt = Attempt()
    attempt.ask()
    for _ in range(4):
        attempt.serve((100, 3), (900, 9))
        attempt.ask()
    assert attempt.finding is not None
    harm = attempt.finding.status.metrics[0].harm
    assert attempt.finding.status.requests.canary == 400
    attempt.step_index = 4
    again = attempt.ask()
    assert again.status.requests.canary == 0
    assert again.status.metrics[0].harm == harm
    assert again.status.metrics[0].pass_ == "1"


def test_an_interval_in_which_the_weight_changed_is_discarded_for_good() -> None:
    attempt = Attempt()
    attempt.ask()
    attempt.serve((100, 90), (900, 0))
    attempt.weight = 25
    found = attempt.ask()
    assert found.status.requests.canary == 0
    assert found.status.metrics[0].harm == "1"
    attempt.serve((100, 0), (900, 0))
    assert attempt.ask().status.requests.canary == 100


def test_an_interval_in_which_the_weight_went_and_came_back_is_discarded_too() -> None:
    attempt = Attempt()
    attempt.ask()
    attempt.serve((100, 90), (900, 0))
    found = attempt.ask(weight_since=attempt.at - timedelta(seconds=5))
    assert found.status.requests.canary == 0


def test_without_a_weight_nothing_counts() -> None:
    """Warm-up never enters."""
    attempt = Attempt(weight=0)
    attempt.ask()
    attempt.serve((100, 90), (900, 0))
    assert attempt.ask().status.requests.canary == 0


def test_the_same_poll_asked_about_again_counts_once() -> None:
    attempt = Attempt()
    attempt.ask()
    attempt.serve((100, 9), (900, 1))
    attempt.ask()
    memory = attempt.memory
    attempt.at -= timedelta(seconds=15)
    assert attempt.ask().status.memory == memory


def test_no_poll_yet_is_a_hold() -> None:
    attempt = Attempt()
    from turnout.judge.sequential import SequentialJudge

    found = SequentialJudge().look(attempt.question(None))
    assert (found.outcome, found.message) == (Outcome.HOLD, "no poll yet")


@pytest.mark.parametrize("garbage", ["x", "1;2;3", "1;0;;;;;;;;;;0", ";", "2;1;zz;;;;;;;;0", "🐟", "1;" * 600], ids=str)
def test_a_memory_that_cannot_be_read_is_begun_anew_and_costs_another_alpha(garbage: str) -> None:
    attempt = Attempt()
    attempt.memory = garbage
    found = attempt.ask()
    assert found.outcome is Outcome.HOLD
    assert "this attempt's false-alarm budget is 2 x alpha" in found.message
    attempt.serve((100, 30), (900, 1))
    attempt.ask()
    attempt.serve((100, 30), (900, 1))
    attempt.ask()
    attempt.serve((100, 30), (900, 1))
    assert "within a false-alarm budget of 2 %" in attempt.ask().message


def test_other_terms_in_the_middle_of_an_attempt_make_the_old_evidence_mean_nothing() -> None:
    attempt = Attempt()
    attempt.ask()
    attempt.serve((100, 9), (900, 1))
    attempt.ask()
    attempt.analysis = only_errors(assume="PodBursts")
    assert "2 x alpha" in attempt.ask().message


def test_two_metrics_share_one_budget() -> None:
    """The mean of the evidence decides: beside latency, an error rate needs twice the evidence."""
    alone, shared = Attempt(only_errors()), Attempt(analysis())
    for attempt in (alone, shared):
        attempt.ask()
        for _ in range(4):
            attempt.serve((30, 3), (270, 1))
            attempt.ask()
    (errors,), (same, *latency) = (
        [float(metric.harm) for metric in attempt.finding.status.metrics]
        for attempt in (alone, shared)
        if attempt.finding
    )
    assert errors == same > 10
    assert alone.finding is not None
    assert shared.finding is not None
    assert float(alone.finding.status.harm) == errors
    assert float(shared.finding.status.harm) == pytest.approx((errors + sum(latency) / 3) / 2, rel=0.01)


def no_answer(attempt: Attempt) -> Finding:
    return attempt.ask(trouble="it timed out")


@pytest.mark.parametrize("act", [no_answer, no_pods, not_a_number, silence])
def test_harm_that_was_proven_is_said_whatever_the_next_poll_lacks(act: Callable[[Attempt], Finding]) -> None:
    attempt = Attempt()
    proven = last(attempt, canary=0.10, stable=0.005)
    assert proven.outcome is Outcome.HARM
    found = act(attempt)
    assert (found.outcome, found.reason) == (Outcome.HARM, Reason.ErrorRate)
    assert "worse than stable, proven" in found.message


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        pytest.param(no_answer, Outcome.SOURCE_ERROR, id="the source fails"),
        pytest.param(no_pods, Outcome.NO_DATA, id="a side is stale"),
        pytest.param(not_a_number, Outcome.NO_DATA, id="a value is no number"),
        pytest.param(silence, Outcome.NO_DATA, id="no request on either side for a while"),
    ],
)
def test_what_was_proven_good_does_not_pass_by_a_poll_that_says_nothing(
    act: Callable[[Attempt], Finding], outcome: Outcome
) -> None:
    attempt = Attempt()
    assert last(attempt, canary=0.0, stable=0.005, rate=100).outcome is Outcome.PASS
    assert act(attempt).outcome is outcome


def test_stable_dead_silences_harm_and_leaves_the_absolute_tests() -> None:
    attempt = Attempt(analysis(latency={"passBelow": "0.33"}), stable_unhealthy=True)
    found = attempt.ask(stable=())
    for _ in range(12):
        attempt.canary[0].serve(200, 0, EVENLY)
        found = attempt.ask(stable=())
    assert found.outcome is Outcome.PASS


def test_stable_dead_and_no_absolute_bound_on_latency_proves_nothing() -> None:
    attempt = Attempt(analysis(), stable_unhealthy=True)
    attempt.ask(stable=())
    for _ in range(12):
        attempt.canary[0].serve(200, 0, EVENLY)
        attempt.ask(stable=())
    assert attempt.finding is not None
    assert attempt.finding.outcome is Outcome.HOLD
    assert "latency.passBelow is empty" in attempt.finding.message


def test_restarts_of_containers_are_bad_events() -> None:
    attempt = Attempt()
    attempt.ask()
    found = None
    for _ in range(6):
        attempt.serve((30, 0), (270, 0))
        attempt.canary[0].end(attempt.at)
        found = attempt.ask()
        if found.outcome is Outcome.HARM:
            break
    assert found is not None
    assert found.outcome is Outcome.HARM


def test_a_pod_born_in_the_attempt_counts_from_its_first_request_and_an_old_one_does_not() -> None:
    attempt = Attempt()
    attempt.ask()
    attempt.serve((10, 0), (90, 0))
    attempt.canary.append(Pod("c-new", started_at=START + timedelta(seconds=3), requests=40, errors=4))
    attempt.canary.append(Pod("c-old", requests=4000, errors=400))
    attempt.canary[-1].latency[3] = 3600
    attempt.canary[-2].latency[3] = 36
    assert attempt.ask().status.requests.canary == 50


def test_a_reset_counter_counts_in_full() -> None:
    attempt = Attempt()
    attempt.serve((1000, 10), (9000, 90))
    attempt.ask()
    attempt.canary = [Pod("c-0")]
    attempt.serve((30, 1), (270, 0))
    assert attempt.ask().status.requests.canary == 30


def test_a_pod_that_was_out_of_sight_for_a_poll_is_not_taken_for_new() -> None:
    attempt = Attempt(analysis(), canary=[Pod("c-0"), Pod("c-1", started_at=START + timedelta(seconds=1))])
    attempt.ask()
    attempt.serve((20, 0), (90, 0))
    attempt.ask()
    away = attempt.canary.pop()
    attempt.serve((10, 0), (90, 0))
    attempt.ask()
    attempt.canary.append(away)
    attempt.serve((20, 0), (90, 0))
    assert attempt.ask().status.requests.canary == 50


def test_forty_pods_a_side_fit_the_memory_and_lose_no_request() -> None:
    attempt = Attempt(analysis(), [Pod(f"c-{n}") for n in range(40)], [Pod(f"s-{n}") for n in range(40)])
    attempt.ask()
    for _ in range(4):
        attempt.serve((400, 4), (3600, 36))
        found = attempt.ask()
    assert found.status.requests.canary == 1600
    assert len(found.status.memory) <= 2048


def test_a_pass_is_foretold() -> None:
    attempt = Attempt()
    attempt.ask()
    attempt.serve((100, 0), (900, 9))
    found = attempt.ask()
    assert found.outcome is Outcome.HOLD
    assert found.status.expected_at is not None
    assert START + timedelta(minutes=1) < found.status.expected_at < START + timedelta(minutes=3)


def test_a_source_that_fails_while_no_step_waits_for_evidence_holds_nothing_up() -> None:
    attempt = Attempt(step=None)
    attempt.ask()
    attempt.serve((50, 1), (450, 2))
    found = attempt.ask(trouble="it timed out")
    assert (found.outcome, found.reason) == (Outcome.HOLD, Reason.SourceError)
    attempt.serve((50, 1), (450, 2))
    assert attempt.ask().status.requests.canary == 100


def test_an_interval_in_which_the_split_was_not_seen_to_hold_counts_for_nothing() -> None:
    attempt = Attempt()
    attempt.ask()
    for _ in range(20):
        attempt.serve((100, 50), (900, 0))
        found = attempt.ask(weight_since=None)
    assert (found.outcome, found.status.requests.canary) == (Outcome.HOLD, 0)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"errors": {"enabled": False}, "latency": {"enabled": False}}, id="nothing is judged"),
        pytest.param(
            {"errors": {"enabled": False}, "latency": {"enabled": False}, "drift": {"enabled": True}}, id="drift alone"
        ),
        pytest.param({"judge": "Threshold"}, id="a threshold without a bound"),
        pytest.param(
            {"judge": "Threshold", "custom": [{"name": "a", "query": "q", "max": "3", "dryRun": True}]},
            id="a threshold whose only bound is for show",
        ),
    ],
)
def test_where_nothing_is_to_be_proven_nothing_passes(fields: dict[str, object]) -> None:
    attempt = Attempt(analysis(**fields))
    attempt.ask(custom={"a": 1.0})
    for _ in range(70):
        attempt.serve((100, 100), (900, 0))
        found = attempt.ask(custom={"a": 1.0})
        assert found.outcome is not Outcome.PASS
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "still to prove: anything: enable errors or latency" in found.message

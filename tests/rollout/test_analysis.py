"""Analysis steps by a scripted judge: what follows from each of its words, and when it is asked at all."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.rollout.judges import Scripted, always, analysed, then, unproven
from tests.rollout.simulation import TICK, version
from tests.rollout.world import World, entered
from turnout.api.control import Control, Promote
from turnout.api.judgement import MetricStatus
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.status import ConditionStatus
from turnout.judge.protocol import Finding, Outcome, Question
from turnout.rollout.plan import PollRequest

NAME = "signals-2"
INCONCLUSIVE, TOO_FEW = unproven(Outcome.INCONCLUSIVE), unproven(Outcome.TOO_FEW_REQUESTS)
LIKE_HARM = unproven(Outcome.INCONCLUSIVE, may_advance=False)


def begin(world: World, judge: Any, *weights: int, rollout: dict[str, Any] | None = None, **spec: Any) -> None:
    """Roll signals-2 out, judged, until it holds its first weight."""
    world.judge = judge
    blocks = analysed(*(weights or (10,)), **spec)
    blocks["rollout"] |= rollout or {}
    world.apply(version(2, **blocks))
    world.run(10, until=lambda: world.percent(NAME) == (weights or (10,))[0])


def stands(world: World) -> tuple[State | None, Reason | None]:
    status = world.versions[NAME].status
    return status.state, status.reason


def healthy(world: World) -> tuple[ConditionStatus, str]:
    condition = world.versions[NAME].status.condition(ConditionType.AnalysisHealthy)
    assert condition is not None
    return condition.status, condition.reason


def test_nothing_counts_that_came_before_a_caller_has_met_it(served: World) -> None:
    """Its warm-up's own requests, above all."""
    asked: list[PollRequest] = []
    served.check = lambda _world, _snapshot, plan: asked.append(plan.poll) if plan.poll else None
    begin(served, always(Outcome.HOLD))
    met_at = served.versions[NAME].status.state_since
    served.run(10)
    assert asked[0].since == met_at


def test_a_pass_leads_on_and_the_last_one_promotes(served: World) -> None:
    begin(served, always(Outcome.PASS), 10, 50)
    assert stands(served) == (State.Progressing, Reason.AwaitingEvidence)
    served.run(60, until=lambda: served.state(NAME) is State.Live)
    assert [[share.percent for share in split] for split in served.splits] == [[100], [90, 10], [50, 50], [100]]


def test_nothing_passes_before_its_least_duration(served: World) -> None:
    begin(served, always(Outcome.PASS), 10)
    served.run(9)
    assert served.percent(NAME) == 10


@pytest.mark.parametrize("percent", [10, 50])
def test_harm_rolls_back_and_is_recorded_before_its_effect(served: World, percent: int) -> None:
    begin(served, then(1, Outcome.HARM), percent)
    served.run(12)
    status = served.versions[NAME].status
    assert stands(served) == (State.RolledBack, Reason.ErrorRate)
    assert served.percent("signals-1") == 100
    assert status.message.startswith("errors: 9.1 % against 0.3 %")
    assert status.analysis is not None
    assert (status.analysis.verdict, status.analysis.memory) == ("Harm", "2")
    recorded = served.writes.index(f"record {NAME} RollingBack")
    assert served.writes[recorded + 1 :].index("route signals-1-predictor-00001=100") >= 0


def test_harm_is_found_in_a_pause_of_the_plan_and_of_a_person(served: World) -> None:
    held = {"steps": [{"setWeight": 20}, {"approval": {}}]}
    begin(served, then(2, Outcome.HARM), 20, rollout=held)
    served.edit(NAME, control=Control(paused=True))
    served.run(3)
    assert stands(served) == (State.Paused, Reason.PausedByPerson)
    served.run(15)
    assert stands(served) == (State.RolledBack, Reason.ErrorRate)


def test_harm_freezes_where_the_owner_says_so(served: World) -> None:
    begin(served, then(1, Outcome.HARM), 10, rollout={"onFailure": "Freeze"})
    served.run(60)
    assert stands(served) == (State.Frozen, Reason.ErrorRate)
    assert served.percent(NAME) == 10
    assert entered(served.events)[-1] == f"{NAME} Frozen"


def test_a_dry_run_shows_what_was_found_and_decides_nothing(served: World) -> None:
    begin(served, always(Outcome.HARM), 10, dryRun=True)
    served.run(8)
    analysis = served.versions[NAME].status.analysis
    assert analysis is not None
    assert analysis.verdict == "Harm"
    served.run(10, until=lambda: served.state(NAME) is State.Live)


def test_polls_fall_on_the_grid_and_none_is_taken_in_twice(served: World) -> None:
    by_poll: dict[datetime, str] = {}

    def says(seen: int, question: Question) -> Outcome:
        assert question.poll is not None
        assert by_poll.setdefault(question.poll.at, question.memory) == question.memory
        return Outcome.HOLD

    begin(served, Scripted(says), 10, longest="10m")
    served.run(31)
    moments = list(by_poll)
    assert all(moment.second % 5 == 0 for moment in moments)
    steps = {later - earlier for earlier, later in pairwise(moments)}
    assert steps == {timedelta(seconds=5)}
    assert list(by_poll.values()) == ["", *map(str, range(1, len(moments)))]


def test_an_operator_that_was_away_takes_in_what_it_missed(served: World) -> None:
    begin(served, then(1000, Outcome.HARM), 10, longest="10m")
    served.run(6)
    taken = int(_memory(served))
    served.now += timedelta(seconds=30)
    served.restart_operator()
    served.run(1)
    assert int(_memory(served)) == taken + 6


def test_an_operator_whose_clock_goes_back_asks_for_nothing_until_it_has_caught_up(served: World) -> None:
    """What was taken in of a moment is not asked for again; nothing rises meanwhile, and harm is found after it."""
    begin(served, then(13, Outcome.HARM), 10, 50, longest="10m")
    served.run(60)
    taken, until = _memory(served), served.now
    served.now -= timedelta(seconds=40)
    served.run(38)
    assert served.now < until
    assert (_memory(served), served.percent(NAME)) == (taken, 10)
    served.run(15)
    assert stands(served) == (State.RolledBack, Reason.ErrorRate)


def _memory(world: World) -> str:
    analysis = world.versions[NAME].status.analysis
    assert analysis is not None
    return analysis.memory


def test_the_numbers_of_another_revision_are_never_looked_at(served: World) -> None:
    begin(served, always(Outcome.HOLD), 10, longest="10m")
    served.run(6)
    assert served.poll is not None
    before = _memory(served)
    served.judge = always(Outcome.HARM)
    for other in ({"canary_uid": "another"}, {"stable_uid": "another"}):
        served.poll = _later(served, **other)
        served.passes()
    assert (stands(served)[0], _memory(served)) == (State.Progressing, before)


def _later(world: World, **other: Any) -> Any:
    assert world.poll is not None
    return replace(world.poll, at=world.poll.at + timedelta(seconds=1), **other)


def test_the_memory_is_empty_at_the_start_of_an_attempt(served: World) -> None:
    begin(served, then(1, Outcome.HARM), 10)
    served.run(12)
    memories: list[str] = []

    def says(seen: int, question: Question) -> Outcome:
        memories.append(question.memory)
        return Outcome.HOLD

    served.judge = Scripted(says)
    served.edit(NAME, control=Control(retry_token="again"))
    served.run(15)
    assert served.versions[NAME].status.attempt == 2
    assert memories[0] == ""


@pytest.mark.parametrize(
    ("policy", "judge", "ends"),
    [
        ({"onInconclusive": "Hold"}, INCONCLUSIVE, (State.Held, Reason.Inconclusive)),
        ({"onInconclusive": "Advance"}, INCONCLUSIVE, (State.Live, Reason.Promoted)),
        ({"onInconclusive": "Advance"}, LIKE_HARM, (State.Held, Reason.Inconclusive)),
        ({"onInconclusive": "Rollback"}, INCONCLUSIVE, (State.RolledBack, Reason.Inconclusive)),
        ({}, TOO_FEW, (State.Held, Reason.TooFewRequests)),
        ({"onTooFewRequests": "Advance"}, TOO_FEW, (State.Live, Reason.Promoted)),
        ({"onTooFewRequests": "Rollback"}, TOO_FEW, (State.RolledBack, Reason.TooFewRequests)),
    ],
)
def test_a_step_without_proof_ends_by_its_policy(
    served: World, policy: dict[str, str], judge: Scripted, ends: tuple[State, Reason]
) -> None:
    begin(served, judge, 10, **policy)
    served.run(28)
    assert stands(served) == (State.Progressing, Reason.AwaitingEvidence)
    served.run(20)
    assert stands(served) == ends


@pytest.mark.parametrize(
    ("proofs", "said"),
    [
        ({}, ""),
        ({"errors": "3.1", "latency p90": "0.7"}, ""),
        ({"errors": "412", "drift": "20"}, ""),
        ({"errors": "412", "drift": "8.66"}, "; still to prove: its answers are near stable's"),
        ({"drift reference": "1"}, "; still to prove: its answers are near those at publishing"),
        ({"drift": "", "drift reference": "20"}, ""),
    ],
)
def test_it_says_which_proof_of_its_answers_it_waits_for(served: World, proofs: dict[str, str], said: str) -> None:
    metrics = tuple(MetricStatus(name=name, pass_=proof) for name, proof in proofs.items())
    begin(served, replace(always(Outcome.HOLD), metrics=metrics), 10)
    served.run(8)
    assert stands(served) == (State.Progressing, Reason.AwaitingEvidence)
    assert re.fullmatch(rf"10 % since [^;]*; \d+ requests{said}; judged until .*", served.versions[NAME].status.message)


def test_a_held_step_goes_on_with_proof(served: World) -> None:
    begin(served, unproven(Outcome.TOO_FEW_REQUESTS), 10)
    served.run(60)
    served.judge = always(Outcome.PASS)
    served.run(15, until=lambda: served.state(NAME) is State.Live)


def test_the_clock_of_a_step_stands_still_while_the_source_is_silent(served: World) -> None:
    begin(served, unproven(Outcome.INCONCLUSIVE), 10, onInconclusive="Rollback")
    served.run(11)
    served.source_trouble = "connection refused"
    served.run(120)
    assert stands(served) == (State.Held, Reason.SourceError)
    assert healthy(served) == (ConditionStatus.FALSE, "SourceError")
    served.source_trouble = ""
    served.run(10)
    assert stands(served) == (State.Progressing, Reason.AwaitingEvidence)
    assert healthy(served) == (ConditionStatus.TRUE, "SourceAnswers")
    served.run(3)
    assert served.state(NAME) is State.Progressing, "about eighteen seconds were left"
    served.run(20)
    assert stands(served) == (State.RolledBack, Reason.Inconclusive)


@pytest.mark.parametrize(
    ("policy", "ends"),
    [
        ("Hold", (State.Held, Reason.SourceError)),
        ("Advance", (State.Live, Reason.Promoted)),
        ("Rollback", (State.RolledBack, Reason.SourceError)),
    ],
)
def test_a_source_that_stays_silent_past_its_grace_ends_the_hold_by_policy(
    served: World, policy: str, ends: tuple[State, Reason]
) -> None:
    begin(served, always(Outcome.HOLD), 10, onSourceError=policy, sourceGrace="1m")
    served.source_trouble = "connection refused"
    served.run(58)
    assert served.state(NAME) is State.Held
    served.run(15)
    assert stands(served) == ends


def test_no_data_and_a_silent_source_are_one_grace(served: World) -> None:
    begin(served, always(Outcome.NO_DATA), 10, onSourceError="Rollback", sourceGrace="1m")
    served.run(40)
    assert stands(served) == (State.Held, Reason.NoData)
    served.source_trouble = "connection refused"
    served.run(40)
    assert stands(served) == (State.RolledBack, Reason.SourceError)


def test_a_hold_for_want_of_data_writes_nothing_and_survives_a_restart(served: World) -> None:
    begin(served, always(Outcome.NO_DATA), 10)
    served.run(20)
    before = len(served.writes)
    served.run(60)
    served.restart_operator()
    served.run(60)
    assert served.writes[before:] == []
    assert stands(served) == (State.Held, Reason.NoData)
    assert "no request reached it" in served.versions[NAME].status.message


def test_a_metric_that_pauses_does_so_once_until_a_person_moves_it_on(served: World) -> None:
    begin(served, then(1, Outcome.PAUSE), 10, 50)
    served.run(30)
    assert stands(served) == (State.Paused, Reason.Drift)
    assert entered(served.events)[-1] == f"{NAME} Paused"
    assert "its answers have moved" in served.versions[NAME].status.message
    served.edit(NAME, control=Control(promote=Promote(token="seen")))
    served.run(5)
    assert (served.state(NAME), served.percent(NAME)) == (State.Progressing, 50)
    served.run(40, until=lambda: served.state(NAME) is State.Live)  # by onInconclusive


@pytest.mark.parametrize(
    ("policy", "state"),
    [pytest.param("Proceed", State.Live, id="absolute tests may"), pytest.param("Hold", State.Held, id="it waits")],
)
def test_where_stable_is_dead_only_a_pass_by_absolute_tests_promotes(served: World, policy: str, state: State) -> None:
    begin(served, always(Outcome.PASS), 10, 50, shortest="20s", longest="60s", rollout={"onStableUnhealthy": policy})
    served.crash("signals-1")
    served.run(15)
    assert stands(served) == (State.Held, Reason.StableUnhealthy)
    assert served.percent(NAME) == 100
    served.run(15)
    assert served.state(NAME) is state


FAILS = Scripted(lambda seen, question: Outcome.PASS, stable_fails="more than 10 % of stable's own requests fail")


@pytest.mark.parametrize(
    ("policy", "state", "percent"),
    [
        pytest.param("Proceed", State.Live, 100, id="absolute tests may"),
        pytest.param("Hold", State.Held, 10, id="it waits"),
    ],
)
def test_where_stable_fails_the_plan_goes_on_by_what_the_candidate_proves(
    served: World, policy: str, state: State, percent: int
) -> None:
    begin(served, FAILS, 10, 50, shortest="20s", longest="60s", rollout={"onStableUnhealthy": policy})
    served.run(15)
    assert stands(served) == (State.Held, Reason.StableFails)
    assert served.percent(NAME) == 10
    assert "more than 10 % of stable's own requests fail; 10 % is kept since" in served.versions[NAME].status.message
    served.run(120)
    assert (served.state(NAME), served.percent(NAME)) == (state, percent)
    given = [next((s.percent for s in split if s.revision.startswith(NAME)), 0) for split in served.splits]
    assert given == ([0, 10, 50, 100] if policy == "Proceed" else [0, 10]), "no step is left out"


def test_a_step_without_proof_beside_a_failing_stable_ends_as_its_owner_says(served: World) -> None:
    judge = Scripted(unproven(Outcome.INCONCLUSIVE).says, stable_fails="stable fails")
    begin(served, judge, 10, onInconclusive="Advance")
    served.run(60, until=lambda: served.state(NAME) is State.Live)


def test_harm_that_is_found_in_the_pass_of_an_eviction_is_acted_upon(served: World) -> None:
    """That poll is not looked at again, and the next may say less."""
    begin(served, always(Outcome.HOLD), 10, longest="10m")
    served.run(7)
    served.running[NAME].start_seconds = 60
    served.evict(NAME)
    served.run(0.5)
    served.now += timedelta(seconds=4)
    served.advance()
    served.poll, served.judge = _later(served), always(Outcome.HARM)
    served.passes()
    served.judge = always(Outcome.HOLD)
    served.run(60)
    assert stands(served) == (State.RolledBack, Reason.ErrorRate)


def test_when_stable_is_well_again_the_step_goes_on(served: World) -> None:
    begin(served, FAILS, 10, 50, longest="10m", rollout={"onStableUnhealthy": "Hold"})
    served.run(15)
    served.source_trouble = "connection refused"
    served.run(20)
    assert stands(served) == (State.Held, Reason.StableFails)
    served.source_trouble, served.judge = "", always(Outcome.HOLD)
    served.run(10)
    assert stands(served) == (State.Progressing, Reason.AwaitingEvidence)


def test_a_person_may_move_on_beside_a_failing_stable(served: World) -> None:
    begin(served, FAILS, 10, 50, rollout={"onStableUnhealthy": "Hold"})
    served.run(15)
    served.edit(NAME, control=Control(promote=Promote(token="go")))
    served.run(3)
    assert served.percent(NAME) == 50


def test_without_a_judge_a_dead_stable_is_waited_for(served: World) -> None:
    served.apply(version(2, **analysed(10)))
    served.run(4)
    served.crash("signals-1")
    served.run(90)
    assert stands(served) == (State.Held, Reason.StableUnhealthy)


def test_harm_that_is_proven_at_the_last_moment_stops_a_promotion(served: World) -> None:
    begin(served, always(Outcome.PASS), 10)
    served.frozen_until = served.now + timedelta(minutes=1)
    served.run(20, until=lambda: served.state(NAME) is State.Promoting and len(served.written) == 1)
    served.poll, served.judge = _later(served), always(Outcome.HARM)
    served.observed, served.route_due = served.written, None
    served.passes()
    served.frozen_until = None
    served.run(5)
    assert served.state("signals-1") is State.Live
    assert stands(served) == (State.RolledBack, Reason.ErrorRate)


def test_a_finding_of_nobody_is_never_asked_for_where_there_is_no_share(served: World) -> None:
    def refuses(seen: int, question: Question) -> Finding:
        raise AssertionError("asked")

    served.judge = Scripted(refuses)  # type: ignore[arg-type]
    served.apply(version(2, **{**analysed(10), "rollout": {"steps": [{"approval": {}}, {"setWeight": 10}]}}))
    served.run(30)
    assert stands(served) == (State.Paused, Reason.AwaitingApproval)
    assert served.poll is None


@pytest.mark.parametrize("outcome", [Outcome.HARM, Outcome.PAUSE])
def test_what_is_found_in_the_pass_in_which_a_share_is_due_keeps_it_from_being_given(
    served: World, outcome: Outcome
) -> None:
    """The step to 90 % is recorded and its pods come; the poll of the pass that would give it says otherwise."""
    served.edit("signals-1", scaling=version(1, scaling={"minReplicas": 2}).spec.scaling)
    served.run(5)
    begin(served, always(Outcome.PASS), 10, 90)
    served.never_ready.add(NAME)
    served.run(20, until=lambda: stands(served) == (State.Progressing, Reason.AwaitingCapacity))
    served.judge = always(Outcome.HOLD)
    served.run(1)
    served.heal(NAME)
    while served.running[NAME].ready_due:
        served.now += TICK
        served.advance()
    served.poll, served.judge = _later(served), always(outcome)
    served.run(5)
    assert all(
        share.percent != 90 or share.revision.startswith("signals-1") for split in served.splits for share in split
    )

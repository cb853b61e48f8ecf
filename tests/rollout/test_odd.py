"""Records that no pass of ours would leave: half-broken, of another release, or told by a neighbour."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.judges import UNASKED
from tests.rollout.scenarios import SCENARIOS
from tests.rollout.simulation import START, steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.reasons import Reason, State
from turnout.api.status import Condition, ConditionStatus, StepStatus, Verdict
from turnout.rollout.capacity import needed
from turnout.rollout.decide import decide
from turnout.rollout.selection import Member, Status
from turnout.rollout.snapshot import Deployment, ModelKey, Problem, Share, Snapshot, Unread


def recorded(world: World, name: str, **facts: object) -> None:
    known = world.versions[name]
    world.versions[name] = known.model_copy(update={"status": known.status.model_copy(update=facts)})


@pytest.mark.parametrize("seconds", [1, 25], ids=["in a pause", "at the next step"])
def test_a_candidate_that_carries_all_since_stable_is_deleted_becomes_stable(seconds: int) -> None:
    """ModelVersion and InferenceService both: else the next version would find no stable one and get all at once."""
    world = serving(1, check=Invariants())
    canary(world, 2, 30, 50, pause="20s")
    world.delete("signals-1")
    world.run(seconds)
    world.remove("signals-1")
    world.run(30)
    assert (world.versions["signals-2"].status.state, world.percent("signals-2")) == (State.Live, 100)
    world.apply(version(3, rollout=steps(20, pause="10m")))
    world.run(30)
    assert (world.percent("signals-2"), world.percent("signals-3")) == (80, 20)


def test_no_version_at_all_asks_for_nothing(world: World) -> None:
    assert decide(world.snapshot(), UNASKED).changes_nothing
    assert str(ModelKey("support", "signals")) == "support/signals"


def test_a_ghost_needs_one_pod() -> None:
    assert needed(Member("ghost", None, None, Status()), 50) == 1


def test_a_step_behind_the_plan_leads_to_promotion(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    recorded(served, "signals-2", state=State.Progressing, reason=None, step=StepStatus(index=99))
    served.run(3)
    assert served.state("signals-2") is State.Live


def test_a_pause_without_an_end_goes_on(served: World) -> None:
    canary(served, 2, 30, 60, pause="60s")
    recorded(served, "signals-2", state=State.Paused, reason=None, step=StepStatus(index=3))
    served.run(3)
    assert served.percent("signals-2") == 60


def test_a_verdict_that_leads_nowhere_ends_as_rolled_back(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    recorded(served, "signals-2", state=State.RollingBack, verdict=Verdict(outcome=State.Live, at=START))
    served.run(3)
    assert served.state("signals-2") is State.RolledBack


def test_a_failure_without_a_verdict_has_a_sentence_all_the_same(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    recorded(served, "signals-2", state=State.Failed, reason=Reason.Crashed, verdict=None)
    served.run(1)
    message = served.versions["signals-2"].status.message
    assert message == f"{Reason.Crashed.sentence[:-1]}; waits for a new control.retryToken: turnout retry signals 2"


def test_a_hold_that_changes_its_reason_is_told_again() -> None:
    world = World(check=Invariants())
    world.apply(version(1, scaling={"minReplicas": 3}))
    world.run(6)
    canary(world, 2, 10, 60, pause="2s")
    world.running["signals-2"].start_seconds = 90
    world.run(40, until=lambda: world.state("signals-2") is State.Held)
    world.crash("signals-1")
    world.run(1)
    assert entered(world.events).count("signals-2 Held") == 2


def test_a_split_of_a_ghost_alone_is_put_back_and_has_nobody_to_tell_it_on(served: World) -> None:
    served.apply(version(2, desired="Standby"))
    served.run(1)
    served.delete("signals-1")
    served.run(1)
    before = len(served.events)
    served.edit_route((Share("elsewhere-00001", 100),))
    served.observed = (Share("signals-1-predictor-00001", 100),)
    served.run(1)
    assert served.percent("signals-1") == 100
    assert len(served.events) == before


def test_a_stable_that_never_tells_its_contract_keeps_the_candidate_waiting(served: World) -> None:
    served.silent.add("signals-1")
    served.restart_operator()
    served.apply(version(2, rollout={"steps": [{"warmup": {"timeout": "10s"}}]}))
    served.run(6)
    assert served.state("signals-2") is State.Warming
    served.run(10)
    assert served.versions["signals-2"].status.reason is Reason.WarmupTimeout


def test_a_kept_version_that_becomes_the_target_waits_for_its_turn(served: World) -> None:
    served.apply(version(3, desired="Standby", rollout=steps(10, pause="1s")))
    canary(served, 2, 30, pause="60s")
    served.edit("signals-3", desired="Live")
    served.run(0.1)
    assert served.state("signals-3") is State.Queued
    served.run(20)
    assert served.state("signals-3") is State.Live


def test_a_fallback_that_carries_everything_does_not_retire() -> None:
    world = serving(1, 2, check=Invariants())
    world.crash("signals-2")
    world.run(1)
    world.edit("signals-1", desired="Retired")
    world.run(5)
    assert (world.state("signals-1"), world.percent("signals-1")) == (State.Standby, 100)
    world.heal("signals-2")
    world.run(15)
    assert world.states() == {"signals-1": State.Retired, "signals-2": State.Live}


def test_trouble_is_said_of_a_deployment_that_cannot_be_made(world: World) -> None:
    world.start_problem["signals-1"] = Problem(Reason.CannotSchedule, "no node has room")
    world.apply(version(1))
    world.run(2)
    assert "no node has room; gives up at 10:10:0" in world.versions["signals-1"].status.message


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_story_comes_to_rest(world: World, name: str) -> None:
    SCENARIOS[name](world)
    world.run(1500)
    writes = len(world.writes)
    world.run(600)
    assert world.writes[writes:] == []
    assert decide(world.snapshot(), UNASKED).changes_nothing


@pytest.mark.parametrize(("state", "made"), [(State.Live, ["signals-1"]), (State.Deploying, [])])
def test_what_was_refused_is_made_again_for_who_has_served_and_fails_a_newcomer(
    served: World, state: State, made: list[str]
) -> None:
    recorded(served, "signals-1", state=state)
    refused = Problem(Reason.QuotaExceeded, "exceeded quota", permanent=True)
    snapshot = replace(served.snapshot(), deployments=(Deployment("signals-1", "", 1, "h", problem=refused),))
    plan = decide(snapshot, UNASKED)
    assert [deploy.version.name for deploy in plan.deploy] == made
    assert (plan.record["signals-1"].state is State.Failed) is not bool(made)


def unread(world: World, name: str) -> None:
    """Its ModelVersion is there and this release cannot read it."""
    world.unread[name] = world.versions.pop(name).uid


def test_a_serving_version_that_cannot_be_read_serves_on_and_nobody_older_takes_over(served: World) -> None:
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(20)
    unread(served, "signals-2")
    served.writes.clear()
    served.run(700, tick=timedelta(seconds=1))
    assert served.percent("signals-2") == 100
    assert served.running["signals-2"].owners == {"uid-signals-1", "uid-signals-2"} == served.route_owners
    assert not [write for write in served.writes if write.split()[0] in {"route", "retire", "own"}]
    served.apply(version(3, rollout=steps(30, pause="2s")))
    served.run(30)
    assert served.percent("signals-3") == 100
    assert "signals-2" in served.running


def test_a_candidate_that_cannot_be_read_gives_its_share_back_and_is_not_deleted(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    unread(served, "signals-2")
    served.run(30)
    assert (served.percent("signals-1"), "signals-2" in served.running) == (100, True)


def test_a_serving_version_that_cannot_be_read_and_dies_leaves_to_the_living(served: World) -> None:
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(20)
    unread(served, "signals-2")
    served.crash("signals-2")
    served.run(5)
    assert served.percent("signals-1") == 100


def test_who_cannot_be_read_and_was_an_orphan_gets_no_references(served: World) -> None:
    served.running["signals-1"].owners = frozenset()
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    unread(served, "signals-1")
    served.run(20)
    assert served.running["signals-2"].owners == frozenset()


def test_who_cannot_be_read_is_told_once_and_stays_ready_if_it_serves() -> None:
    ready = Condition(type="Ready", status=ConditionStatus.TRUE, reason="OfAnotherRelease")
    raw = Unread("signals-1", "u1", 1, "status.history: at most 5", (ready,))
    snapshot = Snapshot(ModelKey("support", "signals"), START, unread=(raw,))
    (complaint,) = decide(snapshot, UNASKED).complaints
    assert {each.type for each in complaint.conditions} == {"Accepted", "Stalled"}
    told = replace(raw, conditions=(ready, *complaint.conditions))
    later = replace(snapshot, now=START + timedelta(minutes=1), unread=(told,))
    assert not decide(later, UNASKED).complaints
    (again,) = decide(replace(later, unread=(replace(told, why="spec.colour: unknown field"),)), UNASKED).complaints
    assert {each.last_transition_time for each in again.conditions} == {START}, "news, and no transition"

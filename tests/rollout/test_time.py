"""Clocks: deadlines, timeouts, pauses of the plan and of a person, and what stands still in them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.control import Control
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.status import ConditionStatus
from turnout.rollout.plan import ProbeRequest
from turnout.rollout.snapshot import Problem

LEAVE_OPEN = {"steps": [{"warmup": {"requests": 2, "timeout": "20s"}}, {"setWeight": 10}]}


def verdict(world: World, name: str) -> tuple[State | None, Reason | None, str]:
    status = world.versions[name].status
    return status.state, status.reason, status.message


def test_a_version_that_is_not_ready_by_its_deadline_has_failed(served: World) -> None:
    served.never_ready.add("signals-2")
    served.apply(version(2, rollout={"progressDeadline": "20s"}))
    served.run(19)
    assert served.state("signals-2") is State.Deploying
    served.run(3)
    state, reason, message = verdict(served, "signals-2")
    assert (state, reason) == (State.Failed, Reason.ProgressDeadlineExceeded)
    assert "not ready within 20s" in message
    assert "signals-2" not in served.running
    assert served.percent("signals-1") == 100


def test_the_deadline_names_the_last_problem(served: World) -> None:
    served.start_problem["signals-2"] = Problem(Reason.ImagePullFailed, "no such image")
    served.apply(version(2, rollout={"progressDeadline": "10s"}))
    served.run(12)
    assert "not ready within 10s: no such image" in verdict(served, "signals-2")[2]


def test_what_will_never_start_fails_at_once(served: World) -> None:
    served.start_problem["signals-2"] = Problem(Reason.ArtifactDigestMismatch, "its bytes differ", permanent=True)
    served.apply(version(2))
    served.run(2)
    assert verdict(served, "signals-2")[:2] == (State.Failed, Reason.ArtifactDigestMismatch)
    artifact = served.versions["signals-2"].status.condition(ConditionType.ArtifactReady)
    assert artifact is not None
    assert artifact.status is ConditionStatus.FALSE


@pytest.mark.parametrize(
    ("fault", "reason", "says"),
    [
        pytest.param("wrong answer", Reason.WrongAnswer, "answers 3, not 4", id="a wrong answer"),
        pytest.param("contract", Reason.ContractDiffers, "inputs: image instead of text", id="another contract"),
        pytest.param("no json", Reason.ContractDiffers, "contract: what? instead of", id="a contract that is no JSON"),
        pytest.param("silence", Reason.WarmupTimeout, "not answered within 20 s", id="no answer in time"),
        pytest.param("crash", Reason.Crashed, "exit code 1", id="a crash at its first requests"),
    ],
)
def test_a_warmup_fails_and_no_caller_ever_meets_the_version(
    served: World, fault: str, reason: Reason, says: str
) -> None:
    served.wrong_answers |= {"signals-2"} if fault == "wrong answer" else set()
    served.contracts |= {"contract": {"signals-2": '{"inputs": "image"}'}, "no json": {"signals-2": "what?"}}.get(
        fault, {}
    )
    served.silent |= {"signals-2"} if fault in {"silence", "crash"} else set()
    served.apply(version(2, rollout=LEAVE_OPEN))
    served.run(5)
    if fault == "crash":
        served.crash("signals-2")
    served.run(25)
    state, why, message = verdict(served, "signals-2")
    assert (state, why) == (State.Failed, reason)
    assert says in message
    assert len(served.splits) == 1


def test_another_contract_may_be_allowed(served: World) -> None:
    served.contracts["signals-2"] = '["another"]'
    served.apply(version(2, rollout={"strategy": "AllAtOnce", "allowContractChange": True}))
    served.run(10)
    assert served.state("signals-2") is State.Live


def test_who_was_promoted_before_returns_with_the_contract_that_callers_knew_of_it() -> None:
    """From the archive, through its warm-up; the version that it relieves may have been allowed another contract."""
    rollout = {"rollbackWindow": {"versions": 1, "maxAge": "1m"}, "promotedScaleDownDelay": "30s"}
    world = serving(1, rollout=rollout, check=Invariants())
    world.contracts["signals-2"] = '["another"]'
    world.apply(version(2, rollout={**rollout, "strategy": "AllAtOnce", "allowContractChange": True}))
    world.run(90, tick=timedelta(seconds=1))
    assert world.states() == {"signals-1": State.Archived, "signals-2": State.Live}
    world.edit("signals-2", desired="Standby")
    world.run(10)
    assert world.state("signals-1") is State.Live


def test_a_serving_version_is_asked_for_its_contract_and_warmed_up_no_more(served: World) -> None:
    served.restart_operator()  # it remembers no contract
    asked: list[ProbeRequest] = []
    served.check = lambda _world, _snapshot, plan: asked.extend(plan.probe)
    served.apply(version(2))
    served.run(5)
    assert {(request.version, request.requests > 0) for request in asked} == {
        ("signals-1", False),
        ("signals-2", True),
    }


def test_a_stable_that_cannot_tell_its_contract_stops_nobody(served: World) -> None:
    served.wrong_answers.add("signals-1")
    served.contracts["signals-2"] = '["another"]'
    served.restart_operator()
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(10)
    assert served.state("signals-2") is State.Live


def test_the_contract_is_compared_with_a_ghosts_too(served: World) -> None:
    served.contracts["signals-2"] = '{"inputs": "image"}'
    served.apply(version(2, desired="Standby"))
    served.run(1)
    served.delete("signals-1")
    served.edit("signals-2", desired="Live")
    served.run(10)
    assert verdict(served, "signals-2")[:2] == (State.Failed, Reason.ContractDiffers)
    assert served.percent("signals-1") == 100


def test_a_person_pauses_and_the_pause_of_the_plan_keeps_what_it_had_left(served: World) -> None:
    canary(served, 2, 30, pause="20s")
    served.run(4)
    served.edit("signals-2", control=Control(paused=True))
    served.run(300)
    status = served.versions["signals-2"].status
    assert (status.state, status.reason, served.percent("signals-2")) == (State.Paused, Reason.PausedByPerson, 30)
    assert status.step is not None
    assert status.step.paused is not None
    served.edit("signals-2", control=Control(paused=False))
    served.run(14)
    assert served.versions["signals-2"].status.reason is Reason.PausedByPlan
    served.run(3, until=lambda: served.state("signals-2") is State.Live)
    assert entered(served.events).count("signals-2 Paused") == 1
    assert entered(served.events).count("signals-2 Resumed") == 1


@pytest.mark.parametrize("seconds", [1, 2.6])
def test_a_version_paused_before_it_has_a_share_gets_none(served: World, seconds: float) -> None:
    served.apply(version(2, rollout=steps(30, pause="1s")))
    served.run(seconds)
    served.edit("signals-2", control=Control(paused=True))
    served.run(30)
    assert served.state("signals-2") is State.Paused
    assert served.percent("signals-2") in {0, 30}
    held_at = served.percent("signals-2")
    served.run(30)
    assert served.percent("signals-2") == held_at
    served.edit("signals-2", control=Control())
    served.run(10, until=lambda: served.state("signals-2") is State.Live)


def test_a_pause_while_everything_is_on_its_way_stops_it(served: World) -> None:
    canary(served, 2, 30, pause="5s", scaling={"minReplicas": 1})
    served.frozen_until = served.now + timedelta(seconds=8)
    served.run(5, until=lambda: served.state("signals-2") is State.Promoting)
    served.edit("signals-2", control=Control(paused=True))
    served.run(20)
    assert served.state("signals-2") is State.Paused
    split = served.written
    served.run(20)
    assert served.written == split
    served.edit("signals-2", control=Control())
    served.run(5, until=lambda: served.state("signals-2") is State.Live)


def test_a_paused_version_that_crashes_is_rolled_back_all_the_same(served: World) -> None:
    canary(served, 2, 30, pause="20s")
    served.edit("signals-2", control=Control(paused=True))
    served.run(1)
    served.crash("signals-2")
    served.run(1)
    assert served.state("signals-2") is State.RolledBack


def test_a_paused_version_whose_stable_dies_carries_and_is_paused_again(served: World) -> None:
    canary(served, 2, 30, pause="20s")
    served.edit("signals-2", control=Control(paused=True))
    served.run(1)
    served.crash("signals-1")
    served.run(1)
    assert served.percent("signals-2") == 100
    served.heal("signals-1")
    served.run(5)
    assert served.percent("signals-2") == 30
    assert served.versions["signals-2"].status.reason is Reason.PausedByPerson


def test_control_on_a_version_that_is_in_no_rollout_has_no_effect(served: World) -> None:
    served.edit("signals-1", control=Control(paused=True))
    served.run(5)
    assert served.state("signals-1") is State.Live


def test_a_standby_does_not_say_that_it_keeps_its_pods_when_they_have_gone(served: World) -> None:
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(20)
    assert served.versions["signals-1"].status.message.startswith("keeps its pods until")
    served.run(610, tick=timedelta(seconds=1))
    assert served.versions["signals-1"].status.message == "signals-2 is the target"

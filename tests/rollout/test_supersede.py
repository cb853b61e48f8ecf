"""A newcomer finds another rollout running: its own field says whether it takes over, waits, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered
from turnout.api.control import Control
from turnout.api.reasons import ConditionType, Reason, Role, State
from turnout.api.status import ConditionStatus
from turnout.api.version import ModelVersion

OCCUPIED = {"Queue": State.Queued, "Reject": State.Rejected}


def newcomer(number: int, policy: str, **rollout: Any) -> ModelVersion:
    return version(number, rollout={**steps(20, pause="1s"), "onSupersede": policy, **rollout})


def ready(world: World, name: str) -> tuple[ConditionStatus, str]:
    condition = world.versions[name].status.condition(ConditionType.Ready)
    assert condition is not None
    return condition.status, condition.reason


@pytest.mark.parametrize("policy", OCCUPIED)
def test_the_older_rollout_goes_on_to_its_end_and_the_newcomer_follows(served: World, policy: str) -> None:
    canary(served, 2, 30, 60, pause="4s")
    served.apply(newcomer(3, policy))
    served.run(2)
    assert served.states() == {"signals-1": State.Live, "signals-2": State.Paused, "signals-3": OCCUPIED[policy]}
    assert served.versions["signals-2"].status.role is Role.Candidate
    served.run(20, until=lambda: served.percent("signals-2") == 60)
    assert "signals-3" not in served.running, "nothing of it runs before its turn"
    served.run(20, until=lambda: served.state("signals-2") is State.Live)
    served.run(20, until=lambda: served.state("signals-3") is State.Live)
    assert [v.status.attempt for v in served.versions.values()] == [1, 1, 1]
    assert not [event for event in entered(served.events) if "Superseded" in event]


def test_a_queued_version_says_behind_whom(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.apply(newcomer(3, "Queue"))
    served.run(2)
    status = served.versions["signals-3"].status
    assert (status.reason, status.message) == (Reason.QueuedBehind, "waits until signals-2 has ended")
    assert ready(served, "signals-3") == (ConditionStatus.UNKNOWN, "QueuedBehind")
    assert entered(served.events).count("signals-3 Queued") == 1


def test_a_refused_newcomer_fails_its_pipeline_at_once_and_names_the_way_out(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.apply(newcomer(3, "Reject"))
    served.run(2)
    status = served.versions["signals-3"].status
    assert status.reason is Reason.RolloutInProgress
    assert "signals-2 is being rolled out" in status.message
    assert ready(served, "signals-3") == (ConditionStatus.FALSE, "RolloutInProgress")
    accepted = status.condition(ConditionType.Accepted)
    assert accepted is not None
    assert accepted.status is ConditionStatus.FALSE
    assert entered(served.events).count("signals-3 Rejected") == 1


@pytest.mark.parametrize("policy", OCCUPIED)
def test_who_waits_takes_over_as_soon_as_its_field_says_so(served: World, policy: str) -> None:
    canary(served, 2, 30, pause="60s")
    served.apply(newcomer(3, policy))
    served.run(2)
    served.apply(newcomer(3, "Restart"))
    served.run(10, until=lambda: served.state("signals-3") is State.Live)
    assert served.state("signals-2") is State.Superseded


@pytest.mark.parametrize("policy", OCCUPIED)
@pytest.mark.parametrize("end", ["crash", "withdraw", "delete"])
def test_however_the_older_rollout_ends_the_newcomer_has_its_turn(served: World, policy: str, end: str) -> None:
    canary(served, 2, 30, pause="60s")
    served.apply(newcomer(3, policy))
    served.run(2)
    match end:
        case "crash":
            served.crash("signals-2")
        case "withdraw":
            served.edit("signals-2", desired="Standby")
        case _:
            served.delete("signals-2")
    served.run(20, until=lambda: served.state("signals-3") is State.Live)


@pytest.mark.parametrize("policy", OCCUPIED)
def test_the_newcomers_field_counts_and_not_that_of_who_runs(served: World, policy: str) -> None:
    canary(served, 2, 30, pause="60s", rollout={"onSupersede": policy})
    served.apply(newcomer(3, "Restart"))
    served.run(2)
    assert served.state("signals-2") is State.Superseded


@pytest.mark.parametrize("policy", OCCUPIED)
def test_two_in_a_row_only_the_greater_has_the_next_turn(served: World, policy: str) -> None:
    canary(served, 2, 30, pause="4s")
    served.apply(newcomer(3, policy))
    served.run(1)
    served.apply(newcomer(4, policy))
    served.run(1)
    assert served.state("signals-2") is State.Paused
    served.run(30, until=lambda: served.state("signals-4") is State.Live)
    assert served.states() == {
        "signals-1": State.Standby,
        "signals-2": State.Standby,
        "signals-3": State.Standby,
        "signals-4": State.Live,
    }
    assert "signals-3" not in served.running


def test_a_second_newcomer_that_takes_over_takes_the_place_of_both(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.apply(newcomer(3, "Queue"))
    served.run(1)
    served.apply(newcomer(4, "Restart"))
    served.run(15, until=lambda: served.state("signals-4") is State.Live)
    assert (served.state("signals-2"), served.state("signals-3")) == (State.Superseded, State.Standby)


@pytest.mark.parametrize("policy", OCCUPIED)
def test_the_first_of_a_model_is_not_disturbed_either(world: World, policy: str) -> None:
    world.apply(version(1))
    world.run(1)
    world.apply(newcomer(2, policy))
    world.run(1)
    assert world.states() == {"signals-1": State.Deploying, "signals-2": OCCUPIED[policy]}
    world.run(20, until=lambda: world.state("signals-2") is State.Live)
    assert world.state("signals-1") is State.Standby


def test_a_paused_rollout_keeps_who_queues_behind_it_waiting(served: World) -> None:
    canary(served, 2, 30, pause="1s")
    served.edit("signals-2", control=Control(paused=True))
    served.apply(newcomer(3, "Queue"))
    served.run(30)
    assert (served.state("signals-2"), served.state("signals-3")) == (State.Paused, State.Queued)
    served.edit("signals-2", control=Control(paused=False))
    served.run(20, until=lambda: served.state("signals-3") is State.Live)


def test_who_carries_on_only_because_nothing_else_lives_keeps_nobody_waiting(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.crash("signals-1")
    served.run(1)
    served.edit("signals-2", desired="Standby")
    served.run(2)
    assert served.versions["signals-2"].status.reason is Reason.RollbackBlocked
    served.apply(newcomer(3, "Reject"))
    served.run(5)
    assert served.state("signals-3") not in {State.Rejected, State.Queued}

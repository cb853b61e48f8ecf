"""Nobody carries traffic with fewer pods than it takes: floors of both sides, before each step and after."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, serving
from turnout.api.control import Control
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.scaling import Scaling
from turnout.rollout.snapshot import Problem


def floor_of(world: World, name: str) -> int:
    return world.running[name].autoscaling.min_pods


def ready(world: World, name: str) -> int:
    return sum(pod.ready for pod in world.running[name].pods.values())


def with_stable_at(pods: int, **scaling: object) -> World:
    world = World(check=Invariants())
    world.apply(version(1, scaling={"minReplicas": pods, "maxReplicas": 10, **scaling}))
    world.run(8)
    assert ready(world, "signals-1") == pods
    return world


def test_each_side_has_its_pods_before_each_step() -> None:
    world = with_stable_at(4)
    canary(world, 2, 10, 50, 75, pause="10s", scaling={"maxReplicas": 10})
    assert ready(world, "signals-2") == 1
    for percent, pods in ((50, 2), (75, 3), (100, 4)):
        world.run(30, until=lambda percent=percent: world.percent("signals-2") == percent)
        assert ready(world, "signals-2") == pods
        assert ready(world, "signals-1") == 4
    assert world.state("signals-2") is State.Live


def cautions(world: World, name: str) -> list[str]:
    return [event.message for event in world.events if event.reason == "Caution" and event.version == name]


def test_a_ceiling_of_its_own_is_the_most_that_is_asked_of_a_version_and_it_is_told() -> None:
    world = with_stable_at(4)
    canary(world, 2, 50, 75, pause="5s", scaling={"maxReplicas": 2})
    note = "spec.scaling.maxReplicas: 2 is less than the 4 pods with which signals-1 serves: it gets all traffic with"
    assert note in accepted(world, "signals-2")
    world.run(20, until=lambda: world.state("signals-2") is State.Live)
    assert ready(world, "signals-2") == 2
    assert [message.startswith(note) for message in cautions(world, "signals-2")] == [True]
    assert "Note" not in accepted(world, "signals-2")


def test_a_ceiling_that_is_raised_in_the_rollout_counts_and_is_no_longer_told() -> None:
    world = with_stable_at(4)
    canary(world, 2, 10, 50, pause="5s", scaling={"maxReplicas": 1})
    world.edit("signals-2", scaling=Scaling(max_replicas=9))
    world.run(1)
    assert "Note" not in accepted(world, "signals-2")
    world.run(20, until=lambda: world.state("signals-2") is State.Live)
    assert ready(world, "signals-2") == 4


def accepted(world: World, name: str) -> str:
    condition = world.versions[name].status.condition(ConditionType.Accepted)
    return condition.message if condition else ""


def test_stable_is_kept_at_the_pods_it_had_when_the_step_began(served: World) -> None:
    served.edit("signals-1", scaling=Scaling(min_replicas=3))
    served.run(5)
    canary(served, 2, 10, pause="20s")
    served.edit("signals-1", scaling=Scaling(min_replicas=0))
    served.run(5)
    assert floor_of(served, "signals-1") == 3
    served.run(60)
    assert served.state("signals-2") is State.Live


def test_a_step_asks_for_the_pods_that_stable_has_when_it_begins() -> None:
    """Not for those of the rollout's start: stable was given more in the pause between two weights."""
    world = with_stable_at(2)
    canary(world, 2, 10, 50, pause="30s", scaling={"maxReplicas": 10})
    world.edit("signals-1", scaling=Scaling(min_replicas=8, max_replicas=10))
    world.run(60, until=lambda: world.percent("signals-2") == 50)
    assert (ready(world, "signals-1"), ready(world, "signals-2")) == (8, 4)


def test_ready_pods_of_stable_do_not_count_where_the_candidate_says_so() -> None:
    world = with_stable_at(3)
    during = {"duringRollout": {"countReadyPods": False}}
    world.edit("signals-1", scaling=Scaling(min_replicas=1, max_replicas=10))
    world.run(0.1)
    canary(world, 2, 99, pause="1s", scaling=during)
    assert ready(world, "signals-2") == 1


def test_a_sleeping_stable_is_woken_before_the_candidate_gets_a_share(served: World) -> None:
    served.idle("signals-1")
    served.run(2)
    assert ready(served, "signals-1") == 0
    served.apply(version(2, rollout={"steps": [{"setWeight": 10}, {"pause": {"duration": "5s"}}]}))
    served.run(20, until=lambda: served.percent("signals-2") == 10)
    assert ready(served, "signals-1") == 1


def test_a_step_without_its_pods_waits_and_is_held_after_half_a_minute() -> None:
    world = with_stable_at(4)
    canary(world, 2, 10, 75, pause="5s", scaling={"maxReplicas": 10})
    world.running["signals-2"].start_seconds = 50
    world.run(10)
    status = world.versions["signals-2"].status
    assert (status.state, status.reason) == (State.Progressing, Reason.AwaitingCapacity)
    assert "needs 3 ready pods of signals-2 (has 1)" in status.message
    world.run(30)
    status = world.versions["signals-2"].status
    assert (status.state, status.reason, world.percent("signals-2")) == (State.Held, Reason.TooLittleCapacity, 10)
    world.run(30, until=lambda: world.percent("signals-2") == 75)


@pytest.mark.parametrize(
    ("weights", "waiting"),
    [
        pytest.param((10, 90), State.Progressing, id="in a step"),
        pytest.param((10,), State.Promoting, id="on its way to everything"),
    ],
)
def test_a_pause_gives_the_pods_of_what_goes_on_their_usual_start_anew(
    weights: tuple[int, ...], waiting: State
) -> None:
    """A minute of a person's pause is no minute in which pods were late."""
    world = serving(1, scaling={"minReplicas": 2})
    canary(world, 2, *weights, pause="3s")
    world.never_ready.add("signals-2")
    world.run(20, until=lambda: world.versions["signals-2"].status.reason is Reason.AwaitingCapacity)
    assert world.state("signals-2") is waiting
    world.edit("signals-2", control=Control(paused=True))
    world.run(60)
    world.edit("signals-2", control=Control())
    world.run(25)
    assert world.versions["signals-2"].status.reason is Reason.AwaitingCapacity
    world.run(10)
    assert world.versions["signals-2"].status.reason is Reason.TooLittleCapacity
    assert len([event for event in world.events if event.message.startswith("TooLittleCapacity")]) == 1


def test_a_stable_that_loses_pods_stops_the_next_step_and_lowers_nothing() -> None:
    world = with_stable_at(3)
    canary(world, 2, 10, 50, pause="5s")
    world.running["signals-1"].start_seconds = 20
    victim = next(iter(world.running["signals-1"].pods))
    del world.running["signals-1"].pods[victim]
    world.run(10)
    assert world.percent("signals-2") == 10
    assert "3 of signals-1 (has 2)" in world.versions["signals-2"].status.message
    world.run(30, until=lambda: world.percent("signals-2") == 50)


def test_all_at_once_and_the_way_back_need_everything_first() -> None:
    world = with_stable_at(3)
    world.apply(version(2, rollout={"strategy": "AllAtOnce", "promotedScaleDownDelay": "1s"}))
    world.run(20, until=lambda: world.state("signals-2") is State.Live)
    assert ready(world, "signals-2") == 3
    world.run(20)
    assert ready(world, "signals-1") == 0
    world.edit("signals-2", desired="Standby")
    world.run(20, until=lambda: world.state("signals-1") is State.Live)
    assert ready(world, "signals-1") == 3


def test_pods_stay_for_a_while_after_promotion_and_after_a_rollback() -> None:
    world = serving(1, 2, rollout={"promotedScaleDownDelay": "20s"}, check=Invariants())
    world.run(15)
    assert floor_of(world, "signals-1") == 1
    world.run(10)
    assert floor_of(world, "signals-1") == 0
    canary(world, 3, 30, pause="60s", rollout={"abortScaleDownDelay": "5s"})
    world.edit("signals-3", desired="Standby")
    world.run(4)
    assert floor_of(world, "signals-3") == 1
    world.run(4)
    assert floor_of(world, "signals-3") == 0


def test_the_new_version_says_how_long_the_old_one_keeps_its_pods() -> None:
    world = serving(1, rollout={"promotedScaleDownDelay": "10m"}, check=Invariants())
    world.apply(version(2, rollout={"strategy": "AllAtOnce", "promotedScaleDownDelay": "5s"}))
    world.run(10, until=lambda: world.state("signals-2") is State.Live)
    assert floor_of(world, "signals-1") == 1
    world.run(7)
    assert floor_of(world, "signals-1") == 0


def test_a_latency_critical_version_has_a_floor_of_its_own(world: World) -> None:
    world.apply(version(1, scaling={"latencyCritical": True, "minReplicas": 1}))
    world.run(6)
    world.idle("signals-1")
    world.run(120, tick=timedelta(seconds=1))
    assert ready(world, "signals-1") == 1
    assert world.running["signals-1"].autoscaling.latency_critical


def test_a_candidate_may_need_two_pods_before_it_gets_any_share() -> None:
    """So that one bad node under one of them is not all that is known of it."""
    world = with_stable_at(1)
    world.apply(version(2, rollout=steps(10, pause="60s"), scaling={"duringRollout": {"canaryMin": 2}}))
    world.run(30, until=lambda: world.percent("signals-2") > 0)
    assert (world.percent("signals-2"), ready(world, "signals-2")) == (10, 2)
    assert floor_of(world, "signals-2") == 2


def test_scaling_changes_in_place(served: World) -> None:
    target = {"metric": "rps", "value": 50}
    served.edit("signals-1", scaling=Scaling.model_validate({"minReplicas": 2, "maxReplicas": 5, "target": target}))
    served.run(5)
    knobs = served.running["signals-1"].autoscaling
    assert (knobs.min_pods, knobs.max_pods, knobs.metric, knobs.target) == (2, 5, "rps", 50)
    assert ready(served, "signals-1") == 2


def test_a_ghost_keeps_the_pods_it_was_kept_at() -> None:
    world = with_stable_at(2)
    world.apply(version(2, desired="Standby"))
    world.run(1)
    world.delete("signals-1")
    world.run(5)
    assert floor_of(world, "signals-1") == 2
    world.edit("signals-2", desired="Live", rollout=version(2, rollout={"strategy": "AllAtOnce"}).spec.rollout)
    world.run(20, until=lambda: world.state("signals-2") is State.Live)
    assert ready(world, "signals-2") == 2


def no_room(world: World, name: str) -> None:
    world.start_problem[name] = Problem(Reason.QuotaExceeded, "exceeded quota: pods 3 of 3")


def test_a_return_without_pods_names_what_keeps_them_away_once_and_when_it_has_gone() -> None:
    world = serving(1, 2, rollout={"promotedScaleDownDelay": "1s"}, check=Invariants())
    world.run(10)
    no_room(world, "signals-1")
    world.edit("signals-2", desired="Standby")
    world.run(20)
    status = world.versions["signals-1"].status
    needs = "100 % needs 1 ready pods of signals-1 (has 0: exceeded quota: pods 3 of 3)"
    assert (status.state, status.reason, status.message) == (State.Promoting, Reason.AwaitingCapacity, needs)
    world.run(60)
    status = world.versions["signals-1"].status
    assert (status.state, status.reason, status.message) == (State.Promoting, Reason.TooLittleCapacity, needs)
    told = [event for event in world.events if event.version == "signals-1" and event.reason in {"Held", "Resolved"}]
    assert [(event.message, event.warning) for event in told] == [(f"TooLittleCapacity: {needs}", True)]
    world.start_problem.clear()
    world.run(20, until=lambda: world.state("signals-1") is State.Live)
    told = [event for event in world.events if event.version == "signals-1" and event.reason == "Resolved"]
    assert [event.message for event in told] == ["all traffic is on its way to it"]


def test_a_candidate_without_its_pods_names_what_keeps_them_away_on_each_side() -> None:
    world = with_stable_at(3)
    canary(world, 2, 10, 75, pause="5s", scaling={"maxReplicas": 10})
    no_room(world, "signals-2")
    world.run(10)
    status = world.versions["signals-2"].status
    assert status.message == "75 % needs 3 ready pods of signals-2 (has 1: exceeded quota: pods 3 of 3)"
    world.run(40)
    held = [event.message for event in world.events if event.reason == "Held"]
    assert held == [f"TooLittleCapacity: {status.message}"]


@pytest.mark.parametrize("minimum", [0, 1])
def test_a_ghosts_floor_falls_back_to_its_owners_after_a_rollout(minimum: int) -> None:
    """It was raised to the pods that it served with; attempt after attempt that must not become its own."""
    world = with_stable_at(4)
    world.apply(version(2, rollout=steps(30, pause="10m"), scaling={"maxReplicas": 10}))
    world.run(10)
    world.edit("signals-1", scaling=Scaling.model_validate({"minReplicas": minimum, "maxReplicas": 10}))
    world.run(2)
    world.delete("signals-1")
    world.run(5)
    assert (floor_of(world, "signals-1"), world.percent("signals-2")) == (4, 30)
    for token in ("", "again"):
        world.edit("signals-2", control=Control(retry_token=token))
        world.run(15)
        world.edit("signals-2", control=Control(retry_token=token, abort=True))
        world.run(60)
        assert (world.state("signals-2"), floor_of(world, "signals-1")) == (State.Aborted, minimum)


def test_a_version_that_cannot_have_its_pods_never_disturbs_stable(served: World) -> None:
    served.start_problem["signals-2"] = Problem(Reason.QuotaExceeded, "quota pods: 3 of 3")
    served.apply(version(2))
    served.run(5)
    status = served.versions["signals-2"].status
    assert (status.state, status.reason) == (State.Deploying, Reason.QuotaExceeded)
    assert "signals-2 QuotaExceeded" in [f"{e.version} {e.reason}" for e in served.events]
    assert floor_of(served, "signals-1") == 0

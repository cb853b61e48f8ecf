"""One version gives way to another: superseded, withdrawn, returned to, put away, deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.judges import analysed, then
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.reasons import ConditionType, EventReason, Reason, State
from turnout.api.status import ConditionStatus
from turnout.api.version import DeletionPolicy, Desired
from turnout.judge.protocol import Outcome

LONG = timedelta(seconds=30)


def test_a_newer_target_supersedes_and_takes_over_after_the_drop(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.apply(version(3, rollout=steps(20, pause="60s")))
    served.run(0.1)
    assert served.states() == {"signals-1": State.Live, "signals-2": State.Superseded, "signals-3": State.Queued}
    assert len(served.written) == 1
    served.run(10)
    assert (served.percent("signals-1"), served.percent("signals-3")) == (80, 20)


def test_superseded_twice_in_a_row_only_the_last_rolls_out(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.apply(version(3, rollout=steps(20)))
    served.run(1)
    served.apply(version(4, rollout=steps(10, pause="1s")))
    served.run(20)
    assert served.states() == {
        "signals-1": State.Standby,
        "signals-2": State.Superseded,
        "signals-3": State.Superseded,
        "signals-4": State.Live,
    }
    assert served.versions["signals-3"].status.history[-1].outcome == "Superseded"


def test_a_superseded_version_returns_if_the_newer_one_fails(served: World) -> None:
    canary(served, 2, 30, pause="2s")
    served.wrong_answers.add("signals-3")
    served.apply(version(3, rollout=steps(20)))
    served.run(40, until=lambda: served.state("signals-2") is State.Live)
    assert served.state("signals-3") is State.Failed
    assert served.versions["signals-2"].status.attempt == 2


def test_a_queued_version_that_is_the_target_no_more_waits_no_more(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.crash("signals-2")
    served.frozen_until = served.now + timedelta(seconds=20)
    served.run(1)
    served.apply(version(3))
    served.run(1)
    assert (served.state("signals-2"), served.state("signals-3")) == (State.RollingBack, State.Queued)
    assert "signals-2" in served.versions["signals-3"].status.message
    served.edit("signals-3", desired="Standby")
    served.run(1)
    assert served.state("signals-3") is State.Standby


@pytest.mark.parametrize("desired", [Desired.STANDBY, Desired.RETIRED])
def test_a_version_withdrawn_in_mid_rollout_is_dropped(served: World, desired: Desired) -> None:
    canary(served, 2, 30, pause="60s")
    served.edit("signals-2", desired=desired)
    served.run(2)
    assert served.percent("signals-1") == 100
    assert served.state("signals-2") is State(desired.value)
    served.run(60)
    assert ("signals-2" in served.running) == (desired is Desired.STANDBY)


@pytest.mark.parametrize("seconds", [0.1, 1, 2.2])
def test_a_version_withdrawn_before_any_traffic_never_gets_any(served: World, seconds: float) -> None:
    served.apply(version(2, rollout=steps(10)))
    served.run(seconds)
    served.edit("signals-2", desired="Retired")
    served.run(40)
    assert served.state("signals-2") is State.Retired
    assert len(served.splits) == 1
    assert "signals-2" not in served.running


def test_a_withdrawn_version_rolls_out_anew_when_it_is_wanted_again(served: World) -> None:
    canary(served, 2, 30, pause="1s")
    served.edit("signals-2", desired="Standby")
    served.run(5)
    served.edit("signals-2", desired="Live")
    served.run(20)
    assert served.state("signals-2") is State.Live
    assert served.versions["signals-2"].status.attempt == 2


def test_a_retired_version_is_pending_again_when_it_is_wanted(served: World) -> None:
    served.apply(version(2, desired="Retired"))
    served.run(1)
    assert served.state("signals-2") is State.Retired
    served.edit("signals-2", desired="Standby")
    served.run(1)
    assert served.state("signals-2") is State.Standby
    served.edit("signals-2", desired="Retired")
    served.run(1)
    served.edit("signals-2", desired="Live")
    served.run(0.1)
    assert served.state("signals-2") is State.Deploying


def test_rollback_by_standby_is_the_fast_way_back() -> None:
    world = serving(1, 2, check=Invariants())
    world.edit("signals-2", desired="Standby")
    world.run(1)
    assert world.percent("signals-1") == 100
    assert world.states() == {"signals-1": State.Live, "signals-2": State.Standby}
    assert world.versions["signals-1"].status.history[-1].reason == "FastReturn"


def test_the_fast_way_back_wakes_pods_first_when_they_have_gone() -> None:
    world = serving(1, 2, rollout={"promotedScaleDownDelay": "5s"}, check=Invariants())
    world.idle("signals-1")
    world.run(10)
    assert not world.running["signals-1"].pods
    world.edit("signals-2", desired="Retired")
    world.run(1)
    assert (world.state("signals-1"), world.percent("signals-1")) == (State.Promoting, 0)
    world.run(3)
    assert world.states() == {"signals-1": State.Live, "signals-2": State.Retired}


def test_rollback_past_several_versions() -> None:
    world = serving(1, 2, 3, check=Invariants())
    for name in ("signals-3", "signals-2"):
        world.edit(name, desired="Standby")
    world.run(5)
    assert world.state("signals-1") is State.Live


def test_a_version_outside_the_window_is_archived_and_returns_as_it_was() -> None:
    rollout = {"rollbackWindow": {"versions": 1, "maxAge": "1m"}, "promotedScaleDownDelay": "30s"}
    world = serving(1, 2, rollout=rollout, check=Invariants())
    image = world.versions["signals-1"].status.resolved
    world.run(90, tick=timedelta(seconds=1))
    assert world.state("signals-1") is State.Archived
    assert "signals-1" not in world.running
    world.edit("signals-2", desired="Standby")
    world.run(8)
    assert world.states() == {"signals-1": State.Live, "signals-2": State.Standby}
    status = world.versions["signals-1"].status
    assert status.resolved == image
    assert status.history[-1].reason == "FastReturn"


def test_only_the_last_versions_stay_in_the_window() -> None:
    world = serving(1, 2, 3, rollout={"rollbackWindow": {"versions": 1}}, check=Invariants())
    assert world.states() == {"signals-1": State.Archived, "signals-2": State.Standby, "signals-3": State.Live}


def test_the_instant_way_back_is_kept_however_small_the_window() -> None:
    rollout = {"rollbackWindow": {"versions": 0, "maxAge": "1s"}, "promotedScaleDownDelay": "1m"}
    world = serving(1, 2, rollout=rollout, check=Invariants())
    world.run(50)
    assert world.state("signals-1") is State.Standby
    world.crash("signals-2")
    world.run(2)
    assert world.percent("signals-1") == 100
    world.heal("signals-2")
    world.run(60)
    assert world.states() == {"signals-1": State.Archived, "signals-2": State.Live}


def test_a_warm_window_keeps_the_pods_that_a_way_back_needs_and_no_longer_than_it_lasts() -> None:
    window = {"versions": 2, "maxAge": "5m", "keepWarm": True}
    world = serving(1, 2, rollout={"rollbackWindow": window, "promotedScaleDownDelay": "5s"}, check=Invariants())
    world.edit("signals-2", scaling=version(2, scaling={"minReplicas": 2}).spec.scaling)
    world.run(60, tick=timedelta(seconds=1))
    assert len(world.running["signals-1"].pods) == 2, "as many as stable is kept at"
    world.crash("signals-2")
    world.run(1)
    assert world.percent("signals-1") == 100
    world.heal("signals-2")
    world.run(300, tick=timedelta(seconds=1))
    assert world.states() == {"signals-1": State.Archived, "signals-2": State.Live}
    assert set(world.running) == {"signals-2"}


def test_a_formerly_promoted_version_whose_deployment_was_removed_is_made_again() -> None:
    world = serving(1, 2, check=Invariants())
    world.remove("signals-1")
    world.run(1)
    world.edit("signals-2", desired="Standby")
    world.run(10)
    assert world.state("signals-1") is State.Live


@pytest.mark.parametrize("desired", [Desired.STANDBY, Desired.RETIRED])
def test_the_last_that_serves_stays_until_it_is_deleted(served: World, desired: Desired) -> None:
    served.edit("signals-1", desired=desired)
    served.run(5)
    status = served.versions["signals-1"].status
    assert (status.state, status.reason, served.percent("signals-1")) == (State.Live, Reason.LastServing, 100)
    assert (
        status.message
        == "It should go and is the last that serves, so it stays until another takes over or it is deleted."
    )
    assert entered(served.events).count("signals-1 LastServing") == 1
    served.delete("signals-1")
    served.run(1)
    assert not served.running
    assert not served.route_uid


def test_a_first_version_withdrawn_at_its_promotion_is_the_last_that_serves(world: World) -> None:
    world.apply(version(1))
    world.run(6, until=lambda: bool(world.written))
    world.edit("signals-1", desired="Retired")
    world.run(2)
    assert world.percent("signals-1") == 100 or world.state("signals-1") is State.Retired


# -- ghosts: a serving version that was deleted


def test_a_deleted_serving_version_serves_on_and_goes_when_it_is_replaced(served: World) -> None:
    served.apply(version(2, desired="Standby"))
    served.run(1)
    served.delete("signals-1")
    served.run(30)
    assert served.percent("signals-1") == 100
    assert entered(served.events).count("signals-2 GhostServing") == 1
    served.edit("signals-2", desired="Live", rollout=version(2, rollout=steps(10, 50)).spec.rollout)
    served.run(8)
    assert served.percent("signals-1") == 90
    served.run(30, until=lambda: served.state("signals-2") is State.Live)
    served.run(2)
    assert "signals-1" not in served.running


def test_a_ghost_that_dies_gives_its_share_to_the_candidate(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.delete("signals-1")
    served.run(1)
    served.crash("signals-1")
    served.run(1)
    assert served.percent("signals-2") == 100


def test_a_deleted_candidate_is_dropped_and_then_its_deployment_goes(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.delete("signals-2")
    served.run(0.1)
    assert "signals-2" in served.running
    served.run(2)
    assert "signals-2" not in served.running
    assert served.percent("signals-1") == 100


OTHER: dict[str, object] = {"predictor": {"runtime": "sklearn", "artifact": {"uri": "file:///models/other"}}}


@pytest.mark.parametrize("crashes", [False, True], ids=["in traffic", "rolled back"])
def test_a_candidate_that_is_deleted_and_made_again_at_once_begins_anew(served: World, crashes: bool) -> None:
    """What one command of kubectl, Helm or a Git sync does: no pass in between has seen it gone."""
    canary(served, 2, 30, pause="60s")
    if crashes:
        served.crash("signals-2")
        served.run(5)
        served.crashing.clear()
    before = served.running["signals-2"].uid
    served.delete("signals-2")
    served.apply(version(2, rollout=steps(20, pause="5s"), **OTHER))
    served.run(60, until=lambda: served.state("signals-2") is State.Live)
    assert served.state("signals-2") is State.Live
    assert served.running["signals-2"].uid != before


def test_a_stable_version_that_is_made_again_of_another_spec_serves_on_as_it_was(served: World) -> None:
    before = served.running["signals-1"].uid
    served.apply(version(2, desired="Standby"))
    served.run(3)
    served.delete("signals-1")
    served.apply(version(1, **OTHER))
    served.run(60)
    assert (served.state("signals-1"), served.percent("signals-1")) == (State.Rejected, 100)
    assert served.versions["signals-1"].status.message == (
        "an earlier signals-1 of another spec runs under this name, and goes as soon as it serves nobody; "
        "to take its place give the new version a name and a number of its own"
    )
    assert served.running["signals-1"].uid == before


def test_nothing_of_an_orphaning_model_is_ever_deleted(served: World) -> None:
    served.apply(version(2, rollout=steps(10, pause="1s")))
    served.edit("signals-1", deletion_policy=DeletionPolicy.ORPHAN)
    served.run(30)
    assert all(not run.owners for run in served.running.values())
    served.delete("signals-2")
    served.run(2)
    assert served.percent("signals-1") == 100
    assert set(served.running) == {"signals-1", "signals-2"}
    served.delete("signals-1")
    served.run(1)
    assert set(served.running) == {"signals-1", "signals-2"}
    assert served.written


@pytest.mark.parametrize("outcome", ["rolled back", "superseded", "withdrawn"])
def test_what_was_given_up_is_deleted_after_the_windows_age(served: World, outcome: str) -> None:
    window = {"rollbackWindow": {"maxAge": "2m"}}  # of who is stable by then
    served.edit("signals-1", rollout=version(1, rollout=window).spec.rollout)
    canary(served, 2, 30, pause="60s")
    if outcome == "rolled back":
        served.crash("signals-2")
    elif outcome == "superseded":
        served.apply(version(3, rollout={**steps(10, pause="1s"), **window}))
    else:
        served.edit("signals-2", desired="Standby")
    served.run(90, tick=timedelta(seconds=1))
    state = served.state("signals-2")
    assert "signals-2" in served.running
    served.run(60, tick=timedelta(seconds=1))
    assert "signals-2" not in served.running
    assert served.state("signals-2") is state


@pytest.mark.parametrize("seconds", [1, 8], ids=["before callers meet it", "with a share"])
def test_a_candidate_that_is_deleted_in_the_foreground_leaves_and_says_why(served: World, seconds: float) -> None:
    """It is there for as long as what it owns goes: nobody took its place meanwhile."""
    served.apply(version(2, rollout=steps(30, pause="60s")))
    served.run(seconds)
    leave(served, "signals-2")
    served.run(3)
    status = served.versions["signals-2"].status
    assert (status.state, status.reason, served.percent("signals-1")) == (State.Standby, Reason.BeingDeleted, 100)
    assert status.message == "Its ModelVersion is being deleted."
    ready = status.condition(ConditionType.Ready)
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, "BeingDeleted")
    told = [event.message for event in served.events if event.reason is EventReason.RollbackStarted]
    assert [text.startswith("BeingDeleted: it is being deleted (found at ") for text in told] == [True]
    served.delete("signals-2")
    served.run(1)
    assert set(served.running) == {"signals-1"}


def test_a_frozen_one_that_is_deleted_in_the_foreground_keeps_its_verdict(served: World) -> None:
    served.judge = then(1, Outcome.HARM)
    plan = analysed(10, shortest="5s", longest="15s")
    plan["rollout"]["onFailure"] = "Freeze"
    served.apply(version(2, **plan))
    served.run(20, until=lambda: served.state("signals-2") is State.Frozen)
    leave(served, "signals-2")
    served.run(3)
    status = served.versions["signals-2"].status
    assert (status.state, status.reason, served.percent("signals-2")) == (State.RolledBack, Reason.ErrorRate, 0)


def leave(world: World, name: str) -> None:
    """Its deletion begins, and a finalizer keeps it for a while."""
    known = world.versions[name]
    leaving = known.metadata.model_copy(update={"deletion_timestamp": world.now})
    world.versions[name] = known.model_copy(update={"metadata": leaving})

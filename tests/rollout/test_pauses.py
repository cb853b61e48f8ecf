"""What a person pauses or aborts gets no more from the moment it is seen; a pause left over stops nobody's return."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.control import Control
from turnout.api.reasons import Reason, State
from turnout.rollout.plan import Plan
from turnout.rollout.snapshot import Snapshot
from turnout.rollout.steps import weight_of

NAME = "signals-2"


@pytest.fixture
def checked() -> World:
    return serving(1, check=Invariants())


def shares(world: World) -> list[int]:
    """What signals-2 was ever given."""
    return [share.percent for split in world.splits for share in split if share.revision.startswith(NAME)]


@pytest.mark.parametrize("rollout", [steps(10, 50), {"strategy": "AllAtOnce"}], ids=["a plan", "all at once"])
def test_a_version_that_is_paused_before_its_first_share_gets_none(checked: World, rollout: dict[str, Any]) -> None:
    checked.apply(version(2, rollout=rollout, control={"paused": True}))
    checked.run(30)
    assert (shares(checked), checked.versions[NAME].status.reason) == ([], Reason.PausedByPerson)
    checked.edit(NAME, control=Control())
    checked.run(60, until=lambda: checked.state(NAME) is State.Live)


@pytest.mark.parametrize("wish", ["paused", "abort"])
def test_a_share_that_is_recorded_and_not_written_yet_is_not_given_any_more(checked: World, wish: str) -> None:
    canary(checked, 2, 10, 50)
    invariants, said = checked.check, []

    def say_as_soon_as_50_is_due(world: World, snapshot: Snapshot, plan: Plan) -> None:
        assert invariants is not None
        invariants(world, snapshot, plan)
        after = plan.record.get(NAME)
        if not said and after and after.step and weight_of(after) == 50:
            said.append(wish)
            world.edit(NAME, control=Control(**{wish: True}))

    checked.check = say_as_soon_as_50_is_due
    checked.run(15)
    assert (said, max(shares(checked))) == ([wish], 10)
    message = checked.versions[NAME].status.message
    assert "50 %" not in message, "what it has is told, not what it would have"


def leftover(world: World, **rollout: Any) -> None:
    world.edit("signals-1", control=Control(paused=True))
    world.run(3)
    world.apply(version(2, rollout={"strategy": "AllAtOnce", **rollout}))
    world.run(30, until=lambda: world.state(NAME) is State.Live)


@pytest.mark.parametrize("desired", ["Standby", "Retired"])
def test_a_pause_that_was_refused_does_not_stop_the_way_back(checked: World, desired: str) -> None:
    leftover(checked)
    checked.edit(NAME, desired=desired)
    checked.run(30)
    assert checked.states() == {"signals-1": State.Live, NAME: State(desired)}
    assert entered(checked.events).count("signals-1 ControlRejected") == 1, "told once"


def test_a_pause_that_was_refused_does_not_stop_the_way_back_from_the_archive() -> None:
    world = serving(1, check=Invariants())
    leftover(world, rollbackWindow={"versions": 0})
    world.run(900, until=lambda: world.state("signals-1") is State.Archived)
    world.edit(NAME, desired="Standby")
    world.run(60, until=lambda: world.state("signals-1") is State.Live)


def test_a_pause_said_anew_stops_even_the_way_back(checked: World) -> None:
    leftover(checked)
    checked.edit("signals-1", control=Control())
    checked.run(2)
    checked.edit(NAME, desired="Standby")
    checked.run(1, until=lambda: checked.state("signals-1") is State.Promoting)
    checked.edit("signals-1", control=Control(paused=True))
    checked.run(10)
    assert checked.state("signals-1") is State.Paused


def test_the_progress_deadline_does_not_run_while_a_person_has_paused_it(checked: World) -> None:
    """It is looked at again from the end of the pause on; nobody gave it up meanwhile."""
    checked.never_ready.add(NAME)
    checked.apply(version(2, rollout={**steps(10), "progressDeadline": "20s"}))
    checked.run(10)
    checked.edit(NAME, control=Control(paused=True))
    checked.run(60)
    status = checked.versions[NAME].status
    assert (status.state, status.progress_since) == (State.Deploying, None)
    assert status.message.endswith("; its deadline waits until a person resumes it")
    before = len(checked.writes)
    checked.run(60)
    assert checked.writes[before:] == []
    checked.edit(NAME, control=Control())
    checked.run(15)
    assert checked.state(NAME) is State.Deploying
    checked.run(10, until=lambda: checked.state(NAME) is State.Failed)


def test_what_becomes_ready_while_it_is_paused_is_warmed_up_and_gets_nothing(checked: World) -> None:
    checked.apply(version(2, rollout={**steps(10), "progressDeadline": "20s"}, control={"paused": True}))
    checked.run(60)
    assert (shares(checked), checked.state(NAME)) == ([], State.Paused)

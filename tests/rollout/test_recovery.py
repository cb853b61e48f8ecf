"""A kill before any single write, a conflict at any write, a lost record: the same splits, the same end."""

from __future__ import annotations

import os

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.scenarios import SCENARIOS
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.control import Control
from turnout.api.reasons import Reason, State
from turnout.rollout.snapshot import Split

SWEEP = 1 if os.environ.get("TURNOUT_DEEP") else 4
"""Every write in the deep profile; every fourth, of each scenario another, in the quick one."""


def _played(name: str, *, kill_before: int | None = None, conflict_at: int | None = None) -> World:
    world = World(check=Invariants())
    if kill_before is not None:
        world.kill(before=kill_before)
    world.conflict_at = conflict_at
    SCENARIOS[name](world)
    return world


def _distinct(splits: list[Split]) -> list[Split]:
    return [split for at, split in enumerate(splits) if at == 0 or split != splits[at - 1]]


def _outcome(world: World) -> tuple[object, ...]:
    return _distinct(world.splits), world.states(), sorted(world.running), world.observed


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_before_any_write_leaves_the_same_history(name: str) -> None:
    whole = _played(name)
    assert len(whole.writes) > SWEEP
    for write in range(len(name) % SWEEP, len(whole.writes), SWEEP):
        killed = _played(name, kill_before=write)
        assert _outcome(killed) == _outcome(whole), f"killed before write {write}: {whole.writes[write]}"


@pytest.mark.parametrize("name", ["canary", "crash-at-30-percent"])
def test_a_conflict_at_any_write_leaves_the_same_history(name: str) -> None:
    whole = _played(name)
    for write in range(0, len(whole.writes), 3):
        assert _outcome(_played(name, conflict_at=write)) == _outcome(whole), f"conflict at write {write}"


@pytest.mark.parametrize("write", range(5))
def test_who_was_dropped_stays_out_where_the_operator_died_before_it_wrote_that_down(served: World, write: int) -> None:
    canary(served, 2, 30, pause="9s")
    served.running["signals-2"].start_seconds = 60
    before = len(served.splits)
    served.evict("signals-2")
    served.kill(before=write)
    served.run(10)
    assert [len(split) for split in served.splits[before:]] == [1]
    assert (served.state("signals-2"), served.percent("signals-2")) == (State.Held, 0)


def test_a_lost_status_is_rebuilt_from_the_route(served: World) -> None:
    canary(served, 2, 30, pause="10s")
    served.lose_status()
    served.events.clear()
    served.run(1)
    assert served.state("signals-1") is State.Live
    assert served.percent("signals-1") + served.percent("signals-2") == 100
    assert [e for e in entered(served.events) if "StatusRebuilt" in e] == [
        "signals-1 StatusRebuilt",
        "signals-2 StatusRebuilt",
    ]
    assert [len(split) for split in served.splits[-2:]] == [1, 2], "a candidate begins anew, from the start"
    served.run(30)
    assert served.state("signals-2") is State.Live


def test_the_greatest_share_is_stable_when_everything_is_forgotten(served: World) -> None:
    canary(served, 2, 90, pause="60s")
    served.lose_status()
    served.run(1)
    assert served.states() == {"signals-1": State.Standby, "signals-2": State.Live}
    assert served.percent("signals-2") == 100


def test_of_two_that_serve_as_much_the_older_is_stable_when_everything_is_forgotten() -> None:
    world = serving(9)
    canary(world, 10, 50, pause="60s")
    world.lose_status()
    world.run(0.2)
    assert world.state("signals-9") is State.Live
    assert world.versions["signals-10"].status.promoted_at is None


def test_the_record_of_a_standby_is_rebuilt_as_never_promoted(served: World) -> None:
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(10)
    served.lose_status("signals-1")
    served.run(1)
    status = served.versions["signals-1"].status
    assert (status.state, status.promoted_at) == (State.Standby, None)


def test_a_lost_record_of_the_serving_one_that_should_retire_is_rebuilt_first(served: World) -> None:
    served.edit("signals-1", desired="Retired")
    served.lose_status("signals-1")
    served.run(1)
    status = served.versions["signals-1"].status
    assert (status.state, status.reason, served.percent("signals-1")) == (State.Live, Reason.LastServing, 100)


@pytest.mark.parametrize("missing", ["plan", "step"])
def test_a_record_that_cannot_be_read_starts_the_attempt_again_and_never_promotes(served: World, missing: str) -> None:
    canary(served, 2, 30, 50, pause="20s")
    known = served.versions["signals-2"]
    broken = known.status.model_copy(update={missing: None})
    served.versions["signals-2"] = known.model_copy(update={"status": broken})
    served.run(1)
    assert [len(split) for split in served.splits[-2:]] == [1, 2]
    assert served.state("signals-2") is State.Paused
    assert served.percent("signals-2") == 30


def test_a_rejected_version_that_serves_without_a_record_is_adopted_when_it_is_mended(served: World) -> None:
    served.apply(version(1, rollout={"strategy": "Shadow"}))
    served.lose_status()
    served.run(1)
    assert (served.state("signals-1"), served.percent("signals-1")) == (State.Rejected, 100)
    served.apply(version(1))
    served.run(1)
    assert served.state("signals-1") is State.Live


def test_a_stranger_in_the_route_does_not_hinder_the_first_version(world: World) -> None:
    world.apply(version(1, rollout=steps(10)))
    world.run(0.1)
    world.restart_operator()
    world.run(6)
    assert world.state("signals-1") is State.Live


@pytest.mark.parametrize("whose", [(), ("signals-2",)], ids=["all", "its own"])
def test_an_aborted_version_whose_status_was_lost_stays_aborted(served: World, whose: tuple[str, ...]) -> None:
    canary(served, 2, 30, pause="60s")
    served.edit("signals-2", control=Control(abort=True))
    served.run(5)
    served.lose_status(*whose)
    served.restart_operator()
    served.run(60)
    assert served.states() == {"signals-1": State.Live, "signals-2": State.Aborted}
    assert served.percent("signals-2") == 0

"""What `turnout plan` says of a file, held against what the same world then does with it."""

from __future__ import annotations

import pytest

from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, serving
from turnout.api.control import Control
from turnout.api.reasons import State
from turnout.api.version import ModelVersion
from turnout.rollout.forecast import Forecast, forecast

PLAN = steps(10, pause="60s")
NAME = "signals-2"
NO_DIGEST = {"runtime": "sklearn", "artifact": {"uri": "pvc://models/signals"}}


def foretold(world: World, file: ModelVersion) -> Forecast:
    return forecast(file, tuple(world.versions.values()), world.now)


def apply(world: World, file: ModelVersion, seconds: float = 8) -> None:
    world.apply(file)
    world.run(seconds)


def two() -> World:
    """signals-2 is stable, and signals-1 the way back."""
    return serving(1, 2)


def aborted() -> World:
    world = serving(1)
    canary(world, 2, 30, pause="60s")
    world.edit(NAME, control=Control(abort=True))
    world.run(5)
    assert world.state(NAME) is State.Aborted
    return world


def retired() -> World:
    """signals-2 was promoted, and nothing says what its bytes were."""
    world = serving(1)
    apply(world, version(2, predictor=NO_DIGEST, rollout={"strategy": "AllAtOnce"}))
    assert world.state(NAME) is State.Live
    world.edit(NAME, desired="Retired")
    world.run(10)
    assert world.states() == {"signals-1": State.Live, NAME: State.Retired}
    return world


@pytest.mark.parametrize("desired", ["Standby", "Retired"])
def test_the_stable_one_gives_way_to_who_was_promoted_before(desired: str) -> None:
    world, file = two(), version(2, desired=desired, rollout={"strategy": "AllAtOnce"})
    way = "gives way to signals-1, which comes back the fast way: it was promoted before"
    assert foretold(world, file).way == way
    apply(world, file, 3)
    assert (world.state("signals-1"), world.percent("signals-1")) == (State.Live, 100)


@pytest.mark.parametrize("desired", ["Standby", "Retired"])
def test_the_only_one_stays(desired: str) -> None:
    world, file = serving(1), version(1, desired=desired, rollout={"strategy": "AllAtOnce"})
    assert foretold(world, file).way.startswith(f"stays the stable one though desired is {desired}: no other version")
    apply(world, file)
    assert (world.state("signals-1"), world.percent("signals-1")) == (State.Live, 100)


def test_the_stable_one_gives_way_to_a_rollout_that_runs() -> None:
    world = serving(1)
    canary(world, 2, 30, pause="10s")
    file = version(1, desired="Standby", rollout={"strategy": "AllAtOnce"})
    assert foretold(world, file).way == "gives way to signals-2, whose rollout runs, as soon as that is promoted"
    apply(world, file, 3)
    assert world.percent("signals-1") == 70
    world.run(20)
    assert world.states() == {"signals-1": State.Standby, NAME: State.Live}


def test_a_retired_one_of_unknown_bytes_goes_through_its_whole_plan() -> None:
    world, file = retired(), version(2, predictor=NO_DIGEST, rollout=PLAN)
    found = foretold(world, file)
    assert found.way == "takes over from signals-1 (1 pod ready)"
    assert [stage.percent for stage in found.stages] == [0, 0, 10, 10, 100]
    assert any("whole plan all the same: " in note for note in found.notes)
    apply(world, file)
    assert world.percent(NAME) == 10


def test_a_file_with_a_new_retry_token_retries() -> None:
    world = aborted()
    without = version(2, rollout=PLAN)
    assert foretold(world, without).way == "is there and is Aborted: it gets no traffic before it is retried"
    file = version(2, rollout=PLAN, control={"retryToken": "again"})
    assert foretold(world, file).way == "takes over from signals-1 (1 pod ready)"
    apply(world, file)
    assert world.percent(NAME) == 10


def test_beside_a_ghost_it_does_not_say_that_nothing_serves() -> None:
    world = serving(1)
    apply(world, version(2, desired="Standby"), 2)
    world.delete("signals-1")
    world.run(2)
    file = version(3, rollout=PLAN)
    assert foretold(world, file).way.endswith(", if no deleted version still serves")
    apply(world, file)
    assert world.percent("signals-3") == 10, "one does"

"""What the histories and the sweeps have found, each in the smallest story that shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import steps, version
from tests.simulation.cluster import Cluster, cluster
from turnout.api.reasons import Reason, State


@pytest.fixture
def world() -> Iterator[Cluster]:
    with cluster(Invariants(steps=False)) as made:
        yield made


def test_a_first_version_that_the_route_never_took_does_not_stand_in_the_way_of_the_next(world: Cluster) -> None:
    """Its revision is not Ready, so the Route with it in freezes; and nobody is stable to take over."""
    world.serving.freeze(60)
    world.apply(version(1))
    world.run(5)
    world.serving.say_ready("signals-1-predictor-00001", "False")
    world.apply(version(2))
    world.run(120)
    assert (world.state("signals-2"), world.percent("signals-2")) == (State.Live, 100)


def test_an_operator_that_comes_while_evicted_pods_still_leave_does_not_take_their_going_for_a_hang(
    world: Cluster,
) -> None:
    """Its first look sees the old pod on its way out; a moment later only the replacement is there, not ready."""
    world.apply(version(1))
    world.run(8)
    world.apply(version(2, rollout=steps(30, pause="9s")))
    world.run(5)
    world.starts_in("signals-2", 7)
    world.evict("signals-2")
    world.restart_operator()
    world.run(6)
    status = world.versions["signals-2"].status
    assert (status.state, status.reason) == (State.Held, Reason.Evicted)
    world.run(25)
    assert world.state("signals-2") is State.Live

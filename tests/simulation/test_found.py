"""What the histories and the sweeps have found, each in the smallest story that shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import version
from tests.simulation.cluster import Cluster, cluster
from turnout.api.reasons import State


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

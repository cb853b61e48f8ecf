"""A split between its write and the gateway's answer: what statuses tell of it, and what a step costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.simulation import version
from tests.rollout.world import World, canary, entered
from turnout.api.control import Control
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.status import ConditionStatus
from turnout.rollout.plan import PollRequest
from turnout.rollout.snapshot import Problem, Share

ALL_TO_2 = (Share("signals-2-predictor-00001", 100),)


def weights(world: World, number: int) -> tuple[int, int]:
    """Desired and observed, as the status tells them."""
    weight = world.versions[f"signals-{number}"].status.weight
    return weight.desired, weight.observed


def in_sync(world: World, number: int) -> tuple[ConditionStatus, str]:
    found = world.versions[f"signals-{number}"].status.condition(ConditionType.TrafficInSync)
    assert found is not None
    return found.status, found.reason


@pytest.fixture
def paused(served: World) -> World:
    """signals-2 has 30 %, and 60 are to come in a minute."""
    canary(served, 2, 30, 60, pause="60s")
    return served


def until_60_is_written(world: World) -> None:
    asked = len(world.splits)
    world.run(70, until=lambda: len(world.splits) > asked)
    assert world.splits[-1][-1].percent == 60


def test_a_step_costs_three_statuses_and_one_route(paused: World) -> None:
    mark = len(paused.writes)
    paused.run(70, until=lambda: paused.percent("signals-2") == 60)
    paused.run(2)
    route = "route signals-1-predictor-00001=40 signals-2-predictor-00001=60"
    assert paused.writes[mark:] == [
        "record signals-2 Progressing",
        route,
        "record signals-1 Live",
        "record signals-2 Paused",
    ]


def test_a_split_is_told_when_it_holds(paused: World) -> None:
    until_60_is_written(paused)
    assert (weights(paused, 1), weights(paused, 2)) == ((70, 70), (30, 30))
    assert in_sync(paused, 2) == (ConditionStatus.TRUE, "InSync")
    paused.run(2)
    assert (weights(paused, 1), weights(paused, 2)) == ((40, 40), (60, 60))
    verified = paused.versions["signals-2"].status.weight.verified_at
    assert verified is not None
    assert verified > paused.now - timedelta(seconds=2)


def test_a_split_that_takes_long_is_told_as_asked_and_not_yet_seen(paused: World) -> None:
    paused.frozen_until = paused.now + timedelta(seconds=80)
    until_60_is_written(paused)
    paused.run(2)
    assert weights(paused, 2) == (30, 30)
    paused.run(2)
    assert (weights(paused, 1), weights(paused, 2)) == ((40, 70), (60, 30))
    assert in_sync(paused, 1) == in_sync(paused, 2) == (ConditionStatus.UNKNOWN, "RouteNotReady")
    paused.run(30)
    assert (weights(paused, 1), weights(paused, 2)) == ((40, 40), (60, 60))
    assert in_sync(paused, 2) == (ConditionStatus.TRUE, "InSync")


def test_a_gateway_that_is_late_is_told_as_well(paused: World) -> None:
    """The Route's status names the new split before the gateway has heard of it."""
    paused.gateway_late = timedelta(seconds=8)
    until_60_is_written(paused)
    paused.run(2)
    assert weights(paused, 2) == (30, 30)
    paused.run(2)
    assert weights(paused, 2) == (60, 60)
    assert in_sync(paused, 2) == (ConditionStatus.UNKNOWN, "RouteNotReady")
    assert paused.versions["signals-2"].status.weight.verified_at is None
    paused.run(6)
    assert in_sync(paused, 2) == (ConditionStatus.TRUE, "InSync")


def test_a_split_that_cannot_be_written_is_told_at_once(paused: World) -> None:
    paused.route_problem = Problem(Reason.TrafficUnwritable, "the webhook does not answer")
    paused.run(70, until=lambda: weights(paused, 2)[0] == 60)
    assert weights(paused, 2)[0] == 60
    assert in_sync(paused, 2) == (ConditionStatus.FALSE, "TrafficUnwritable")


def test_what_others_have_made_of_it_is_told_at_once(paused: World) -> None:
    """Their split takes effect while ours is not even tried: it is neither what was told nor what is wanted."""
    paused.foreign_edits = (paused.now,) * 3  # contended: it is left alone for a minute
    paused.edit_route(ALL_TO_2)
    paused.run(1)
    assert (weights(paused, 1), weights(paused, 2)) == ((70, 0), (30, 100))
    assert in_sync(paused, 2)[0] is not ConditionStatus.TRUE


def test_an_edit_by_hand_upon_a_split_that_is_on_its_way_is_put_back_and_the_next_is_known_as_one(
    paused: World,
) -> None:
    until_60_is_written(paused)
    paused.edit_route(ALL_TO_2)
    paused.run(0.2)
    assert weights(paused, 2) == (60, 30)
    paused.edit_route(ALL_TO_2)
    paused.run(3)
    assert (weights(paused, 1), weights(paused, 2)) == ((40, 40), (60, 60))
    assert entered(paused.events).count("signals-2 DriftCorrected") == 1


def test_a_new_version_is_told_its_first_share_when_it_has_it(served: World) -> None:
    served.apply(version(2))
    served.run(60, until=lambda: len(served.splits) == 2)
    assert in_sync(served, 2) == (ConditionStatus.TRUE, "NoTraffic")
    served.run(2)
    assert weights(served, 2) == (10, 10)
    assert in_sync(served, 2) == (ConditionStatus.TRUE, "InSync")


@pytest.mark.parametrize("end", ["crash", "abort"])
def test_that_a_candidate_is_to_lose_its_share_is_told_at_once(paused: World, end: str) -> None:
    if end == "crash":
        paused.crash("signals-2")
    else:
        paused.edit("signals-2", control=Control(abort=True))
    paused.run(30, until=lambda: len(paused.splits[-1]) == 1)
    assert paused.state("signals-2") is State.RollingBack
    assert weights(paused, 2) == (0, 30)


def test_numbers_are_asked_for_since_no_moment_while_a_split_is_on_its_way(served: World) -> None:
    asked: list[PollRequest] = []
    served.check = lambda _world, _snapshot, plan: asked.append(plan.poll) if plan.poll else None
    canary(served, 2, 30, 60, pause="60s", analysis={"interval": "5s"})
    served.frozen_until = served.now + timedelta(seconds=100)
    until_60_is_written(served)
    assert [request for request in asked if request.weight_since is not None]
    asked.clear()
    served.run(6)
    assert asked
    assert all(request.weight_since is None for request in asked)

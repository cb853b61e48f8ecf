"""Idle versions go to zero, requests wake them, floors hold; idle is never dead."""

import asyncio
from datetime import timedelta

import pytest

from tests.platform.local.conftest import Start
from tests.platform.local.world import KEY, World
from turnout.platform.local.revision import LocalRevision
from turnout.rollout.plan import Scale
from turnout.rollout.snapshot import Autoscaling

pytestmark = pytest.mark.slow


async def floor(world: World, number: int, least: int, most: int = 3) -> LocalRevision:
    revision = world.revision(number)
    await world.engine.scale(KEY, Scale(revision.seen(), Autoscaling(least, most, timedelta())))
    return revision


async def test_an_idle_version_sleeps_and_the_next_request_wakes_it_and_is_answered(start: Start) -> None:
    world = await start(idle_seconds=0.6)
    await world.deploy(1, settings={"start_seconds": 0.5})
    await world.split((1, 100))
    revision = await floor(world, 1, 0)
    await world.until(lambda: not revision.replicas)
    asleep = (await world.seen()).deployments[0].revision
    assert asleep is not None
    assert (asleep.wanted, asleep.starting, asleep.servable) == (0, True, True)
    answers = await asyncio.gather(*(world.ask() for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["pid"] for answer in answers}) == 1
    await world.until(lambda: not revision.replicas)


async def test_a_version_that_is_asked_all_the_time_does_not_sleep(start: Start) -> None:
    world = await start(idle_seconds=1.2)
    revision = await world.deploy(1)
    await world.split((1, 100))
    await floor(world, 1, 0)
    for _ in range(12):
        assert (await world.ask()).status == 200
        await asyncio.sleep(0.25)
    assert revision.replicas[0].starts == 1


async def test_a_slow_request_keeps_a_version_awake(start: Start) -> None:
    world = await start(idle_seconds=0.6)
    await world.deploy(1, settings={"seconds": 2.5})
    await world.split((1, 100))
    await floor(world, 1, 0)
    assert (await world.ask()).status == 200


async def test_floors_hold_at_once_up_and_down(world: World) -> None:
    revision = await world.deploy(1)
    await floor(world, 1, 3)
    await world.until(lambda: len(revision.ready) == 3)
    seen = revision.seen().revision
    assert seen is not None
    assert [pod.name for pod in seen.pods] == ["tiny-1-1", "tiny-1-2", "tiny-1-3"]
    await floor(world, 1, 1)
    await world.until(lambda: len(revision.replicas) == 1)


async def test_a_candidate_with_a_share_that_sleeps_is_woken_by_its_share(start: Start) -> None:
    world = await start(idle_seconds=0.6)
    await world.deploy(1)
    await world.deploy(2)
    await world.split((2, 50), (1, 50), fallback=1)
    await floor(world, 1, 1)
    candidate = await floor(world, 2, 0)
    await world.until(lambda: not candidate.replicas)
    versions = {(await world.ask()).version for _ in range(20)}
    assert versions == {"1", "2"}


async def test_a_version_that_never_was_ready_is_wanted_even_if_nobody_asks(start: Start) -> None:
    world = await start(idle_seconds=0.1)
    revision = await world.deploy_soon(1, pods=0, settings={"start_seconds": 1.5})
    await asyncio.sleep(1.2)
    assert len(revision.staying) == 1
    await world.until(lambda: not revision.replicas)


async def test_falling_asleep_and_waking_loses_no_request_whenever_it_comes(start: Start) -> None:
    world = await start(idle_seconds=0.1)
    revision = await world.deploy(1, settings={"seconds": 0.05})
    await world.split((1, 100))
    await floor(world, 1, 0)
    pids = set()
    for n in range(16):
        await asyncio.sleep(0.3 + 0.07 * n)  # before, while and after it goes: 0.6 s without a request and a look
        answer = await world.ask()
        assert answer.status == 200, answer.body
        pids.add(answer.body["pid"])
    assert len(pids) > 4
    await world.until(lambda: not revision.replicas)

"""A candidate dies or hangs at any moment of heavy traffic: no caller fails, and none waits longer than he must.

Of as great a share as the budget of repeats has room for; what holds beyond that is in test_repeats.py.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.platform.local.world import Tally, World, predictor, stream
from turnout.api.reasons import Reason, State
from turnout.gateway.topology import Resource

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("TURNOUT_STRESS_ROUNDS", "4"))


def paused_at(percent: int) -> dict[str, object]:
    """A rollout that stands at a share until somebody dies."""
    return {"steps": [{"setWeight": percent}, {"pause": {"duration": "1h"}}], "abortScaleDownDelay": "0s"}


async def paused(world: World, number: int, percent: int, **spec: object) -> None:
    world.write(number, rollout=paused_at(percent), **spec)
    assert not world.read()
    await world.until(lambda: world.status(number).state is State.Paused, seconds=30)


def late_routes(world: World, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Envoy that is slow to hear of routes, but not of endpoints: a window of a millisecond, held open."""
    envoy = world.engine.machine.envoy
    give = envoy._give

    async def late(what: str, resources: list[Resource]) -> bool:
        await asyncio.sleep(seconds if what == "routes" else 0)
        return await give(what, resources)

    monkeypatch.setattr(envoy, "_give", late)


@pytest.mark.parametrize("late_seconds", [0.0, 0.3])
async def test_whenever_a_candidate_is_killed_nobody_fails_and_nobody_waits(
    controlled: World, late_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    late_routes(controlled, late_seconds, monkeypatch)
    controlled.write(1, settings={"seconds": 0.01})
    controlled.read()
    await controlled.until(lambda: controlled.status(1).state is State.Live)
    chance = random.Random(3)
    async with callers(controlled) as tally:
        for number in range(2, 2 + ROUNDS):
            grave = controlled.folder / f"grave-{number}"
            settings = {"seconds": 0.01, "grave": str(grave)}
            await paused(controlled, number, chance.choice((5, 10, 20)), settings=settings)
            await controlled.until(lambda version=str(number): version in tally.versions)  # at 5 % that is up to chance
            await asyncio.sleep(chance.uniform(0.1, 0.4))
            grave.touch()
            controlled.revision(number).replicas[0].signal(signal.SIGKILL)
            await out_of_the_split(controlled, number)
        await asyncio.sleep(2.5)  # whoever hangs is seen to hang
        assert tally.overdue(2.0) == 0
    assert tally.failed == []
    assert tally.slowest < 5  # half of what a caller would have to wait for one that hangs
    assert len(tally.versions) == 1 + ROUNDS


@pytest.mark.parametrize(
    "settings", [{}, {"hang_after": 20}], ids=["a process that is stopped", "a forward without end"]
)
async def test_who_waits_in_a_candidate_that_hangs_is_answered_soon_after_it_is_out(
    controlled: World, settings: dict[str, object]
) -> None:
    controlled.write(1)
    controlled.read()
    await controlled.until(lambda: controlled.status(1).state is State.Live)
    patient = predictor(timeoutSeconds=60, settings=settings)
    async with callers(controlled) as tally:
        await paused(controlled, 2, 20, predictor=patient)
        candidate = controlled.revision(2)
        if not settings:
            candidate.replicas[0].signal(signal.SIGSTOP)
        await controlled.until(lambda: not candidate.ready)
        unready = time.monotonic()
        await out_of_the_split(controlled, 2)
        out = time.monotonic()
        assert tally.overdue(2.5), "nobody waits: the test proves nothing"
        await controlled.until(lambda: not tally.overdue(2.5))
        freed = time.monotonic()
    assert tally.failed == []
    assert controlled.status(2).reason is Reason.ReadinessLost
    assert out - unready < 5
    assert freed - out < 5
    assert tally.slowest < 15


async def out_of_the_split(world: World, number: int) -> None:
    ended = {State.RollingBack, State.RolledBack}
    await world.until(lambda: world.status(number).state in ended)


@asynccontextmanager
async def callers(world: World) -> AsyncIterator[Tally]:
    """Two hundred requests per second, as long as the block lasts."""
    tally = Tally()
    load = asyncio.create_task(stream(world, tally, per_second=200, seconds=3600))
    try:
        yield tally
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)

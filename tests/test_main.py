"""How the process starts, what makes it start over, and what ends it."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from turnout import main
from turnout.api.reasons import Reason
from turnout.controller.election import Election
from turnout.controller.reconcile import Controller
from turnout.main import Operator
from turnout.platform.kubernetes.calls import NotServed
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, Resource
from turnout.platform.kubernetes.watching import Watches
from turnout.platform.protocol import Refused, Unavailable
from turnout.rollout.snapshot import ModelKey, Problem
from turnout.settings import parse


class Lists:
    """Stands where the platform and its feed do; `faults` come first, then what `serves` says."""

    def __init__(self, *faults: Exception, missing: frozenset[Resource] = frozenset()) -> None:
        self.faults = list(faults)
        self.feed = self
        self.missing = missing
        self.trouble: Problem | None = None
        self.refreshed = 0
        self.appears = asyncio.Event()
        self.often = asyncio.Event()
        self.models: set[ModelKey] = set()

    def keys(self) -> set[ModelKey]:
        return self.models

    async def refresh(self) -> None:
        self.refreshed += 1
        if self.refreshed == 5:
            self.often.set()
        if self.faults:
            raise self.faults.pop(0)
        if self.appears.is_set():
            self.missing = frozenset()


class Workers:
    """`drains`: whether its last writes are answered in time."""

    def __init__(self) -> None:
        self.working = False
        self.drains = True
        self.begun = asyncio.Event()

    async def drain(self, _patience: float) -> bool:
        return self.drains

    async def run(self) -> None:
        self.working = True
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.working = False


class Lease:
    """Stands where the election does: free unless a test says so, and held until `lost`."""

    def __init__(self, log: Lists) -> None:
        self.free, self.lost = asyncio.Event(), asyncio.Event()
        self.free.set()
        self.listed_before = -1  # lists that were read when it was acquired
        self.released = 0
        self.idle = False
        self._lists = log

    async def acquire(self, idle: Callable[[], bool]) -> None:
        self.idle = idle()
        await self.free.wait()
        self.listed_before = self._lists.refreshed

    async def hold(self) -> None:
        await self.lost.wait()

    async def release(self) -> None:
        self.released += 1


class Told:
    """Stands where SIGTERM does."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def __call__(self) -> None:
        await self.event.wait()


class Eyes:
    """Stands where the watches do; `broken`: what ends them."""

    def __init__(self) -> None:
        self.trouble = ""
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watch = True

    async def run(self) -> None:
        try:
            await self.broken
        finally:
            self.watch = False


@dataclass
class World:
    """An operator whose waits are short, and everything around it."""

    operator: Operator
    lists: Lists
    eyes: Eyes
    workers: Workers
    lease: Lease
    told: Told


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    lists, eyes, workers, told = Lists(), Eyes(), Workers(), Told()
    lease = Lease(lists)
    monkeypatch.setattr(main, "told_to_end", told)
    for wait in ("RELIST", "LOOK_FOR_MISSING", "TRY_AGAIN"):
        monkeypatch.setattr(main, wait, 0.0)
    platform, controller = cast("KubernetesPlatform", lists), cast("Controller", workers)
    operator = Operator(platform, cast("Watches", eyes), controller, cast("Election", lease))
    return World(operator, lists, eyes, workers, lease, told)


async def runs(world: World) -> bool:
    return await asyncio.wait_for(world.operator.run(), 5)


async def test_it_is_ready_when_the_first_lists_are_read_however_often_they_fail(world: World) -> None:
    world.lists.faults = [Unavailable("away"), Refused("pods is forbidden"), Unavailable("away")]
    assert world.operator.lacking() == "the first lists have not been read"
    running = asyncio.create_task(runs(world))
    while len(world.lists.faults) > 1:  # noqa: ASYNC110 – who waits for a list tells nobody
        await asyncio.sleep(0)
    assert world.operator.lacking() == "the first lists cannot be read: pods is forbidden"
    await world.lists.often.wait()
    assert world.operator.lacking() == ""
    world.eyes.trouble = "the watch of pods does not work: pods is forbidden"
    assert world.operator.lacking() == world.eyes.trouble
    world.told.event.set()
    assert await running is False
    assert not world.workers.working


async def test_one_that_is_told_to_end_before_it_has_seen_anything_ends(world: World) -> None:
    world.lists.faults = [Unavailable("away")] * 1_000_000
    world.told.event.set()
    assert await runs(world) is False
    assert world.lease.listed_before == -1


async def test_a_kind_that_has_gone_makes_it_start_over_and_say_why(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.eyes.broken.set_exception(NotServed("watch /apis: 404 page not found"))
    assert await runs(world) is True
    assert "404 page not found" in caplog.text
    assert not world.workers.working


async def test_workers_that_break_make_it_start_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        raise ExceptionGroup("workers", [KeyError("a bug outside of the broad catch")])

    monkeypatch.setattr(world.workers, "run", run)
    assert await runs(world) is True


async def test_a_kind_that_appears_later_makes_it_start_over(world: World) -> None:
    world.lists.missing = frozenset({INFERENCE_SERVICES})
    world.lists.trouble = Problem(Reason.KServeMissing, "the cluster does not serve inferenceservices")
    running = asyncio.create_task(runs(world))
    await world.lists.often.wait()
    assert not running.done()
    world.lists.faults = [Unavailable("away"), Refused("no right")]  # a list that fails does not end the search
    world.lists.appears.set()
    assert await running is True


async def test_its_own_work_ends_before_the_watches_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    async def drain(_: float) -> bool:
        seen.append(world.eyes.watch)
        return True

    monkeypatch.setattr(world.workers, "drain", drain)
    running = asyncio.create_task(runs(world))
    await world.lists.often.wait()
    world.told.event.set()
    assert await running is False
    assert seen == [True]
    assert not world.eyes.watch


async def test_sigterm_and_sigint_are_what_ends_it() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        telling = asyncio.create_task(main.told_to_end())
        await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(telling, 5)


def test_it_starts_over_until_it_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [True, True, False]

    names = set()

    async def operate(_: Any, who: str) -> bool:
        names.add(who)
        return turns.pop(0)

    monkeypatch.setattr(main, "operate", operate)
    monkeypatch.setattr(main, "sleep", lambda _: None)
    assert main.main(parse(["--verbose"])) == 0
    assert not turns
    assert len(names) == 1, "it is the same candidate, whose former term is over"


async def test_a_standby_reads_and_watches_and_does_not_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.lease.free.clear()
    monkeypatch.setattr(main, "RELIST", 300.0)
    running = asyncio.create_task(runs(world))
    while world.operator.lacking():  # noqa: ASYNC110 – it tells nobody
        await asyncio.sleep(0)
    assert (world.lists.refreshed, world.workers.working) == (1, False)
    world.lease.free.set()
    await asyncio.wait_for(world.workers.begun.wait(), 5)
    assert world.lists.refreshed > world.lease.listed_before, "what the former leader wrote last is read first"
    world.told.event.set()
    assert await running is False


@pytest.mark.parametrize("models", [set(), {ModelKey("support", "signals")}], ids=["no model", "a model"])
async def test_only_where_no_model_is_there_is_nothing_to_lead_over(world: World, models: set[ModelKey]) -> None:
    world.lists.models = models
    running = asyncio.create_task(runs(world))
    await asyncio.wait_for(world.workers.begun.wait(), 5)
    assert world.lease.idle is not bool(models)
    world.told.event.set()
    await running


async def test_a_lost_lease_ends_the_work_and_makes_it_start_over(world: World) -> None:
    running = asyncio.create_task(runs(world))
    await asyncio.wait_for(world.workers.begun.wait(), 5)
    world.lease.lost.set()
    assert await running is True
    assert not world.workers.working
    assert world.lease.released == 0


@pytest.mark.parametrize("drains", [True, False])
async def test_told_to_end_it_lets_others_lead_unless_a_write_may_be_on_its_way(world: World, drains: bool) -> None:
    world.workers.drains = drains
    running = asyncio.create_task(runs(world))
    await asyncio.wait_for(world.workers.begun.wait(), 5)
    world.told.event.set()
    assert await running is False
    assert world.lease.released == (1 if drains else 0)

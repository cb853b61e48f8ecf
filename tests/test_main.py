"""How the process starts, what makes it start over, and what ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from turnout import main
from turnout.controller.election import Election
from turnout.controller.reconcile import Controller
from turnout.main import Operator
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, Resource
from turnout.platform.protocol import Refused, Unavailable
from turnout.rollout.snapshot import Problem
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

    async def drain(self, _patience: float) -> bool:
        return self.drains

    async def run(self) -> None:
        self.working = True
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
        self._lists = log

    async def acquire(self) -> None:
        await self.free.wait()
        self.listed_before = self._lists.refreshed

    async def hold(self) -> None:
        await self.lost.wait()

    async def release(self) -> None:
        self.released += 1


Watch = Callable[..., Awaitable[None]]


async def told_to_end(*_: Any) -> None:
    await asyncio.sleep(0)


async def broken(*_: Any) -> None:
    raise RuntimeError("404 page not found")


async def until_stopped(_feed: Any, _namespaces: Any, stop: asyncio.Event) -> None:
    await stop.wait()


def an_operator(
    monkeypatch: pytest.MonkeyPatch, watches: Watch, lists: Lists, lease: Lease | None = None
) -> tuple[Operator, Workers]:
    monkeypatch.setattr(main.watch, "watch", watches)
    for wait in ("RELIST", "LOOK_FOR_MISSING", "TRY_AGAIN"):
        monkeypatch.setattr(main, wait, 0.0)
    workers = Workers()
    platform, controller = cast("KubernetesPlatform", lists), cast("Controller", workers)
    election = cast("Election", lease or Lease(lists))
    return Operator(parse([]), platform, controller, election), workers


async def test_it_is_ready_when_the_first_lists_are_read_however_often_they_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists = Lists(Unavailable("away"), Refused("no right"), Unavailable("away"))
    operator, workers = an_operator(monkeypatch, told_to_end, lists)
    assert operator.lacking() == "the first lists have not been read"
    assert await operator.run() is False
    assert operator.lacking() == ""
    assert lists.refreshed >= 4
    assert not workers.working


async def test_broken_watches_make_it_start_over_and_say_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    operator, workers = an_operator(monkeypatch, broken, Lists())
    assert await operator.run() is True
    assert "404 page not found" in caplog.text
    assert not workers.working


async def test_workers_that_break_make_it_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    operator, workers = an_operator(monkeypatch, until_stopped, Lists())

    async def run() -> None:
        raise ExceptionGroup("workers", [KeyError("a bug outside of the broad catch")])

    monkeypatch.setattr(workers, "run", run)
    assert await asyncio.wait_for(operator.run(), 5) is True


async def test_a_kind_that_appears_later_makes_it_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Lists(missing=frozenset({INFERENCE_SERVICES}))
    operator, _ = an_operator(monkeypatch, until_stopped, lists)
    running = asyncio.create_task(operator.run())
    await lists.often.wait()
    assert not running.done()
    lists.faults = [Unavailable("away"), Refused("no right")]  # a list that fails does not end the search
    lists.appears.set()
    assert await running is True


async def test_its_own_work_ends_before_the_watches_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow_to_end(_feed: Any, _namespaces: Any, stop: asyncio.Event) -> None:
        stop.set()
        await asyncio.sleep(0.01)
        assert not workers.working

    operator, workers = an_operator(monkeypatch, slow_to_end, Lists())
    assert await operator.run() is False


def test_it_starts_over_until_it_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [True, True, False]

    names = set()

    async def operate(_: Any, who: str) -> bool:
        names.add(who)
        return turns.pop(0)

    monkeypatch.setattr(main, "operate", operate)
    monkeypatch.setattr(main, "sleep", lambda _: None)
    assert main.main(["--verbose"]) == 0
    assert not turns
    assert len(names) == 1, "it is the same candidate, whose former term is over"


async def test_a_standby_reads_and_watches_and_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Lists()
    lease = Lease(lists)
    lease.free.clear()
    operator, workers = an_operator(monkeypatch, until_stopped, lists, lease)
    monkeypatch.setattr(main, "RELIST", 300.0)
    running = asyncio.create_task(operator.run())
    await asyncio.sleep(0.05)
    assert operator.lacking() == ""
    assert lists.refreshed == 1
    assert not workers.working
    lease.free.set()
    await asyncio.sleep(0.05)
    assert workers.working
    assert lists.refreshed > lease.listed_before, "what the former leader wrote last is read first"
    running.cancel()


async def test_a_lost_lease_ends_the_work_and_makes_it_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease(lists := Lists())
    operator, workers = an_operator(monkeypatch, until_stopped, lists, lease)
    running = asyncio.create_task(operator.run())
    await asyncio.sleep(0.05)
    assert workers.working
    lease.lost.set()
    assert await asyncio.wait_for(running, 5) is True
    assert not workers.working
    assert lease.released == 0


@pytest.mark.parametrize("drains", [True, False])
async def test_told_to_end_it_lets_others_lead_unless_a_write_may_be_on_its_way(
    monkeypatch: pytest.MonkeyPatch, drains: bool
) -> None:
    lease = Lease(lists := Lists())
    operator, workers = an_operator(monkeypatch, told_to_end, lists, lease)
    workers.drains = drains
    assert await operator.run() is False
    assert lease.released == (1 if drains else 0)

"""Watches that are cut, refused, compacted or late: what is known in the end is what is there, and who is told."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp.test_utils import TestServer

from tests.platform.kubernetes.apiserver import ApiServer, Fault, Object
from tests.platform.kubernetes.conftest import KEY, START, a_pod, a_version
from turnout.platform.kubernetes import watching
from turnout.platform.kubernetes.calls import NotServed
from turnout.platform.kubernetes.connection import Way, connect
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.kubernetes.resources import PODS, ROUTES, VERSIONS, WATCHED, Resource
from turnout.platform.kubernetes.watching import DEAF_AFTER, Watches
from turnout.rollout.snapshot import ModelKey


@dataclass
class World:
    """A cluster that is listed, and from then on watched."""

    server: ApiServer
    port: int
    namespaces: tuple[str, ...] = ()
    dirty: list[ModelKey] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator["World"]:
        async with connect(Way(f"http://127.0.0.1:{self.port}")) as calls:
            self.platform = KubernetesPlatform(
                calls, self.dirty.append, images={}, namespaces=self.namespaces, now=lambda: START
            )
            await self.platform.refresh()
            self.dirty.clear()
            self.server.requests.clear()
            self.watches = Watches(calls, self.platform.feed)
            self.running = asyncio.create_task(self.watches.run())
            await self.until(lambda: self.server.watches == len(WATCHED) * max(1, len(self.namespaces)))
            yield self
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
            await self.platform.close()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 – over a real socket; who reads it tells nobody
                await asyncio.sleep(0.005)

    def names(self) -> list[str]:
        return sorted(version.name for version in self.platform.feed.cache.versions.everything())

    def put(self, resource: Resource, body: Object) -> Object:
        return self.server.put(resource.path().strip("/"), body)

    def remove(self, resource: Resource, name: str) -> None:
        self.server.remove(resource.path().strip("/"), "support", name)

    def lists(self) -> list[str]:
        asked = [(path, query) for method, path, query in self.server.requests if method == "GET"]
        return [path for path, query in asked if "watch" not in query or "sendInitialEvents" in query]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.001)
    server = ApiServer()
    running = TestServer(server.application())
    await running.start_server()
    assert running.port is not None
    yield World(server, running.port)
    server.cut()
    await running.close()


async def test_what_happens_is_heard_in_its_order_and_selectors_are_the_servers_business(world: World) -> None:
    async with world.watched():
        world.put(VERSIONS, a_version())
        world.put(VERSIONS, a_version("signals-8", 8))
        world.put(PODS, {"metadata": {"name": "foreign", "namespace": "support"}})
        world.put(PODS, a_pod())
        world.remove(VERSIONS, "signals-7")
        await world.until(lambda: world.names() == ["signals-8"] and len(world.platform.feed.cache.pods) == 1)
        assert set(world.dirty) == {KEY}
        assert world.lists() == []


async def test_a_watch_that_is_cut_goes_on_where_it_was_and_lists_nothing(world: World) -> None:
    world.put(VERSIONS, a_version())
    async with world.watched():
        world.server.cut()
        world.remove(VERSIONS, "signals-7")  # while nobody looks
        world.put(VERSIONS, a_version("signals-8", 8))
        await world.until(lambda: world.names() == ["signals-8"])
        assert world.lists() == []


async def test_a_bookmark_spares_a_quiet_kind_the_list(world: World) -> None:
    async with world.watched():
        kind = VERSIONS.path().strip("/")
        world.server.compacted = world.server.events[-1][0] if world.server.events else 100
        world.server.bookmark(kind)
        world.put(PODS, a_pod())
        await world.until(lambda: len(world.platform.feed.cache.pods) == 1)
        await asyncio.sleep(0.02)
        world.server.cut()
        world.put(VERSIONS, a_version())
        await world.until(lambda: world.names() == ["signals-7"])
        assert VERSIONS.path() not in world.lists()


@pytest.mark.parametrize("how", ["in the stream", "at once"])
async def test_what_went_while_the_past_was_forgotten_is_found_by_a_list(world: World, how: str) -> None:
    world.put(VERSIONS, a_version())
    async with world.watched():
        world.server.cut()
        world.remove(VERSIONS, "signals-7")
        world.put(VERSIONS, a_version("signals-8", 8))
        world.server.forget()
        if how == "at once":
            world.server.faults.append(Fault("GET", "modelversions", 410, "too old resource version"))
        await world.until(lambda: world.names() == ["signals-8"])
        assert VERSIONS.path() in world.lists()
        assert set(world.dirty) == {KEY}
        world.put(VERSIONS, a_version("signals-9", 9))
        await world.until(lambda: world.names() == ["signals-8", "signals-9"])


async def test_a_list_that_fails_after_a_gap_is_asked_again(world: World) -> None:
    world.put(VERSIONS, a_version())
    async with world.watched():
        world.server.cut()
        world.remove(VERSIONS, "signals-7")
        world.server.forget()
        world.server.faults += [
            Fault("GET", "modelversions", 410, "too old resource version"),
            Fault("GET", "modelversions", 503),
            Fault("GET", "modelversions", 410, "the list has expired"),
        ]
        await world.until(lambda: world.names() == [])
        assert not world.server.faults


async def test_news_that_come_twice_tell_nobody(world: World) -> None:
    async with world.watched():
        world.put(VERSIONS, a_version())
        await world.until(lambda: world.names() == ["signals-7"])
        world.dirty.clear()
        world.server.repeat()
        world.put(VERSIONS, a_version("tone-1", 1, "tone"))
        await world.until(lambda: len(world.names()) == 2)
        assert set(world.dirty) == {ModelKey("support", "tone")}


async def test_an_object_that_cannot_be_read_stops_no_other(world: World) -> None:
    async with world.watched():
        broken = a_version("signals-6", 6)
        broken["spec"] |= {"version": "six", "scaling": "much"}
        world.put(VERSIONS, broken)
        world.put(VERSIONS, a_version())
        world.put(PODS, {**a_pod("odd"), "status": {"conditions": "none", "containerStatuses": 3}})
        world.put(PODS, a_pod())
        await world.until(lambda: world.names() == ["signals-7"] and len(world.platform.feed.cache.pods) == 1)
        assert list(world.platform.feed.cache.unread) == [("support", "signals-6")]


async def test_an_object_of_any_size_is_one_event(world: World) -> None:
    async with world.watched():
        large = a_version()
        large["metadata"]["annotations"] = {"note": "é" * 1_000_000}
        world.put(VERSIONS, large)
        world.put(VERSIONS, a_version("signals-8", 8))
        await world.until(lambda: world.names() == ["signals-7", "signals-8"])


async def test_a_right_that_is_missing_for_one_kind_is_told_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = 'pods is forbidden: User "turnout" cannot watch resource "pods" in API group "" at the cluster scope'
    clock = itertools.count(0.0, DEAF_AFTER / 2)
    monkeypatch.setattr(watching.Watch.__init__, "__defaults__", ("", lambda: next(clock)))
    async with world.watched():
        world.server.faults += [Fault("GET", "pods", 403, sentence) for _ in range(10_000)]
        with caplog.at_level(logging.WARNING):
            world.server.cut()
            await world.until(lambda: bool(world.watches.trouble))
        told = f"watch /api/v1/pods: {sentence}"
        assert world.watches.trouble == f"the watch of pods does not work: {told}"
        assert caplog.messages == [f"the watch of pods broke off and is begun again: {told}"], "once"
        world.put(VERSIONS, a_version())
        await world.until(lambda: world.names() == ["signals-7"])
        world.server.faults.clear()  # the right is granted
        await world.until(lambda: world.watches.trouble == "")


async def test_an_api_server_that_restarts_is_found_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LONGEST_PAUSE", 0.01)
    first = TestServer(world.server.application())
    await first.start_server(shutdown_timeout=0.1)
    assert first.port is not None
    world.port = first.port
    async with world.watched():
        world.server.cut()
        await first.close()
        world.put(VERSIONS, a_version())
        second = TestServer(world.server.application(), port=world.port)
        await second.start_server()
        await world.until(lambda: world.names() == ["signals-7"])
        world.server.cut()
    await second.close()


async def test_of_several_namespaces_nothing_else_is_asked_for(world: World) -> None:
    world.namespaces = ("support", "sales")
    async with world.watched():
        world.put(VERSIONS, a_version())
        world.put(VERSIONS, a_version("tone-1", 1, "tone") | {"metadata": {"name": "tone-1", "namespace": "sales"}})
        world.put(VERSIONS, a_version("tone-2", 2, "tone") | {"metadata": {"name": "tone-2", "namespace": "other"}})
        await world.until(lambda: len(world.names()) == 2)
        assert set(world.dirty) == {KEY, ModelKey("sales", "tone")}
    asked = {path.partition("/namespaces/")[2].partition("/")[0] for _, path, _ in world.server.requests}
    assert asked == {"support", "sales"}


async def test_a_kind_that_has_gone_ends_all_of_them(world: World) -> None:
    async with world.watched():
        world.server.missing = {ROUTES.plural}
        world.server.cut()
        with pytest.raises(NotServed, match=r"watch /apis/serving\.knative\.dev/v1/routes: Not Found"):
            await asyncio.wait_for(world.running, 20)

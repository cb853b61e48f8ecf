"""The Lease object and the fence: what is written of a term, and that nobody writes after it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.platform.kubernetes.apiserver import ApiServer, Fault, Object
from turnout.platform.kubernetes.calls import Calls, NotLeading
from turnout.platform.kubernetes.connection import Way, connect, fenced_by
from turnout.platform.kubernetes.lease import KubernetesLease
from turnout.platform.kubernetes.resources import ROUTES
from turnout.platform.lease import Lease
from turnout.platform.protocol import Conflict, Unavailable

LEASES = "apis/coordination.k8s.io/v1/leases"
BODY: Object = {"metadata": {"name": "r", "namespace": "support"}, "spec": {"traffic": []}}


@dataclass
class Fence:
    """`left` is what the election would say, one answer after the other; the last for ever."""

    left: list[float] = field(default_factory=lambda: [7.0])

    def __call__(self) -> float:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


@dataclass
class World:
    server: ApiServer
    calls: Calls
    fence: Fence
    delay: float = 0.0

    @property
    def lease(self) -> KubernetesLease:
        return KubernetesLease(self.calls, "turnout-system", "turnout")

    @property
    def spec(self) -> Object:
        spec: Object = self.server.get(LEASES, "turnout-system", "turnout")["spec"]
        return spec


@pytest.fixture
async def world() -> AsyncIterator[World]:
    server, fence = ApiServer(), Fence()
    app = server.application()
    running = TestServer(app)

    @web.middleware
    async def slow(request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:  # type: ignore[type-arg]
        await asyncio.sleep(here.delay)
        return await handler(request)  # type: ignore[operator,no-any-return]

    app.middlewares.append(slow)
    await running.start_server()
    async with connect(Way(f"http://127.0.0.1:{running.port}"), fence=fence) as calls:
        here = World(server, calls, fence)
        yield here
    await running.close()


async def test_a_lease_is_made_taken_over_and_renewed(world: World) -> None:
    assert await world.lease.read() is None
    first = await world.lease.write(Lease("a", 8, 1), None)
    assert (first.holder, first.seconds, first.epoch) == ("a", 8, 1)
    assert world.spec["acquireTime"] == world.spec["renewTime"] == first.renewed
    renewed = await world.lease.write(first, first)
    assert renewed.acquired == first.acquired
    assert renewed.renewed > first.renewed
    assert renewed.said != first.said
    second = await world.lease.write(Lease("b", 8, 2), renewed)
    assert second.acquired > renewed.acquired
    assert await world.lease.read() == second


async def test_a_write_onto_another_record_is_a_conflict(world: World) -> None:
    first = await world.lease.write(Lease("a", 8, 1), None)
    await world.lease.write(first, first)
    with pytest.raises(Conflict):
        await world.lease.write(Lease("b", 8, 2), first)
    with pytest.raises(Conflict):
        await world.lease.write(Lease("b", 8, 2), None)
    assert world.spec["holderIdentity"] == "a"


async def test_what_others_left_empty_or_unreadable_is_told_apart(world: World) -> None:
    bare: Object = {"metadata": {"name": "turnout", "namespace": "turnout-system"}}
    world.server.put(LEASES, {**bare, "spec": {"holderIdentity": None}})
    found = await world.lease.read()
    assert found == replace(Lease("", 0, 0), version=found.version if found else "")
    world.server.put(LEASES, {**bare, "spec": {"leaseTransitions": "many"}})
    with pytest.raises(Unavailable, match="the Lease cannot be read; delete it"):
        await world.lease.read()


WRITES = {
    "create": lambda calls: calls.create(ROUTES, "support", BODY),
    "apply": lambda calls: calls.apply(ROUTES, BODY),
    "merge": lambda calls: calls.merge(ROUTES, "support", "r", {}),
    "patch": lambda calls: calls.patch(ROUTES, "support", "r", []),
    "delete": lambda calls: calls.delete(ROUTES, "support", "r", "u"),
}


@pytest.mark.parametrize("verb", WRITES)
async def test_who_does_not_lead_sends_no_write_and_may_read(world: World, verb: str) -> None:
    world.fence.left = [0.0]
    with pytest.raises(NotLeading):
        await WRITES[verb](world.calls)
    assert world.server.requests == []
    assert [page.items async for page in world.calls.pages(ROUTES)] == [()]


@pytest.mark.parametrize("verb", WRITES)
async def test_who_loses_the_lease_while_it_waits_for_a_connection_sends_nothing(world: World, verb: str) -> None:
    world.fence.left = [7.0, 0.0]
    with pytest.raises(Unavailable, match="does not lead any more"):
        await WRITES[verb](world.calls)
    assert world.server.requests == []


async def test_a_write_that_is_not_answered_is_cut_off_when_the_term_ends(world: World) -> None:
    world.fence.left, world.delay = [0.2], 5.0
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await world.calls.create(ROUTES, "support", BODY)
    assert asyncio.get_running_loop().time() - began < 2
    assert world.server.writes() == []


def test_every_way_to_write_is_fenced() -> None:
    """A new verb of `Calls` needs a line above."""
    reads = {"get", "pages", "watch"}
    verbs = {name for name in vars(Calls) if not name.startswith("_")}
    assert verbs - reads == set(WRITES)


async def test_a_fault_of_the_api_server_is_no_verdict(world: World) -> None:
    world.server.faults.append(Fault("GET", "leases", 503))
    with pytest.raises(Unavailable):
        await world.lease.read()
    assert issubclass(fenced_by(world.fence), aiohttp.ClientRequest)

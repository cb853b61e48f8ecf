"""Places are shared fairly: no tenant keeps another out, at any of the doors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.predictors.conftest import request
from tests.predictors.echo import INFER, ask
from tests.predictors.test_scheduler import Model, held, scheduler, work
from turnout_predictors.batching import Scheduler
from turnout_predictors.batching.door import Door, has_room
from turnout_predictors.errors import Overloaded

__all__ = ["scheduler"]  # a fixture

ROOM = {
    "who names no tenant fills everything": ((8, 7, 0), True),
    "nobody comes in where all is full": ((8, 8, 0), False),
    "a tenant alone fills three quarters": ((8, 5, 5), True),
    "and no more": ((8, 6, 6), False),
    "a newcomer finds room beside it": ((8, 6, 0), True),
    "the only place is anybody's": ((1, 0, 0), True),
    "many at once count": ((100, 60, 60, 16), False),
}


@pytest.mark.parametrize(("asked", "expected"), ROOM.values(), ids=ROOM.keys())
def test_room(asked: Any, expected: bool) -> None:
    assert has_room(*asked) is expected


@given(limit=st.integers(8, 200), greedy=st.integers(1, 5))
def test_however_many_are_greedy_a_newcomer_finds_room(limit: int, greedy: int) -> None:
    door = Door(limit)
    took = True
    while took:
        took = False
        for name in map(str, range(greedy)):
            if not door.refusal(name):
                door.enter(name)
                took = True
    assert door.refusal("newcomer") == "" or limit < 3 * greedy + 2


def test_who_leaves_makes_room() -> None:
    door = Door(4)
    for _ in range(3):
        door.enter("a")
    assert "your own" in door.refusal("a")
    door.leave("a")
    assert door.refusal("a") == ""
    assert len(door) == 2


async def test_a_tenant_that_floods_the_scheduler_leaves_room_for_others(scheduler: Any) -> None:
    model = Model()
    engine: Scheduler = scheduler(model, queue_limit=8)
    first = await held(model, engine)
    loud = [engine.submit(work(1, tenant="loud")) for _ in range(5)]
    with pytest.raises(Overloaded, match="5 requests of your own are waiting, which is your share"):
        engine.submit(work(1, tenant="loud"))
    quiet = engine.submit(work(2, tenant="quiet"))
    model.gate.set()
    await asyncio.gather(first, quiet, *loud)
    assert (engine.pending(), (await engine.submit(work(1, tenant="loud")))["y"].tolist()) == (0, [2])


async def test_a_tenant_that_floods_a_loading_model_leaves_room_for_others(in_process: Any) -> None:
    server = in_process(None, queue_limit=8, trust_tenant=True)
    open_ = []

    async def begin(tenant: str) -> Any:
        connection, wire = server.connect()
        open_.append(connection)
        raw = request("POST", INFER, b"", {"X-Tenant": tenant, "Content-Length": "0"})
        connection.data_received(raw)
        for _ in range(3):
            await asyncio.sleep(0)
        return wire.take()

    answers = [await begin("loud") for _ in range(8)]
    assert [answer.status for answer in answers if answer is not None] == [503, 503]
    assert await begin("quiet") is None, "it waits for the model"
    for connection in open_:
        connection.connection_lost(None)


async def test_a_tenant_that_floods_a_model_that_waits_leaves_room_for_others(in_process: Any) -> None:
    class Waiting:
        signature, platform, settings = None, "test", None

        def __init__(self) -> None:
            self.go = asyncio.Event()

        async def infer(self, given: Any, thread: Any) -> Any:
            await self.go.wait()
            return {"y": given.inputs["x"]}

    model = Waiting()
    server = in_process(model, queue_limit=8, trust_tenant=True)
    asks = [asyncio.ensure_future(server.ask("POST", INFER, ask(1, 2), {"X-Tenant": "loud"})) for _ in range(8)]
    asks.append(asyncio.ensure_future(server.ask("POST", INFER, ask(1, 2), {"X-Tenant": "quiet"})))
    await asyncio.sleep(0)
    model.go.set()
    assert [answer.status for answer in await asyncio.gather(*asks)] == [200] * 6 + [429] * 2 + [200]

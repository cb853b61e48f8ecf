"""The application in process, in time: while it loads, while its queue is full, past deadlines, while it drains."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.predictors.echo import INFER, Echo, ask
from turnout_predictors.batching import Work


async def test_while_loading_probes_say_no_and_a_request_waits_within_its_deadline(in_process: Any) -> None:
    server = in_process(None)
    assert (await server.ask("GET", "/v2/health/live")).status == 200
    assert (await server.ask("GET", "/v2/health/ready")).status == 503
    for path in ("/v2/models/m/ready", "/v2/models/m", "/v2/models/m/examples"):
        answer = await server.ask("GET", path)
        assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "not_ready", "1")
    answer = await server.ask("POST", INFER, ask(1, 2), {"X-Request-Deadline-Ms": "30"})
    assert (answer.status, answer.json["code"]) == (503, "not_ready")


async def test_a_request_that_met_a_cold_model_is_answered_once_it_is_loaded(in_process: Any) -> None:
    server, warm = in_process(None), in_process(Echo())
    waiting = asyncio.ensure_future(server.ask("POST", INFER, ask(1, 2)))
    await asyncio.sleep(0)
    server.lifecycle.serve(warm.lifecycle.serving)
    assert (await waiting).status == 200
    assert 'start="cold"' in server.metrics.exposition().decode()


async def test_a_request_that_waits_for_a_model_which_never_comes_is_told_at_once(in_process: Any) -> None:
    server = in_process(None)
    waiting = asyncio.ensure_future(server.ask("POST", INFER, ask(1, 2)))
    await asyncio.sleep(0)
    server.lifecycle.drain()
    answer = await waiting
    assert (answer.status, answer.json["code"], answer.headers["connection"]) == (503, "draining", "close")


async def test_no_more_requests_than_the_queue_takes_wait_for_a_cold_model(in_process: Any) -> None:
    server = in_process(None, queue_limit=1)
    waiting = asyncio.ensure_future(server.ask("POST", INFER, ask(1, 2), {"X-Request-Deadline-Ms": "200"}))
    await asyncio.sleep(0)
    assert (await server.ask("POST", INFER, ask(1, 2))).status == 503
    await waiting


class Gate:
    """A model whose forward waits until the test says go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.entered = threading.Event()
        self.model = Echo(self.wait)

    def wait(self, _: Work) -> None:
        self.entered.set()
        assert self.go.wait(20)


async def entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.wait, 10)


async def test_a_full_queue_is_429_and_nothing_that_was_accepted_is_lost(in_process: Any) -> None:
    gate = Gate()
    server = in_process(gate.model, queue_limit=3)
    accepted = [asyncio.ensure_future(server.ask("POST", INFER, ask(1, 2))) for _ in range(3)]
    await entered(gate)
    refused = await server.ask("POST", INFER, ask(1, 2))
    assert (refused.status, refused.json["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    gate.go.set()
    assert [answer.status for answer in await asyncio.gather(*accepted)] == [200] * 3


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [({"X-Request-Deadline-Ms": "50"}, {}), ({}, {"timeout": 50_000})],
    ids=["by header", "by parameter, in microseconds"],
)
async def test_a_deadline_that_passes_in_the_queue_is_504_and_costs_no_forward(
    in_process: Any, headers: Any, parameters: Any
) -> None:
    gate = Gate()
    server = in_process(gate.model)
    first = asyncio.ensure_future(server.ask("POST", INFER, ask(1, 2)))
    await entered(gate)
    late = await server.ask("POST", INFER, ask(1, 2, parameters=parameters), headers)
    assert (late.status, late.json["code"]) == (504, "deadline")
    gate.go.set()
    assert (await first).status == 200
    assert (await server.ask("POST", INFER, ask(1, 2))).status == 200
    assert gate.model.calls == 2, "the expired request reached the model"


async def until(server: Any, status: int) -> None:
    """Readiness follows the model thread, which no event announces."""
    for _ in range(500):
        if (await server.ask("GET", "/v2/health/ready")).status == status:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"readiness never became {status}")


async def test_a_forward_beyond_the_timeout_is_504_unready_and_live(in_process: Any) -> None:
    gate = Gate()
    server = in_process(gate.model, timeout_seconds=0.1)
    assert (await server.ask("POST", INFER, ask(1, 2))).status == 504
    await until(server, 503)
    assert "outlived" in (await server.ask("GET", "/v2/models/m/ready")).json["error"]
    assert (await server.ask("GET", "/v2/health/live")).status == 200
    gate.go.set()
    await until(server, 200)
    assert (await server.ask("POST", INFER, ask(1, 2), {"X-Request-Deadline-Ms": "5000"})).status == 200


async def test_while_draining_requests_are_served_and_told_to_close(in_process: Any) -> None:
    server = in_process(Echo())
    server.lifecycle.drain()
    assert (await server.ask("GET", "/v2/health/ready")).status == 503
    assert (await server.ask("GET", "/v2/models/m/ready")).json["code"] == "draining"
    answer = await server.ask("POST", INFER, ask(1, 2))
    assert (answer.status, answer.headers["connection"]) == (200, "close")

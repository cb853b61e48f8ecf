"""What is large and needs no model is done beside the loop: packing, unpacking, counting."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from typing import Any

import numpy as np
import pytest

from tests.predictors.conftest import request
from tests.predictors.echo import INFER, Echo, ask
from turnout_predictors.artifacts.reference import references_of
from turnout_predictors.server import app, aside, inference
from turnout_predictors.telemetry.drift import KEPT_ELEMENTS, Drift

LARGE = ask(*range(40_000), outputs=[{"name": "y"}])
SMALL = ask(*range(1_000), outputs=[{"name": "y"}])


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Of (un)packing, the threads it was done on."""
    seen: set[str] = set()
    for module, name in ((app, "compress"), (inference, "decompress")):
        real = getattr(module, name)

        def watched(*given: Any, real: Any = real) -> Any:
            seen.add(threading.current_thread().name.partition("_")[0])
            return real(*given)

        monkeypatch.setattr(module, name, watched)
    return seen


@pytest.mark.parametrize(("body", "where"), [(SMALL, "MainThread"), (LARGE, "aside")], ids=["small", "large"])
async def test_answers_are_packed(in_process: Any, threads: set[str], body: Any, where: str) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, body, {"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    data = json.loads(gzip.decompress(answer.body))["outputs"][0]["data"]
    assert data == [2 * value for value in body["inputs"][0]["data"]]
    assert threads == {where}


@pytest.mark.parametrize(("body", "where"), [(ask(1, 2), "MainThread"), (LARGE, "aside")], ids=["small", "large"])
async def test_bodies_are_unpacked(in_process: Any, threads: set[str], body: Any, where: str) -> None:
    packed = gzip.compress(json.dumps(body).encode())
    answer = await in_process(Echo()).ask("POST", INFER, packed, {"Content-Encoding": "gzip"})
    assert answer.status == 200
    assert threads == {where}


async def test_who_leaves_while_its_answer_is_packed_is_forgotten(
    in_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go = threading.Event(), threading.Event()

    def slow(*_: Any) -> bytes:
        began.set()
        assert go.wait(20)
        return b""

    monkeypatch.setattr(app, "compress", slow)
    server = in_process(Echo())
    connection, wire = server.connect()
    connection.data_received(request("POST", INFER, json.dumps(LARGE).encode(), {"Accept-Encoding": "gzip"}))
    assert await asyncio.to_thread(began.wait, 20)
    assert (await server.ask("GET", "/v2/health/live")).status == 200, "the loop is free"
    connection.connection_lost(None)
    go.set()
    await asyncio.get_running_loop().run_in_executor(aside.EXECUTOR, int)
    assert (wire.written, server.metrics.inflight) == (b"", 0)


def test_many_elements_are_counted_aside_and_none_is_lost() -> None:
    waiting: list[Any] = []
    drift = Drift(("m", "1", "r"), references_of({"y": np.arange(100) % 3}), waiting.append)
    rows = np.arange(KEPT_ELEMENTS) % 3
    drift.count({"y": rows})
    drift.count({"y": rows[:10]})
    (counting,) = waiting
    thread = threading.Thread(target=counting)
    thread.start()
    thread.join()
    answered = next(iter(drift.collect()))
    assert sum(sample.value for sample in answered.samples if sample.name.endswith("_total")) == len(rows) + 10


def test_what_raises_aside_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise ValueError("of ours")

    aside.run(broken)
    aside.EXECUTOR.submit(int).result(10)
    assert "of ours" in caplog.text

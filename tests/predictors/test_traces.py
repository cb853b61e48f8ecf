"""Traces: whose trace a prediction's span belongs to, what it says, who continues it, and that off means off."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import numpy as np
import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.predictors.echo import INFER, SIGNATURE, Echo, ask
from tests.predictors.test_rpc import calling, infer
from turnout_predictors.errors import StartError
from turnout_predictors.telemetry.traces import Traces, open_traces

__all__ = ["calling"]  # a fixture
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WANTED, UNWANTED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


class Traced:
    """A server whose spans are kept."""

    def __init__(self, server: Any, share: float = 1.0) -> None:
        self.server = server
        self.kept = InMemorySpanExporter()
        traces = Traces(SimpleSpanProcessor(self.kept), share, ("m", "7", "rev-1"))
        server.lifecycle.serve(dataclasses.replace(server.lifecycle.serving, traces=traces))

    @property
    def spans(self) -> list[Any]:
        return list(self.kept.get_finished_spans())


async def test_a_span_is_part_of_its_callers_trace_and_says_what_became_of_it(in_process: Any) -> None:
    traced = Traced(in_process(Echo()))
    await traced.server.ask("POST", INFER, ask(1, 2), {"traceparent": WANTED, "tracestate": "shop=1"})
    (span,) = traced.spans
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert (span.name, span.kind.name, span.status.status_code.name) == ("infer m", "SERVER", "UNSET")
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "url.path": INFER,
        "http.response.status_code": 200,
    }
    named = {"service.name": "m", "service.version": "7", "service.instance.id": "rev-1"}
    assert named.items() <= dict(span.resource.attributes).items()
    assert span.context.trace_state["shop"] == "1"
    assert span.end_time >= span.start_time


def fail(_: Any) -> None:
    raise ValueError("secret")


FAULTS: dict[str, Any] = {
    "the caller's": (Echo(), b"{", 400, "invalid_input", "UNSET"),
    "the model's": (Echo(fail), ask(1, 2), 500, "model_error", "ERROR"),
}


@pytest.mark.parametrize(("model", "body", "status", "code", "said"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_is_told(in_process: Any, model: Any, body: Any, status: int, code: str, said: str) -> None:
    traced = Traced(in_process(model))
    await traced.server.ask("POST", INFER, body)
    (span,) = traced.spans
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (status, code)
    assert span.status.status_code.name == said
    assert "secret" not in span.to_json()


SAMPLED: dict[str, Any] = {
    "a caller that wants it, though we take none": (0.0, WANTED, 1),
    "a caller that does not, though we take all": (1.0, UNWANTED, 0),
    "nobody, and we take all": (1.0, "", 1),
    "nobody, and we take none": (0.0, "", 0),
    "a header that is none": (1.0, "00-zz", 1),
}


@pytest.mark.parametrize(("share", "parent", "count"), SAMPLED.values(), ids=SAMPLED.keys())
async def test_who_decides_is(in_process: Any, share: float, parent: str, count: int) -> None:
    traced = Traced(in_process(Echo()), share)
    answer = await traced.server.ask("POST", INFER, ask(1, 2), {"traceparent": parent} if parent else {})
    assert (answer.status, len(traced.spans)) == (200, count)


async def test_a_client_that_leaves_ends_its_span(in_process: Any) -> None:
    gate, entered = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        entered.set()
        assert gate.wait(20)

    traced = Traced(in_process(Echo(hold)))
    asking = asyncio.ensure_future(traced.server.ask("POST", INFER, ask(1, 2)))
    assert await asyncio.to_thread(entered.wait, 20)
    connection, _ = traced.server.connect()
    from tests.predictors.test_connection import sent

    connection.data_received(sent(ask(3, 4)))
    connection.connection_lost(None)
    await asyncio.sleep(0)
    assert [span.attributes["http.response.status_code"] for span in traced.spans] == [499]
    gate.set()
    assert (await asking).status == 200


class Asking:
    """Waits for something else, and says in whose name it would ask."""

    signature = SIGNATURE
    platform = "test"
    settings = Echo.settings

    def __init__(self) -> None:
        self.carried: dict[str, str] = {}

    async def infer(self, work: Any, thread: Any) -> Any:
        propagate.inject(self.carried)
        x = work.inputs["x"]
        return {"y": x, "rows": np.array(len(x)), "note": np.array([b"a"] * len(x), dtype=object)}


async def test_a_predictor_that_asks_others_passes_the_trace_on(in_process: Any) -> None:
    model = Asking()
    traced = Traced(in_process(model))
    await traced.server.ask("POST", INFER, ask(1, 2), {"traceparent": WANTED})
    (span,) = traced.spans
    assert model.carried["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"


async def test_calls_of_grpc_are_traced_alike(calling: Any) -> None:
    model = Asking()
    caller = await calling(model)
    traced = Traced(caller.server)
    await caller.call("ModelInfer", infer(1, 2), metadata=(("traceparent", WANTED),))
    bad = infer(1, 2)
    bad.inputs[0].name = "y"
    with pytest.raises(grpc.aio.AioRpcError):
        await caller.call("ModelInfer", bad)
    good, refused = traced.spans
    assert f"{good.context.trace_id:032x}" == TRACE
    assert model.carried["traceparent"] == f"00-{TRACE}-{good.context.span_id:016x}-01"
    assert (good.attributes["rpc.method"], good.attributes["http.response.status_code"]) == ("ModelInfer", 200)
    assert (refused.attributes["http.response.status_code"], refused.attributes["error.type"]) == (400, "invalid_input")


class Collector(BaseHTTPRequestHandler):
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def collector() -> Iterator[Any]:
    kind = type("Fresh", (Collector,), {"bodies": []})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kind, f"http://127.0.0.1:{server.server_port}/v1/traces"
    server.shutdown()
    thread.join(20)
    server.server_close()


def test_spans_reach_a_collector_before_the_process_ends(collector: Any) -> None:
    kind, address = collector
    traces = open_traces(address, 1.0, ("m", "7", "rev-1"))
    assert traces is not None
    traces.begin("infer m", {"traceparent": WANTED}, 0.0).end(200)
    traces.close()
    (body,) = kind.bodies
    assert bytes.fromhex(TRACE) in body


def test_without_the_library_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(StartError, match=r"install turnout\[traces\]") as caught:
        open_traces("http://x/v1/traces", 1.0, ("m", "7", "r"))
    assert caught.value.reason == "DependencyMissing"


def test_off_means_that_nothing_is_imported() -> None:
    code = """
import sys
from turnout_predictors import process
from turnout_predictors.telemetry.traces import open_traces
assert open_traces("", 1.0, ("m", "7", "r")) is None
print(*[name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr

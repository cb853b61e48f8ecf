"""The payload log: what is written, what is not, and that no request ever notices."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gzip
import json
import signal
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.predictors.echo import INFER, Echo, ask
from tests.predictors.test_rpc import calling, infer
from turnout_predictors.errors import StartError
from turnout_predictors.server.logged import open_log
from turnout_predictors.server.settings import ServerSettings
from turnout_predictors.telemetry.cloud_events import REQUEST, RESPONSE, Event, HttpSink, attributes_of, sink_for
from turnout_predictors.telemetry.payloads import Body, Payload, PayloadLog, without_data

__all__ = ["calling"]  # a fixture
IDENTITY = attributes_of("m", "7", "rev-1", {"INFERENCE_SERVICE_NAME": "m-7", "POD_NAMESPACE": "shop"})


class Kept:
    """A sink that keeps what it gets; holds everybody while `gate` is not set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.events: list[Event] = []

    def send(self, events: Sequence[Event]) -> int:
        assert self.gate.wait(60)
        self.events += events
        return len(events)

    def close(self) -> None:
        self.gate.set()


class Logged:
    """A server with a payload log."""

    def __init__(self, server: Any, **more: Any) -> None:
        self.sink = Kept()
        self.log = PayloadLog(self.sink, IDENTITY, **more)
        self.server = server
        server.lifecycle.serve(dataclasses.replace(server.lifecycle.serving, payloads=self.log))

    def written(self) -> list[tuple[dict[str, str], Any]]:
        """Attributes and data of each event, once all are written."""
        self.log.close(60)
        return [(dict(event.attributes), json.loads(event.line())) for event in self.sink.events]


async def test_a_request_and_its_answer_are_two_events_with_the_attributes_that_kserve_gives_them(
    in_process: Any,
) -> None:
    logged = Logged(in_process(Echo(), trust_tenant=True))
    body, parent = ask(1, 2), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    given = {"X-Request-Id": "r-1", "X-Tenant": "acme", "traceparent": parent}
    answer = await logged.server.ask("POST", INFER, body, given)
    (asked, request), (told, response) = logged.written()
    assert (asked["type"], told["type"]) == (REQUEST, RESPONSE)
    expected = {
        "specversion": "1.0",
        "id": "r-1",
        "source": "/v2/models/m/versions/7",
        "inferenceservicename": "m-7",
        "namespace": "shop",
        "component": "predictor",
        "modelversion": "7",
        "revision": "rev-1",
        "statuscode": "200",
        "tenant": "acme",
        "traceparent": parent,
    }
    assert expected.items() <= asked.items()
    assert expected.items() <= told.items()
    assert (request["data"], response["data"]) == (body, answer.json)
    assert logged.log.results == {"written": 2, "dropped": 0, "failed": 0, "withheld": 0}


async def test_what_was_refused_is_written_too(in_process: Any) -> None:
    logged = Logged(in_process(Echo()))
    answer = await logged.server.ask("POST", INFER, b"{")
    (asked, request), (_, response) = logged.written()
    assert (asked["statuscode"], base64.b64decode(request["data_base64"])) == ("400", b"{")
    assert response["data"] == answer.json


async def test_binary_tensors_are_written_as_they_came_whatever_the_model_does_to_them(in_process: Any) -> None:
    def spoil(work: Any) -> None:
        work.inputs["x"][:] = 7

    logged = Logged(in_process(Echo(spoil)))
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    raw = np.array([1, 2], "<f4").tobytes()
    given = {"Inference-Header-Content-Length": str(len(head))}
    answer = await logged.server.ask("POST", INFER, head + raw, given, 3)
    assert answer.status == 200
    (asked, request), (told, response) = logged.written()
    assert base64.b64decode(request["data_base64"]) == head + raw
    assert base64.b64decode(response["data_base64"]) == answer.body
    assert (asked["jsonbytes"], told["jsonbytes"]) == (
        str(len(head)),
        answer.headers["inference-header-content-length"],
    )


@pytest.mark.parametrize("size", [2, 2000], ids=["unpacked at once", "unpacked aside"])
async def test_a_packed_body_is_written_unpacked_and_a_packed_answer_too(in_process: Any, size: int) -> None:
    logged = Logged(in_process(Echo()))
    body = ask(*np.random.default_rng(7).random(size).round(4).tolist())
    given = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = await logged.server.ask("POST", INFER, gzip.compress(json.dumps(body).encode()), given)
    raw = gzip.decompress(answer.body) if "content-encoding" in answer.headers else answer.body
    (_, request), (_, response) = logged.written()
    assert (request["data"], response["data"]) == (body, json.loads(raw))


async def test_calls_of_grpc_are_written_as_json(calling: Any) -> None:
    caller = await calling(Echo())
    logged = Logged(caller.server)
    await caller.call("ModelInfer", infer(1, 2), metadata=(("x-request-id", "r-1"),))
    bad = infer(1, 2)
    bad.inputs[0].name = "y"
    with pytest.raises(grpc.aio.AioRpcError):
        await caller.call("ModelInfer", bad)
    (asked, request), (_, response), (failed, _), (_, told) = logged.written()
    assert (asked["id"], asked["statuscode"], failed["statuscode"]) == ("r-1", "200", "400")
    assert request["data"]["inputs"][0]["contents"]["fp32_contents"] == [1, 2]
    assert response["data"]["outputs"][0]["contents"]["fp32_contents"] == [2, 4]
    assert told["data"]["code"] == "invalid_input"


async def test_a_sink_that_hangs_under_load_is_noticed_by_no_request(in_process: Any) -> None:
    """Nothing waits for the log: it gives way while every request is answered, and says how much it let go."""
    server = in_process(Echo(), queue_limit=1024)
    logged = Logged(server, queue_bytes=4096)
    server.metrics.payloads = logged.log.results
    logged.sink.gate.clear()
    answers = [await asyncio.gather(*(server.ask("POST", INFER, ask(1, 2)) for _ in range(100))) for _ in range(5)]
    assert {answer.status for batch in answers for answer in batch} == {200}
    assert (server.metrics.inflight, logged.sink.events) == (0, [])
    waiting = 1000 - logged.log.results["dropped"]
    assert 0 < waiting < 50
    logged.sink.gate.set()
    assert len(logged.written()) == waiting
    text = server.metrics.exposition().decode()
    assert f'payload_log_total{{model="m",result="dropped",revision="rev-1",version="7"}} {1000 - waiting}.0' in text
    assert f'payload_log_total{{model="m",result="written",revision="rev-1",version="7"}} {waiting}.0' in text


class Broken(Kept):
    def send(self, events: Sequence[Event]) -> int:
        raise OSError("no space left")


async def test_what_cannot_be_written_is_counted_and_told_once(
    in_process: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = in_process(Echo())
    log = PayloadLog(Broken(), IDENTITY)
    server.lifecycle.serve(dataclasses.replace(server.lifecycle.serving, payloads=log))
    for _ in range(3):
        assert (await server.ask("POST", INFER, ask(1, 2))).status == 200
    log.close(60)
    assert log.results == {"written": 0, "dropped": 0, "failed": 6, "withheld": 0}
    assert [record.message for record in caplog.records] == [
        "payload log: they cannot be written: OSError: no space left"
    ]


def payload(size: int = 1, data: bytes = b"{}", request_id: str = "r") -> Payload:
    return Payload(request_id, 200, size, lambda: (Body(data, "application/json"), Body(b"[]", "application/json")))


def refuse(data: bytes, _: str) -> bytes | None:
    if b"secret" in data:
        raise ValueError("what is this")
    return None if data == b"[]" else b'{"shown": 1}'


def test_a_hook_decides_what_is_written_and_one_that_raises_writes_nothing() -> None:
    sink = Kept()
    log = PayloadLog(sink, {}, redact=refuse)
    log.offer(payload())
    log.offer(payload(data=b'"secret"'))
    log.close(60)
    assert [event.data for event in sink.events] == [b'{"shown": 1}']
    assert log.results == {"written": 1, "dropped": 0, "failed": 2, "withheld": 1}


def test_the_hook_that_comes_along_leaves_names_shapes_and_types() -> None:
    body = json.dumps(ask(1, 2, id="a", parameters={"q": "secret"})).encode()
    shown = json.loads(without_data(body, "application/json") or b"")
    assert shown == {"id": "a", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}]}
    assert without_data(b"anything", "application/octet-stream") is None
    assert without_data(b"[1]", "application/json") is None


def test_every_version_takes_the_same_requests_into_its_sample() -> None:
    logs = [PayloadLog(Kept(), {}, share=0.25) for _ in range(2)]
    chosen = [[log.wants(f"request-{number}".encode()) for number in range(2000)] for log in logs]
    assert chosen[0] == chosen[1]
    assert 400 < sum(chosen[0]) < 600
    for log in logs:
        log.close(60)


def test_requests_without_an_id_are_drawn() -> None:
    draws = iter([0.2, 0.3])
    log = PayloadLog(Kept(), {}, share=0.25, chance=lambda: next(draws))
    assert [log.wants(b""), log.wants(b"")] == [True, False]
    log.close(60)


class Collector(BaseHTTPRequestHandler):
    """Takes what comes to /, refuses what comes elsewhere."""

    taken: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append(({name.lower(): value for name, value in self.headers.items()}, data))
        self.send_response(200 if self.path == "/" else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def collector() -> Iterator[Any]:
    kind = type("Fresh", (Collector,), {"taken": []})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kind, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(20)
    server.server_close()


def test_events_are_posted_as_cloudevents_has_it(collector: Any) -> None:
    kind, address = collector
    log = PayloadLog(HttpSink(address), {**IDENTITY, "tenant": "Ä b"})
    log.offer(payload(data=b'{"a":1}'))
    log.close(60)
    (headers, data), _ = kind.taken
    assert (data, headers["content-type"], headers["ce-type"]) == (b'{"a":1}', "application/json", REQUEST)
    assert (headers["ce-specversion"], headers["ce-inferenceservicename"]) == ("1.0", "m-7")
    assert headers["ce-tenant"] == "%C3%84%20b"
    assert log.results["written"] == 2


UNSENT = {"a refusal": "{}/elsewhere", "nobody there": "http://127.0.0.1:1"}


@pytest.mark.parametrize("address", UNSENT.values(), ids=UNSENT.keys())
def test_what_is_not_taken_is_not_sent_again(collector: Any, address: str) -> None:
    kind, base = collector
    log = PayloadLog(HttpSink(address.format(base)), {})
    log.offer(payload())
    log.close(60)
    assert (log.results["failed"], log.results["written"]) == (2, 0)
    assert len(kind.taken) == ("elsewhere" in address)


@pytest.mark.parametrize("address", ["models.jsonl", "file://host/path", "ftp://x/y", "http:///x", "file://"])
def test_an_address_that_is_none_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(ValueError, match="neither file"):
        sink_for(address)
    with pytest.raises(StartError, match=r"settings\.server\.payload_log"):
        open_log(ServerSettings(payload_log=address), ("m", "7", "r"))


def test_a_hook_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    told = ServerSettings(payload_log=f"file://{tmp_path}/log", payload_redact="turnout_predictors.errors:EX_CONFIG")
    with pytest.raises(StartError, match="is no function"):
        open_log(told, ("m", "7", "r"))
    assert open_log(ServerSettings(), ("m", "7", "r")) is None


@pytest.mark.slow
def test_a_real_process_writes_its_file_before_it_ends(start: Any, published: Any, digits: Any, tmp_path: Path) -> None:
    path = tmp_path / "payloads.jsonl"
    server = {"payload_log": f"file://{path}", "payload_redact": "turnout_predictors.telemetry.payloads:without_data"}
    process = start(
        "--model_name=digits",
        "--runtime=sklearn",
        f"--artifact_uri={published.uri}",
        f"--artifact_digest={published.digest}",
        f"--settings={json.dumps({'server': server})}",
    ).ready()
    features = {"name": "features", "datatype": "FP64", "shape": [1, 64], "data": digits[1][0].tolist()}
    for _ in range(3):
        assert process.ask("POST", "/v2/models/digits/infer", {"inputs": [features]}).status == 200
    process.process.send_signal(signal.SIGTERM)
    assert process.ended() == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["type"] for line in lines] == [REQUEST, RESPONSE] * 3
    assert lines[0]["data"] == {"inputs": [{"name": "features", "shape": [1, 64], "datatype": "FP64"}]}

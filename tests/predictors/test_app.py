"""The application in process: every route's answers, every error's code, what is refused, what is counted."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.predictors.echo import INFER, SIGNATURE, Echo, ask
from turnout_predictors.batching import Work
from turnout_predictors.errors import InvalidInput
from turnout_predictors.server.effective import told_of
from turnout_predictors.signature import Signature

TOLD = {
    "settings_digest": told_of(Echo.settings, "")["settings_digest"],
    "settings_source": "default",
    "embedding_space": "space-1",
}


async def test_answers_with_names_types_shapes_and_version(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, ask(1, 2, 3, 4, id="ünïq/7"))
    assert answer.status == 200
    assert answer.headers["x-model-version"] == "7"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "model_name": "m",
        "model_version": "7",
        "id": "ünïq/7",
        "parameters": TOLD,
        "outputs": [
            {"name": "y", "shape": [2, 2], "datatype": "FP32", "data": [2, 4, 6, 8]},
            {"name": "rows", "shape": [], "datatype": "INT64", "data": [2]},
            {"name": "note", "shape": [2], "datatype": "BYTES", "data": ["a", "a"]},
        ],
    }


async def test_invents_no_id_and_never_writes_a_null_key(in_process: Any) -> None:
    plain = Echo(lambda work: {"y": work.inputs["x"]})
    plain.signature, plain.settings = Signature(SIGNATURE.inputs, SIGNATURE.outputs[:1]), None
    answer = await in_process(plain).ask("POST", INFER, ask(1, 2))
    assert "id" not in answer.json
    assert "parameters" not in answer.json


async def test_not_a_number_in_outputs_is_null(in_process: Any) -> None:
    odd = Echo(lambda work: {"y": np.array([[np.nan, np.inf]]), "rows": 1, "note": ["x"]})
    answer = await in_process(odd).ask("POST", INFER, ask(1, 2))
    assert answer.json["outputs"][0]["data"] == [None, None]


async def test_a_wanted_output_is_the_only_one(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, ask(1, 2, outputs=[{"name": "rows"}]))
    assert [output["name"] for output in answer.json["outputs"]] == ["rows"]


async def test_bytes_that_are_no_text_travel_as_base64(in_process: Any) -> None:
    odd = Echo(lambda work: {"y": work.inputs["x"], "rows": 1, "note": np.array([b"\xff"], dtype=object)})
    answer = await in_process(odd).ask("POST", INFER, ask(1, 2, outputs=[{"name": "note"}]))
    (note,) = answer.json["outputs"]
    assert (note["data"], note["parameters"]) == (["/w=="], {"content_type": "base64"})


async def test_a_body_in_many_chunks_is_one_body(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, ask(1, 2), chunks=5)
    assert answer.status == 200


ROUTES = {
    "the server": ("/v2", lambda json: json["name"] == "turnout-predictor"),
    "the server with a slash": ("/v2/", lambda json: "turnout_examples" in json["extensions"]),
    "liveness": ("/v2/health/live", lambda json: json == {"live": True}),
    "readiness": ("/v2/health/ready", lambda json: json == {"ready": True}),
    "the models": ("/v2/models", lambda json: json == {"models": ["m"]}),
    "a model": ("/v2/models/m", lambda json: json["versions"] == ["7"]),
    "a model's version": ("/v2/models/m/versions/7", lambda json: json["name"] == "m"),
    "a model, percent-encoded": ("/v2/models/%6d", lambda json: json["name"] == "m"),
    "a model's readiness": ("/v2/models/m/ready", lambda json: json == {"name": "m", "ready": True}),
    "a version's readiness": ("/v2/models/m/versions/7/ready", lambda json: json["ready"] is True),
    "the examples": ("/v2/models/m/examples", lambda json: json == {"examples": []}),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "holds"), ROUTES.values(), ids=ROUTES.keys())
async def test_tells(in_process: Any, method: str, path: str, holds: Callable[[Any], bool]) -> None:
    answer = await in_process(Echo()).ask(method, path)
    assert answer.status == 200
    assert method == "HEAD" or holds(answer.json)


@pytest.mark.parametrize(("path", "allowed"), [(INFER, "POST"), ("/v2", "GET, HEAD")])
async def test_another_method_is_told_those_that_are_served(in_process: Any, path: str, allowed: str) -> None:
    answer = await in_process(Echo()).ask("PUT", path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


async def test_metadata_shows_variable_sizes_labels_and_space(in_process: Any) -> None:
    described = (await in_process(Echo()).ask("GET", "/v2/models/m")).json
    assert described["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert described["properties"] == {"embedding_space": "space-1", "labels.y": '["left", "right"]'}


ERRORS = {
    "an unknown route": ("GET", "/v3", 404, "unknown_route"),
    "the root": ("GET", "/", 404, "unknown_route"),
    "a route of Triton's": ("GET", "/v2/models/m/stats", 404, "unknown_route"),
    "a generate route": ("POST", "/v2/models/m/generate", 404, "unknown_route"),
    "another model": ("GET", "/v2/models/other", 404, "unknown_model"),
    "another model's infer": ("POST", "/v2/models/other/infer", 404, "unknown_model"),
    "a model name with a slash inside": ("GET", "/v2/models/a%2Fb", 404, "unknown_model"),
    "another version": ("GET", "/v2/models/m/versions/8", 404, "unknown_version"),
    "another version's infer": ("POST", "/v2/models/m/versions/8/infer", 404, "unknown_version"),
    "GET on infer": ("GET", INFER, 405, "method_not_allowed"),
    "POST on metadata": ("POST", "/v2/models/m", 405, "method_not_allowed"),
    "DELETE on the server": ("DELETE", "/v2", 405, "method_not_allowed"),
    "POST on metrics": ("POST", "/metrics", 405, "method_not_allowed"),
}


@pytest.mark.parametrize(("method", "path", "status", "code"), ERRORS.values(), ids=ERRORS.keys())
async def test_refuses(in_process: Any, method: str, path: str, status: int, code: str) -> None:
    answer = await in_process(Echo()).ask(method, path, headers={"X-Request-Id": "r-1"})
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["request_id"] == "r-1"
    assert set(answer.json) == {"error", "code", "request_id"}
    assert answer.headers["content-type"] == "application/json"


FRAME = "headers.Inference-Header-Content-Length"
BOMB = gzip.compress(b" " * (9 << 20))
BAD = {
    "no JSON": (b"{", {}, 400, "invalid_input", None),
    "a wrong element": (ask(1, "2"), {}, 400, "invalid_input", "inputs[0].data[1]"),
    "a frame that cuts the JSON": (ask(1, 2), {"Inference-Header-Content-Length": "5"}, 400, "invalid_input", None),
    "a frame longer than the body": (
        ask(1, 2),
        {"Inference-Header-Content-Length": "999"},
        400,
        "invalid_input",
        FRAME,
    ),
    "a frame that is no number": (ask(1, 2), {"Inference-Header-Content-Length": "-1"}, 400, "invalid_input", FRAME),
    "zstd": (b"x", {"Content-Encoding": "zstd"}, 415, "unsupported_encoding", "headers.Content-Encoding"),
    "no gzip": (b"x", {"Content-Encoding": "gzip"}, 400, "invalid_input", "headers.Content-Encoding"),
    "a bomb": (BOMB, {"Content-Encoding": "gzip"}, 413, "too_large", None),
    "a body beyond the limit": (b"x" * (8 << 20) + b"x", {}, 413, "too_large", None),
    "a deadline that is no number": (
        ask(1, 2),
        {"X-Request-Deadline-Ms": "soon"},
        400,
        "invalid_input",
        "headers.X-Request-Deadline-Ms",
    ),
    "a timeout that is no integer": (
        ask(1, 2, parameters={"timeout": "1"}),
        {},
        400,
        "invalid_input",
        "parameters.timeout",
    ),
    "settings that are no JSON": (
        ask(1, 2, parameters={"settings": "{"}),
        {},
        400,
        "invalid_input",
        "parameters.settings",
    ),
    "settings nested without an end": (
        ask(1, 2, parameters={"settings": "[" * 100_000}),
        {},
        400,
        "invalid_input",
        "parameters.settings",
    ),
    "a setting that is no number": (
        ask(1, 2, parameters={"settings": '{"scale": NaN}'}),
        {},
        400,
        "invalid_input",
        "parameters.settings",
    ),
    "settings that are a number": (
        ask(1, 2, parameters={"settings": 3}),
        {},
        400,
        "invalid_input",
        "parameters.settings",
    ),
    "an unknown setting": (
        ask(1, 2, parameters={"settings": '{"colour": 1}'}),
        {},
        400,
        "unknown_setting",
        "parameters.settings.colour",
    ),
    "a load setting": (
        ask(1, 2, parameters={"settings": '{"path": "/"}'}),
        {},
        400,
        "unknown_setting",
        "parameters.settings.path",
    ),
    "a setting out of bounds": (
        ask(1, 2, parameters={"settings": '{"scale": 11}'}),
        {},
        400,
        "invalid_input",
        "parameters.settings",
    ),
}


@pytest.mark.parametrize(("body", "headers", "status", "code", "field"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("chunks", [0, 3])
async def test_refuses_a_request(
    in_process: Any, body: Any, headers: Any, status: int, code: str, field: str | None, chunks: int
) -> None:
    model = Echo()
    answer = await in_process(model).ask("POST", INFER, body, headers, chunks)
    assert (answer.status, answer.json["code"], answer.json.get("field")) == (status, code, field)
    assert answer.json["error"]
    assert model.calls == 0


async def test_names_the_allowed_settings(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, ask(1, 2, parameters={"settings": '{"colour": 1}'}))
    assert answer.json["error"] == "setting 'colour' cannot be given in a request; allowed: scale, top"


async def test_a_requests_settings_are_its_own(in_process: Any) -> None:
    server = in_process(Echo())
    mine = await server.ask("POST", INFER, ask(1, 2, parameters={"settings": '{"scale": 10}'}))
    other = await server.ask("POST", INFER, ask(1, 2))
    assert mine.json["outputs"][0]["data"] == [10, 20]
    assert other.json["outputs"][0]["data"] == [2, 4]


def raising(fault: BaseException) -> Echo:
    def act(_: Work) -> None:
        raise fault

    return Echo(act)


def lying(**outputs: Any) -> Echo:
    whole = {"y": np.zeros((1, 2)), "rows": 1, "note": ["x"], **outputs}
    return Echo(lambda _: {name: value for name, value in whole.items() if value is not None})


FAULTS = {
    "the model raises": (raising(ValueError("secret")), 500, "model_error", "ValueError"),
    "the model stops the iteration": (raising(StopIteration()), 500, "model_error", "StopIteration"),
    "the model exits": (raising(SystemExit(3)), 500, "model_error", "SystemExit|RuntimeError"),
    "the model refuses the input": (raising(InvalidInput("too sad", "x")), 400, "invalid_input", "too sad"),
    "an output is missing": (lying(y=None), 500, "model_error", "'y' is missing"),
    "an output has other rows": (lying(y=np.zeros((2, 2))), 500, "model_error", r"shape \[2, 2\]"),
    "an output has another rank": (lying(y=np.zeros(2)), 500, "model_error", "shape"),
    "an output has another fixed size": (lying(y=np.zeros((1, 3))), 500, "model_error", "shape"),
    "a number output holds strings": (lying(y=np.array([["a", "b"]])), 500, "model_error", "type"),
    "a text output holds numbers": (lying(note=np.zeros(1)), 500, "model_error", "type"),
}


@pytest.mark.parametrize(("model", "status", "code", "said"), FAULTS.values(), ids=FAULTS.keys())
async def test_answers_when(in_process: Any, model: Echo, status: int, code: str, said: str) -> None:
    server = in_process(model)
    answer = await server.ask("POST", INFER, ask(1, 2))
    assert (answer.status, answer.json["code"]) == (status, code)
    import re

    assert re.search(said, answer.json["error"])
    assert "secret" not in answer.json["error"]
    model.act = None
    assert (await server.ask("POST", INFER, ask(1, 2))).status == 200, "the next request is served"


async def test_outputs_are_cast_to_their_declared_type(in_process: Any) -> None:
    answer = await in_process(lying(y=np.array([[1, 2]], np.int8))).ask("POST", INFER, ask(1, 2))
    assert answer.json["outputs"][0]["datatype"] == "FP32"


async def test_a_fault_of_the_servers_own_is_still_json(in_process: Any) -> None:
    server = in_process(lying(y=np.array([[1, 2]])))
    server.lifecycle.serving.contract.output_types.update(y="BYTES")
    server.lifecycle.serving.engine.submit = None
    answer = await server.ask("POST", INFER, ask(1, 2))
    assert (answer.status, answer.json["code"]) == (500, "model_error")


async def test_a_client_that_leaves_in_the_middle_of_its_body_gets_nothing(in_process: Any) -> None:
    server = in_process(Echo())
    connection, wire = server.connect()
    connection.data_received(f"POST {INFER} HTTP/1.1\r\ncontent-length: 9\r\n\r\n{{".encode())
    assert server.metrics.inflight == 1
    connection.connection_lost(None)
    assert (wire.written, server.metrics.inflight) == (b"", 0)


async def test_a_caller_cannot_call_its_request_a_repeat(in_process: Any) -> None:
    server = in_process(Echo())
    await server.ask("POST", INFER, ask(1, 2), {"X-Turnout-Attempt": "repeat"})
    text = (await server.ask("GET", "/metrics")).body.decode()
    assert 'requests_total{attempt="first"' in text
    assert "repeat" not in text


async def test_counts_by_code_attempt_and_outcome(in_process: Any) -> None:
    server = in_process(Echo(), trust_attempt=True)
    await server.ask("POST", INFER, ask(1, 2))
    await server.ask("POST", INFER, ask(1, 2), {"X-Turnout-Attempt": "repeat"})
    await server.ask("POST", INFER, b"{")
    text = (await server.ask("GET", "/metrics")).body.decode()
    identity = 'model="m",protocol="http",revision="rev-1",start="warm",version="7"'
    for attempt, code in (("first", 200), ("repeat", 200), ("first", 400)):
        assert f'turnout_predictor_requests_total{{attempt="{attempt}",code="{code}",{identity}}} 1.0' in text
    seconds = 'turnout_predictor_request_seconds_count{attempt="first",model="m",outcome="client"'
    assert seconds in text
    assert 'turnout_predictor_inflight{model="m",revision="rev-1",version="7"} 0.0' in text

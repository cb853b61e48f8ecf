"""Limits: each is a setting of the version, holds on every protocol, is named where it is hit, and is a metric."""

from __future__ import annotations

import gzip
import json
from typing import Any

import grpc
import pytest

from tests.predictors.echo import INFER, Echo, ask
from tests.predictors.test_rpc import calling, infer
from turnout_predictors.server.settings import ServerSettings

__all__ = ["calling"]  # a fixture


def shaped(*shape: int) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": list(shape), "data": []}]}


def beside(document: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**document, **more}


TWICE = beside(ask(1, 2), inputs=ask(1, 2)["inputs"] * 2)
BOTH = beside(ask(1, 2), outputs=[{"name": "y"}, {"name": "note"}])
DEEP = beside(ask(1, 2), other=[[[[[[[]]]]]]])
LONG = json.dumps(ask(1, 2)).encode() + b" " * 1024
OVER = {
    "rows": ({"max_rows": 2}, ask(1, 2, 3, 4, 5, 6), 413, "inputs[0].shape[0]", "3 rows, at most 2 are taken"),
    "tensors": ({"max_tensors": 1}, TWICE, 400, "inputs", "2 tensors, at most 1 are taken"),
    "outputs": ({"max_tensors": 1}, BOTH, 400, "outputs", "2 outputs, at most 1 are taken"),
    "levels": ({"max_depth": 6}, DEEP, 400, "other", "nested deeper than 6"),
    "dimensions": ({"max_depth": 6}, shaped(1, 1, 2), 400, "inputs[0].shape", "3 dimensions, at most 2 are taken"),
    "bytes": ({"max_body_bytes": 1024}, LONG, 413, None, "larger than 1024 bytes"),
}


@pytest.mark.parametrize(("given", "body", "status", "field", "said"), OVER.values(), ids=OVER.keys())
async def test_names_the_limit_and_the_place(
    in_process: Any, given: dict[str, int], body: Any, status: int, field: str | None, said: str
) -> None:
    ((limit, value),) = given.items()
    model = Echo()
    server = in_process(model, server=ServerSettings(**given))
    answer = await server.ask("POST", INFER, body)
    assert (answer.status, answer.json.get("field"), model.calls) == (status, field, 0)
    assert said in answer.json["error"]
    assert answer.json["error"].endswith(f"(server.{limit})")
    told = server.metrics.exposition().decode()
    for name, expected in (("limit", value), ("beyond_limit_total", 1)):
        assert (
            f'turnout_predictor_{name}{{limit="{limit}",model="m",revision="rev-1",version="7"}} {expected}.0' in told
        )
    assert (await in_process(Echo()).ask("POST", INFER, body)).json.get("code") != "too_large"


async def test_a_bomb_is_not_unpacked_beyond_the_limit(in_process: Any) -> None:
    server = in_process(Echo(), server=ServerSettings(max_body_bytes=2048))
    answer = await server.ask("POST", INFER, gzip.compress(b" " * 4096), {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert "unpacks to more than 2048 bytes" in answer.json["error"]


async def test_a_head_beyond_the_limit_is_the_end(in_process: Any) -> None:
    server = in_process(Echo(), server=ServerSettings(max_head_bytes=4096))
    answer = await server.ask("POST", INFER, ask(1, 2), {"X-Long": "x" * 4096})
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert "larger than 4096 bytes (server.max_head_bytes)" in answer.json["error"]
    assert 'beyond_limit_total{limit="max_head_bytes",model="m",revision="rev-1",version="7"} 1.0' in (
        server.metrics.exposition().decode()
    )


@pytest.mark.parametrize("path", ["/v1/models/m:predict", "/v2/models/m/versions/7/infer"])
async def test_every_way_in_is_bounded(in_process: Any, path: str) -> None:
    server = in_process(Echo(), server=ServerSettings(max_rows=2))
    body = {"instances": [[1, 2]] * 3} if "v1" in path else ask(1, 2, 3, 4, 5, 6)
    assert (await server.ask("POST", path, body)).status == 413


async def test_the_document_of_the_api_tells_how_many_dimensions_are_taken(in_process: Any) -> None:
    server = in_process(None, server=ServerSettings(max_depth=8))
    schemas = (await server.ask("GET", "/openapi.json")).json["components"]["schemas"]
    (tensor,) = schemas["InferRequest"]["properties"]["inputs"]["items"]["oneOf"]
    assert tensor["properties"]["shape"]["maxItems"] == 4


def three_rows() -> Any:
    return infer(1, 2, 3, 4, 5, 6)


def two_outputs() -> Any:
    message = infer(1, 2)
    message.outputs.add(name="y")
    message.outputs.add(name="note")
    return message


def reshaped() -> Any:
    message = infer(1, 2)
    message.inputs[0].shape[:] = [1, 1, 2]
    return message


CALLS = {
    "rows": ({"max_rows": 2}, three_rows(), "RESOURCE_EXHAUSTED", "inputs[0].shape[0]", "3 rows, at most 2"),
    "outputs": ({"max_tensors": 1}, two_outputs(), "INVALID_ARGUMENT", "outputs", "2 outputs, at most 1"),
    "dimensions": ({"max_depth": 6}, reshaped(), "INVALID_ARGUMENT", "inputs[0].shape", "3 dimensions, at most 2"),
    "bytes": (
        {"max_body_bytes": 1024},
        infer(1, 2, id="x" * 1024),
        "RESOURCE_EXHAUSTED",
        None,
        "larger than 1024 bytes; send fewer rows (server.max_body_bytes)",
    ),
}


@pytest.mark.parametrize(("given", "message", "status", "field", "said"), CALLS.values(), ids=CALLS.keys())
async def test_holds_over_grpc_too(
    calling: Any, given: dict[str, int], message: Any, status: str, field: str | None, said: str
) -> None:
    caller = await calling(Echo(), bounds=ServerSettings(**given))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.call("ModelInfer", message)
    trailing = dict(caught.value.trailing_metadata() or ())
    assert (caught.value.code().name, trailing.get("field")) == (status, field)
    assert said in caught.value.details()
    (limit,) = given
    assert f'beyond_limit_total{{limit="{limit}",model="m",revision="rev-1",version="7"}} 1.0' in (
        caller.server.metrics.exposition().decode()
    )


async def test_a_message_far_beyond_is_not_even_read(calling: Any) -> None:
    caller = await calling(Echo(), bounds=ServerSettings(max_body_bytes=1024))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.call("ModelInfer", infer(1, 2, id="x" * 4096))
    assert caught.value.code().name == "RESOURCE_EXHAUSTED"

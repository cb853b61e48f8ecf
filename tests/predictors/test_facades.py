"""What people and other protocols see of a model: V1, the repository, OpenAPI, the page to try it."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.predictors.echo import INFER, Echo, ask
from turnout_predictors.server.contract import Contract
from turnout_predictors.server.openapi import describe
from turnout_predictors.signature import Signature, TensorSpec

PREDICT = "/v1/models/m:predict"


class Columns(Echo):
    """Two inputs, two outputs in rows."""

    signature = Signature(
        (TensorSpec("a", "INT64", ("N",)), TensorSpec("b", "BYTES", ("N",), text=True, optional=True)),
        (TensorSpec("sum", "INT64", ("N",)), TensorSpec("word", "BYTES", ("N",))),
    )

    def forward(self, work: Any) -> Any:
        a = work.inputs["a"]
        return {"sum": a + 1, "word": np.array([b"w"] * len(a), dtype=object)}


V1 = {
    "rows of the only input": (Echo, [[1, 2], [3, 4]], {"y": [[2, 4], [6, 8]], "rows": 2, "note": ["a", "a"]}),
    "an object for each row": (
        Columns,
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        [{"sum": 2, "word": "w"}, {"sum": 3, "word": "w"}],
    ),
}


@pytest.mark.parametrize(("model", "instances", "predictions"), V1.values(), ids=V1.keys())
async def test_v1_answers(in_process: Any, model: Any, instances: Any, predictions: Any) -> None:
    answer = await in_process(model()).ask("POST", PREDICT, {"instances": instances})
    assert (answer.status, answer.json) == (200, {"predictions": predictions})
    assert answer.headers["x-model-version"] == "7"


V1_REFUSED = {
    "no JSON": (b"{", 400, "not JSON"),
    "no instances": ({"inputs": []}, 400, "instances"),
    "a row that lacks a value": ({"instances": [{"x": [1, 2]}, {}]}, 400, "missing"),
    "an unknown input": ({"instances": [{"z": 1}]}, 400, "unknown input 'z'"),
    "ragged rows": ({"instances": [[1, 2], [3]]}, 400, "nested"),
    "a string": ({"instances": [["a", "b"]]}, 400, "does not fit"),
}


@pytest.mark.parametrize(("body", "status", "said"), V1_REFUSED.values(), ids=V1_REFUSED.keys())
async def test_v1_refuses(in_process: Any, body: Any, status: int, said: str) -> None:
    answer = await in_process(Echo()).ask("POST", PREDICT, body)
    assert answer.status == status
    assert re.search(said, answer.json["error"])


TOLD = {
    "the models of V1": ("/v1/models", {"models": ["m"]}),
    "a model of V1": ("/v1/models/m", {"name": "m", "ready": "True"}),
    "the index": ("/v2/repository/index", [{"name": "m", "version": "7", "state": "READY", "reason": ""}]),
}


@pytest.mark.parametrize(("path", "expected"), TOLD.values(), ids=TOLD.keys())
async def test_tells(in_process: Any, path: str, expected: Any) -> None:
    assert (await in_process(Echo()).ask("GET", path)).json == expected


async def test_the_index_is_also_asked_by_post_and_tells_of_loading(in_process: Any) -> None:
    (entry,) = (await in_process(None).ask("POST", "/v2/repository/index")).json
    assert (entry["state"], entry["reason"]) == ("LOADING", "the model is loading")


@pytest.mark.parametrize("verb", ["load", "unload"])
async def test_models_come_and_go_with_their_process(in_process: Any, verb: str) -> None:
    server = in_process(Echo())
    answer = await server.ask("POST", f"/v2/repository/models/m/{verb}")
    assert (answer.status, answer.json["code"]) == (501, "unsupported")
    assert (await server.ask("POST", f"/v2/repository/models/x/{verb}")).json["code"] == "unknown_model"


async def test_openapi_describes_this_model_and_holds_for_its_answers(in_process: Any) -> None:
    server = in_process(Echo())
    document = (await server.ask("GET", "/openapi.json")).json
    schemas = document["components"]["schemas"]
    resolver = {"components": {"schemas": schemas}}
    request = {**schemas["InferRequest"], **resolver}
    jsonschema.validate(ask(1, 2), request)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"inputs": [{**ask(1, 2)["inputs"][0], "name": "z"}]}, request)
    good, bad = await server.ask("POST", INFER, ask(1, 2)), await server.ask("POST", INFER, b"{")
    jsonschema.validate(good.json, {**schemas["InferResponse"], **resolver})
    jsonschema.validate(bad.json, {**schemas["Error"], **resolver})


async def test_every_path_of_openapi_is_served(in_process: Any) -> None:
    server = in_process(Echo())
    for path, methods in (await server.ask("GET", "/openapi.json")).json["paths"].items():
        for method, operation in methods.items():
            answer = await server.ask(method.upper(), path)
            assert str(answer.status) in operation["responses"], path
            assert answer.status != 404


def test_openapi_shows_the_examples_and_any_tensor_while_loading() -> None:
    request = {"inputs": []}
    document = describe("m", "7", None, [{"name": "first", "request": request}])
    content = document["paths"]["/v2/models/m/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert content["examples"] == {"first": {"value": request}}
    (tensor,) = document["components"]["schemas"]["InferRequest"]["properties"]["inputs"]["items"]["oneOf"]
    assert "BF16" in tensor["properties"]["datatype"]["enum"]


def test_openapi_says_what_may_be_missing_and_what_travels_as_bytes_only() -> None:
    inputs = (TensorSpec("a", "FP32", ("N",), missing=True), TensorSpec("b", "BF16", ("N",)))
    document = describe("m", "7", Contract.of(Signature(inputs, inputs)), [])
    a, b = document["components"]["schemas"]["InferRequest"]["properties"]["inputs"]["items"]["oneOf"]
    assert {"type": "null"} in a["properties"]["data"]["items"]["anyOf"][0]["anyOf"]
    assert "data" not in b["required"]


async def test_the_page_names_no_other_host(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("GET", "/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert b"m version 7" in answer.body
    assert not re.search(rb"(?:https?:)?//\w", answer.body)


async def test_labels_come_with_the_answer_for_who_asks(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, ask(1, 2, parameters={"labels": True}))
    assert answer.json["parameters"]["labels.y"] == '["left", "right"]'


async def test_a_setting_may_also_be_a_parameter_of_its_own(in_process: Any) -> None:
    answer = await in_process(Echo()).ask("POST", INFER, ask(1, 2, parameters={"settings.scale": 3}))
    assert answer.json["outputs"][0]["data"] == [3, 6]

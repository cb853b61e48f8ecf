"""Documents of V2 requests: what is taken, and which sentence and field the rest gets."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from turnout_predictors.errors import InvalidInput, RequestError
from turnout_predictors.server.contract import Contract
from turnout_predictors.server.request import parse
from turnout_predictors.signature import Signature, TensorSpec

DECLARED = Contract.of(
    Signature(
        inputs=(
            TensorSpec("text", "BYTES", ("N",), text=True),
            TensorSpec("x", "FP32", ("N", 2), optional=True),
        ),
        outputs=(TensorSpec("a", "FP32", ("N",)), TensorSpec("b", "FP32", ("N",))),
    )
)
OPEN = Contract.of(None)
TEXT: dict[str, Any] = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["hi"]}
NUMBERS: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}


def body(*inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **more}).encode()


def test_reads_inputs_id_and_parameters() -> None:
    request = parse(body(TEXT, NUMBERS, id="ä/1", parameters={"a": 1, "b": "x", "c": True, "d": 0.5}), DECLARED)
    assert request.id == "ä/1"
    assert request.parameters == {"a": 1, "b": "x", "c": True, "d": 0.5}
    assert request.inputs["text"].tolist() == ["hi"]
    np.testing.assert_array_equal(request.inputs["x"], np.array([[1, 2]], np.float32))
    assert request.outputs == ("a", "b")
    assert request.dims == {"N": 1}


TAKEN = {
    "an unknown key": body(TEXT, comment="x"),
    "an unknown key of a tensor": body({**TEXT, "comment": {"deep": [1]}}),
    "an optional input is absent": body(TEXT),
    "outputs is empty": body(TEXT, outputs=[]),
    "an empty id": body(TEXT, id=""),
    "text as [N, 1]": body({**TEXT, "shape": [1, 1], "data": [["hi"]]}),
    "no rows": body({**TEXT, "shape": [0], "data": []}),
    'content_type "str"': body({**TEXT, "parameters": {"content_type": "str"}}),
    "binary_data false": body(TEXT, outputs=[{"name": "a", "parameters": {"binary_data": False}}]),
    "white space and any key order": b' {"id" : "1",\n"inputs":[{"data":["x"],"shape":[1],'
    b'"datatype":"BYTES","name":"text"}]} ',
}


@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN.keys())
def test_takes(raw: bytes) -> None:
    request = parse(raw, DECLARED)
    assert request.inputs["text"].ndim == 1


def test_text_as_a_column_reaches_the_model_as_rows() -> None:
    assert parse(body({**TEXT, "shape": [1, 1], "data": ["hi"]}), DECLARED).inputs["text"].shape == (1,)


def test_a_subset_of_outputs_comes_in_declared_order() -> None:
    assert parse(body(TEXT, outputs=[{"name": "b"}]), DECLARED).outputs == ("b",)
    assert parse(body(TEXT, outputs=[{"name": "b"}, {"name": "a"}]), DECLARED).outputs == ("a", "b")


def test_without_a_signature_any_well_formed_tensor_is_taken() -> None:
    request = parse(body({"name": "q", "datatype": "UINT8", "shape": [2], "data": [1, 2]}), OPEN)
    assert request.inputs["q"].dtype == np.uint8
    assert request.outputs == ()


def test_a_product_that_would_overflow_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(InvalidInput, match="takes 4294967294"):
        parse(body({"name": "q", "datatype": "FP32", "shape": [2**31 - 1, 2], "data": [1]}), OPEN)


def without(tensor: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in tensor.items() if name != key}


REFUSED = {
    "no JSON": (b"{", None, "not JSON"),
    "an empty body": (b"", None, "not JSON"),
    "NaN is no JSON": (b'{"inputs":[{"name":"x","data":[NaN]}]}', None, "not JSON"),
    "two documents": (b"{}{}", None, "not JSON"),
    "broken UTF-8": (b'{"id":"\xff"}', None, "not JSON"),
    "an array": (b"[]", None, "object"),
    "nested too deep for the parser": (b"[" * 5000, None, "not JSON"),
    "an unknown key nested too deep": (body(TEXT, x=json.loads("[" * 20 + "]" * 20)), "x", "deeper than 16"),
    "no inputs": (b"{}", "inputs", "at least one"),
    "inputs is empty": (body(), "inputs", "at least one"),
    "inputs is an object": (b'{"inputs":{}}', "inputs", "array"),
    "an input is a string": (body("x"), "inputs[0]", "object"),
    "too many inputs": (body(*[TEXT] * 257), "inputs", "at most 256"),
    "an input without a name": (body(without(TEXT, "name")), "inputs[0].name", "string"),
    "an input twice": (body(TEXT, TEXT), "inputs[1].name", "twice"),
    "an unknown input": (body(TEXT, {**NUMBERS, "name": "y"}), "inputs[1].name", "takes text, x"),
    "a missing input": (body(NUMBERS), "inputs", "missing input text"),
    "another datatype than declared": (body({**TEXT, "datatype": "FP32"}), "inputs[0].datatype", "is BYTES"),
    "a lower-case datatype": (body(TEXT, {**NUMBERS, "datatype": "fp32"}), "inputs[1].datatype", "one of BOOL"),
    "an unknown datatype": (body({**TEXT, "datatype": "STRING"}), "inputs[0].datatype", "one of"),
    "no datatype": (body(without(TEXT, "datatype")), "inputs[0].datatype", "one of"),
    "no shape": (body(without(TEXT, "shape")), "inputs[0].shape", "array"),
    "a string as a dimension": (body({**TEXT, "shape": ["1"]}), "inputs[0].shape[0]", "integer"),
    "true as a dimension": (body({**TEXT, "shape": [True]}), "inputs[0].shape[0]", "integer"),
    "a negative dimension": (body({**TEXT, "shape": [-1]}), "inputs[0].shape[0]", "non-negative"),
    "a fraction as a dimension": (body({**TEXT, "shape": [1.0]}), "inputs[0].shape[0]", "integer"),
    "a gigantic dimension": (body({**TEXT, "shape": [2**62]}), "inputs[0].shape[0]", "integer"),
    "gigantic dimensions beside a zero": (
        body(TEXT, {**NUMBERS, "shape": [0, 2**40], "data": []}),
        "inputs[1].shape[1]",
        "integer",
    ),
    "twenty dimensions": (body({**TEXT, "shape": [1] * 20}), "inputs[0].shape", "at most 12"),
    "another rank": (body({**TEXT, "shape": [1, 2], "data": ["a", "b"]}), "inputs[0].shape", "declared"),
    "another fixed dimension": (
        body(TEXT, {**NUMBERS, "shape": [1, 3], "data": [1, 2, 3]}),
        "inputs[1].shape[1]",
        "2, not 3",
    ),
    "rows that differ between inputs": (
        body(TEXT, {**NUMBERS, "shape": [2, 2], "data": [1, 2, 3, 4]}),
        "inputs[1].shape[0]",
        "N is 1, not 2",
    ),
    "no data": (body(without(TEXT, "data")), "inputs[0].data", "missing"),
    "an id that is a number": (body(TEXT, id=1), "id", "string"),
    "parameters is null": (body(TEXT, parameters=None), "parameters", "object"),
    "a parameter is null": (body(TEXT, parameters={"a": None}), "parameters.a", "string, number"),
    "a parameter is an object": (body(TEXT, parameters={"a": {}}), "parameters.a", "string, number"),
    "a parameter of a tensor is a list": (
        body({**TEXT, "parameters": {"a": []}}),
        "inputs[0].parameters.a",
        "string, number",
    ),
    "outputs is an object": (body(TEXT, outputs={"a": 1}), "outputs", "array"),
    "outputs is zero": (body(TEXT, outputs=0), "outputs", "array"),
    "an output is a string": (body(TEXT, outputs=["a"]), "outputs[0]", "object"),
    "an unknown output": (body(TEXT, outputs=[{"name": "c"}]), "outputs[0].name", "gives a, b"),
    "an output twice": (body(TEXT, outputs=[{"name": "a"}, {"name": "a"}]), "outputs[1].name", "twice"),
    "too many outputs": (body(TEXT, outputs=[{"name": "a"}] * 257), "outputs", "at most 256"),
    "a binary input": (
        body({**TEXT, "parameters": {"binary_data_size": 4}}),
        "inputs[0].parameters.binary_data_size",
        "either data or",
    ),
    "a binary input without a frame": (
        body({**without(TEXT, "data"), "parameters": {"binary_data_size": 4}}),
        "inputs[0].parameters.binary_data_size",
        "Inference-Header",
    ),
    "a binary output wanted by a word": (
        body(TEXT, outputs=[{"name": "a", "parameters": {"binary_data": "yes"}}]),
        "outputs[0].parameters.binary_data",
        "true or false",
    ),
    "all outputs binary, by a number": (
        body(TEXT, parameters={"binary_data_output": 1}),
        "parameters.binary_data_output",
        "true or false",
    ),
}


@pytest.mark.parametrize(("raw", "field", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(raw: bytes, field: str | None, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        parse(raw, DECLARED)
    assert (caught.value.code, caught.value.field) == ("invalid_input", field)

"""Binary tensors: equal to JSON for every datatype and shape, both ways, and every frame that must be refused."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.predictors.echo import INFER, Echo
from turnout_predictors.datatypes import DATATYPES
from turnout_predictors.errors import InvalidInput
from turnout_predictors.server.binary_data import encode_binary
from turnout_predictors.server.contract import Contract
from turnout_predictors.server.request import parse
from turnout_predictors.server.response import write
from turnout_predictors.signature import Signature, TensorSpec

NUMERIC = sorted(name for name, datatype in DATATYPES.items() if datatype.kind != "bytes")
FRAME = "headers.Inference-Header-Content-Length"


def contract(datatype: str, rank: int, *, text: bool = False, missing: bool = False) -> Contract:
    shape = tuple(f"D{axis}" for axis in range(rank))
    return Contract.of(
        Signature(
            (TensorSpec("x", datatype, shape, text=text, missing=missing),),
            (TensorSpec("y", datatype, shape),),
        )
    )


def framed(document: dict[str, Any], *tensors: bytes) -> tuple[bytes, int]:
    head = json.dumps(document).encode()
    return b"".join([head, *tensors]), len(head)


def one(datatype: str, shape: list[int], size: int, **more: Any) -> dict[str, Any]:
    tensor = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}
    return {"inputs": [{**tensor, **more}]}


@given(data=st.data(), name=st.sampled_from(NUMERIC))
def test_what_is_sent_as_bytes_comes_back_as_the_same_bytes(data: Any, name: str) -> None:
    datatype = DATATYPES[name]
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    elements = arrays.from_dtype(datatype.dtype, allow_nan=False, allow_infinity=False)
    array = data.draw(arrays.arrays(datatype.dtype, shape, elements=elements))
    if name == "BF16":
        array = (array.view(np.uint32) & 0xFFFF0000).view(np.float32) if array.size else array
    raw = bytes(encode_binary(array, datatype))
    asked = {**one(name, list(shape), len(raw)), "parameters": {"binary_data_output": True}}
    body, size = framed(asked, raw)
    request = parse(body, contract(name, len(shape)), size)
    np.testing.assert_array_equal(request.inputs["x"], array)
    assert (request.inputs["x"].dtype, request.inputs["x"].shape) == (array.dtype, array.shape)
    reply = write({}, request, {"y": request.inputs["x"]}, {"y": name})
    (described,) = json.loads(reply.parts[0])["outputs"]
    assert described["parameters"] == {"binary_data_size": len(raw)}
    assert b"".join(map(bytes, reply.parts[1:])) == raw


@given(data=st.data(), name=st.sampled_from([name for name in NUMERIC if name != "BF16"]))
def test_json_and_bytes_are_the_same_tensor(data: Any, name: str) -> None:
    datatype = DATATYPES[name]
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
    elements = arrays.from_dtype(datatype.dtype, allow_nan=False, allow_infinity=False)
    array = data.draw(arrays.arrays(datatype.dtype, shape, elements=elements))
    declared = contract(name, len(shape))
    as_json = {"name": "x", "datatype": name, "shape": list(shape), "data": array.tolist()}
    raw = bytes(encode_binary(array, datatype))
    body, size = framed(one(name, list(shape), len(raw)), raw)
    plain = parse(json.dumps({"inputs": [as_json]}).encode(), declared).inputs["x"]
    np.testing.assert_array_equal(parse(body, declared, size).inputs["x"], plain)


@given(st.lists(st.binary(max_size=8), max_size=5))
def test_any_bytes_travel_as_bytes(values: list[bytes]) -> None:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    raw = bytes(encode_binary(array, DATATYPES["BYTES"]))
    body, size = framed(one("BYTES", [len(values)], len(raw)), raw)
    assert parse(body, contract("BYTES", 1), size).inputs["x"].tolist() == values


def test_a_model_may_write_into_its_inputs_however_they_travelled() -> None:
    raw = np.arange(4, dtype="<f8").tobytes()
    body, size = framed(one("FP64", [4], 32), raw)
    array = parse(body, contract("FP64", 1), size).inputs["x"]
    assert array.flags.writeable
    assert array.flags.aligned


def test_json_and_bytes_mix_in_the_order_of_the_binary_ones() -> None:
    specs = tuple(TensorSpec(name, "INT32", ("N",)) for name in "abc")
    document = {
        "inputs": [
            {"name": "c", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}},
            {"name": "b", "datatype": "INT32", "shape": [1], "data": [2]},
            {"name": "a", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}},
        ]
    }
    body, size = framed(document, struct.pack("<i", 3), struct.pack("<i", 1))
    inputs = parse(body, Contract.of(Signature(specs, specs)), size).inputs
    assert {name: array.tolist() for name, array in inputs.items()} == {"a": [1], "b": [2], "c": [3]}


RAW = {
    "one variable dimension": (("N", 2), 16, [2, 2]),
    "no variable dimension": ((2, 2), 16, [2, 2]),
    "no rows": (("N", 2), 0, [0, 2]),
}


@pytest.mark.parametrize(("shape", "size", "expected"), RAW.values(), ids=RAW.keys())
def test_a_body_without_json_is_the_only_input(shape: tuple[Any, ...], size: int, expected: list[int]) -> None:
    declared = Contract.of(Signature((TensorSpec("x", "FP32", shape),), (TensorSpec("y", "FP32", shape),)))
    assert list(parse(bytes(size), declared, 0).inputs["x"].shape) == expected


TEXT = contract("BYTES", 1, text=True)
REFUSED = {
    "fewer bytes than the shape takes": (contract("FP32", 1), one("FP32", [2], 4), bytes(4), "inputs[0]", "8 bytes"),
    "more bytes announced than are left": (
        contract("FP32", 1),
        one("FP32", [2], 8),
        bytes(7),
        "inputs[0].parameters.binary_data_size",
        "7 are left",
    ),
    "bytes that no tensor takes": (contract("FP32", 1), one("FP32", [1], 4), bytes(5), "inputs", "belong to no"),
    "a negative size": (
        contract("FP32", 1),
        one("FP32", [1], -4),
        bytes(4),
        "inputs[0].parameters.binary_data_size",
        "number of bytes",
    ),
    "data beside a size": (
        contract("FP32", 1),
        one("FP32", [1], 4, data=[1]),
        bytes(4),
        "inputs[0].parameters.binary_data_size",
        "either data",
    ),
    "2 as BOOL": (contract("BOOL", 1), one("BOOL", [1], 1), b"\x02", "inputs[0]", "0 and 1"),
    "NaN without consent": (
        contract("FP32", 1),
        one("FP32", [1], 4),
        np.array([np.nan], "<f4").tobytes(),
        "inputs[0]",
        "missing value",
    ),
    "infinity": (
        contract("FP16", 1, missing=True),
        one("FP16", [1], 2),
        np.array([np.inf], "<f2").tobytes(),
        "inputs[0]",
        "infinity",
    ),
    "a string that ends too late": (TEXT, one("BYTES", [1], 5), b"\x02\0\0\0a", "inputs[0]", "element 0 ends"),
    "a cut length": (TEXT, one("BYTES", [1], 3), b"\x02\0\0", "inputs[0]", "element 0 ends"),
    "fewer strings than the shape takes": (TEXT, one("BYTES", [2], 5), b"\x01\0\0\0a", "inputs[0]", "hold 1"),
    "text that is no UTF-8": (TEXT, one("BYTES", [1], 5), b"\x01\0\0\0\xff", "inputs[0]", "element 0 is text"),
}


@pytest.mark.parametrize(("declared", "document", "raw", "field", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(declared: Contract, document: Any, raw: bytes, field: str, said: str) -> None:
    body, size = framed(document, raw)
    with pytest.raises(InvalidInput, match=said) as caught:
        parse(body, declared, size)
    assert caught.value.field == field


RAW_REFUSED = {
    "two open dimensions": contract("FP32", 2),
    "two inputs": Contract.of(Signature((TensorSpec("a", "FP32", ()), TensorSpec("b", "FP32", ())), ())),
}


@pytest.mark.parametrize("declared", RAW_REFUSED.values(), ids=RAW_REFUSED.keys())
def test_refuses_a_body_without_json_for(declared: Contract) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(bytes(8), declared, 0)
    assert caught.value.field == FRAME


def test_bf16_travels_as_bytes_only() -> None:
    document = {"inputs": [{"name": "x", "datatype": "BF16", "shape": [1], "data": [1]}]}
    with pytest.raises(InvalidInput, match="binary tensor only"):
        parse(json.dumps(document).encode(), contract("BF16", 1))
    assert bytes(encode_binary(np.array([1.00390625, np.nan], np.float32), DATATYPES["BF16"])) == b"\x80\x3f\xc0\x7f"


async def test_outputs_travel_as_the_nearest_wish_says(in_process: Any) -> None:
    raw = np.array([1, 2], "<f4").tobytes()
    document = {
        **one("FP32", [1, 2], 8),
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "rows", "parameters": {"binary_data": False}}, {"name": "y"}, {"name": "note"}],
    }
    body, size = framed(document, raw)
    answer = await in_process(Echo()).ask("POST", INFER, body, {"Inference-Header-Content-Length": str(size)})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    at = int(answer.headers["inference-header-content-length"])
    y, rows, note = json.loads(answer.body[:at])["outputs"]
    assert (rows["data"], y["parameters"], note["parameters"]) == (
        [1],
        {"binary_data_size": 8},
        {"binary_data_size": 5},
    )
    assert answer.body[at:] == np.array([2, 4], "<f4").tobytes() + b"\x01\0\0\0a"

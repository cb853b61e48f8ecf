"""The data of JSON tensors: every datatype, both forms, and everything that must be refused."""

from __future__ import annotations

import base64
import contextlib
import json
import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from turnout_predictors.datatypes import DATATYPES
from turnout_predictors.errors import InvalidInput, ModelError
from turnout_predictors.server.json_data import decode, decode_strings
from turnout_predictors.server.response import tensor

ACCEPTED = {
    "true and false are BOOL": ("BOOL", [2], [True, False], [1, 0]),
    "0 and 1 are BOOL": ("BOOL", [3], [0, 1, True], [0, 1, 1]),
    "the smallest INT8": ("INT8", [1], [-128], [-128]),
    "the greatest UINT8": ("UINT8", [1], [255], [255]),
    "the smallest INT64 is exact": ("INT64", [1], [-(2**63)], [-(2**63)]),
    "the greatest UINT64 is exact": ("UINT64", [2], [2**64 - 1, 1], [2**64 - 1, 1]),
    "an INT64 beyond a double's precision": ("INT64", [1], [2**53 + 1], [2**53 + 1]),
    "integers in a float tensor": ("FP32", [2], [1, 2.5], [1.0, 2.5]),
    "the greatest FP16": ("FP16", [1], [65504], [65504]),
    "the greatest FP64": ("FP64", [1], [1.7976931348623157e308], [1.7976931348623157e308]),
    "flat data for two dimensions": ("INT32", [2, 2], [1, 2, 3, 4], [[1, 2], [3, 4]]),
    "nested data for two dimensions": ("INT32", [2, 2], [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    "nested data for three dimensions": ("INT32", [1, 2, 1], [[[1], [2]]], [[[1], [2]]]),
    "no rows": ("FP32", [0], [], np.zeros(0)),
    "no rows of three": ("FP32", [0, 3], [], np.zeros((0, 3))),
    "two empty rows, nested": ("FP32", [2, 0], [[], []], np.zeros((2, 0))),
    "two empty rows, flat": ("FP32", [2, 0], [], np.zeros((2, 0))),
    "a scalar as a list of one": ("FP32", [], [5], 5.0),
    "a scalar as it is": ("FP32", [], 5, 5.0),
}


@pytest.mark.parametrize(("datatype", "shape", "data", "expected"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(datatype: str, shape: list[int], data: Any, expected: Any) -> None:
    array = decode(data, DATATYPES[datatype], tuple(shape), "x")
    assert array.dtype == DATATYPES[datatype].dtype
    assert array.shape == tuple(shape)
    np.testing.assert_array_equal(array, np.asarray(expected, dtype=array.dtype))


REFUSED = {
    "a string in a float tensor": ("FP32", [2], [1.0, "2"], "x[1]"),
    "a digit string in an integer tensor": ("INT32", [1], ["2"], "x[0]"),
    "null without consent": ("FP32", [2], [1.0, None], "x[1]"),
    "null in an integer tensor": ("INT32", [1], [None], "x[0]"),
    "true in a float tensor": ("FP32", [2], [1.0, True], "x[1]"),
    "true in an integer tensor": ("INT64", [2], [1, True], "x[1]"),
    "an object as a number": ("FP64", [1], [{}], "x[0]"),
    "a list as a number": ("FP64", [1], [[1]], "x"),
    "a fraction in an integer tensor": ("INT32", [2], [1, 1.7], "x[1]"),
    "a whole float in an integer tensor": ("INT32", [1], [2.0], "x[0]"),
    "an integer beyond 64 bits, parsed as a float": ("INT64", [1], orjson.loads("[18446744073709551616]"), "x[0]"),
    "INT8 above its range": ("INT8", [1], [128], "x[0]"),
    "INT16 below its range": ("INT16", [1], [-32769], "x[0]"),
    "UINT8 below zero": ("UINT8", [2], [0, -1], "x[1]"),
    "UINT32 above its range": ("UINT32", [1], [2**32], "x[0]"),
    "UINT64 below zero": ("UINT64", [1], [-1], "x[0]"),
    "INT64 above its range": ("INT64", [1], [2**63], "x[0]"),
    "FP16 above its range": ("FP16", [2], [0.0, 65536.0], "x[1]"),
    "FP32 above its range": ("FP32", [2], [0.0, -3.5e38], "x[1]"),
    "2 as BOOL": ("BOOL", [2], [0, 2], "x[1]"),
    "-1 as BOOL": ("BOOL", [1], [-1], "x[0]"),
    "300 as BOOL": ("BOOL", [1], [300], "x[0]"),
    "1.0 as BOOL": ("BOOL", [1], [1.0], "x[0]"),
    '"false" as BOOL': ("BOOL", [1], ["false"], "x[0]"),
    "too few elements": ("FP32", [3], [1.0, 2.0], "x"),
    "too many elements": ("FP32", [1], [1.0, 2.0], "x"),
    "elements for an empty shape": ("FP32", [0], [1.0], "x"),
    "nothing for a scalar": ("FP32", [], [], "x"),
    "null as data": ("FP32", [], None, "x"),
    "an object as data": ("FP32", [1], {}, "x"),
    "a string as data": ("FP32", [1], "1", "x"),
    "ragged rows": ("FP32", [2, 2], [[1, 2], [3]], "x"),
    "ragged rows of the right total": ("FP32", [2, 2], [[1, 2, 3], [4]], "x"),
    "rows and numbers mixed": ("FP32", [2, 1], [[1], 2], "x"),
    "numbers, then rows": ("FP32", [2, 1], [1, [2]], "x[1]"),
    "transposed": ("FP32", [2, 3], [[1, 2], [3, 4], [5, 6]], "x"),
    "nested deeper than the shape": ("FP32", [2, 1], [[[1]], [[2]]], "x[0]"),
    "nested too little": ("FP32", [1, 2, 1], [[1, 2]], "x"),
    "objects among the rows": ("FP32", [2, 1], [[1], {}], "x"),
}


@pytest.mark.parametrize(("datatype", "shape", "data", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(datatype: str, shape: list[int], data: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(data, DATATYPES[datatype], tuple(shape), "x")
    assert caught.value.field is not None
    assert caught.value.field.startswith(field)
    assert caught.value.message


def test_null_is_nan_where_the_input_allows_missing_values() -> None:
    array = decode([1, None, 2.5], DATATYPES["FP32"], (3,), "x", missing=True)
    np.testing.assert_array_equal(array, np.array([1, np.nan, 2.5], np.float32))


def test_null_is_refused_in_integers_even_where_missing_values_are_allowed() -> None:
    with pytest.raises(InvalidInput, match="null does not fit INT32"):
        decode([None], DATATYPES["INT32"], (1,), "x", missing=True)


def test_a_long_string_among_many_numbers_allocates_nothing_of_its_length() -> None:
    with pytest.raises(InvalidInput, match="str does not fit FP32"):
        decode(["x" * 1_000_000, *[0.0] * 100_000], DATATYPES["FP32"], (100_001,), "x")


def test_strings_become_text_or_bytes() -> None:
    assert decode_strings(["ä", ""], (2,), "x", text=True).tolist() == ["ä", ""]
    assert decode_strings(["ä", ""], (2,), "x", text=False).tolist() == ["ä".encode(), b""]


def test_base64_becomes_bytes() -> None:
    data = [base64.b64encode(b"\xff\x00").decode()]
    assert decode_strings(data, (1,), "x", text=False, encoded=True).tolist() == [b"\xff\x00"]


STRINGS = {
    "a number": ([1], False, "x[0]", "strings"),
    "null": (["a", None], False, "x[1]", "strings"),
    "no base64": (["=*"], True, "x[0]", "base64"),
    "base64 that is no UTF-8": (["YQ==", "/w=="], True, "x[1]", "UTF-8"),
}


@pytest.mark.parametrize(("data", "encoded", "field", "said"), STRINGS.values(), ids=STRINGS.keys())
def test_refuses_as_text(data: Any, encoded: bool, field: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        decode_strings(data, (len(data),), "x", text=True, encoded=encoded)
    assert caught.value.field == field


NUMERIC = sorted(name for name, datatype in DATATYPES.items() if datatype.typecode)


@given(data=st.data(), name=st.sampled_from(NUMERIC), nested=st.booleans())
def test_what_is_encoded_decodes_to_itself(data: Any, name: str, nested: bool) -> None:
    datatype = DATATYPES[name]
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    elements = arrays.from_dtype(datatype.dtype, allow_nan=False, allow_infinity=False)
    array = data.draw(arrays.arrays(datatype.dtype, shape, elements=elements))
    document = orjson.loads(orjson.dumps(tensor("x", array), option=orjson.OPT_SERIALIZE_NUMPY))
    assert document["shape"] == list(shape)
    sent = json.loads(json.dumps(array.tolist())) if nested else document["data"]
    booleans = datatype.kind == "bool"
    back = decode(sent, datatype, tuple(document["shape"]), "x", booleans=booleans)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


@given(st.lists(st.binary(max_size=8), max_size=5))
def test_any_bytes_travel_as_text_or_as_base64(values: list[bytes]) -> None:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    document = tensor("x", array)
    encoded = document.get("parameters") == {"content_type": "base64"}
    back = decode_strings(document["data"], array.shape, "x", text=False, encoded=encoded)
    assert back.tolist() == values


PLAIN = {
    "fixed-width text": (np.array(["a", "bc"]), ["a", "bc"]),
    "fixed-width bytes": (np.array([b"a"]), ["a"]),
    "objects of other types": (np.array([1, None], dtype=object), ["1", "None"]),
}


@pytest.mark.parametrize(("array", "data"), PLAIN.values(), ids=PLAIN.keys())
def test_what_models_return_as_strings_is_bytes(array: Any, data: list[str]) -> None:
    assert (tensor("x", array)["datatype"], tensor("x", array)["data"]) == ("BYTES", data)


def test_a_type_that_v2_cannot_carry_is_named() -> None:
    with pytest.raises(ModelError, match="output 'x' has type complex128, which V2 cannot carry"):
        tensor("x", np.zeros(1, complex))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
)


@given(
    value=JSON,
    name=st.sampled_from(NUMERIC),
    shape=st.lists(st.integers(0, 3), max_size=3),
    missing=st.booleans(),
)
def test_any_data_is_decoded_in_its_shape_or_refused(value: Any, name: str, shape: list[int], missing: bool) -> None:
    with contextlib.suppress(InvalidInput):  # any other exception fails the test
        array = decode(value, DATATYPES[name], tuple(shape), "x", missing=missing)
        assert array.shape == tuple(shape)
        assert math.prod(shape) == array.size

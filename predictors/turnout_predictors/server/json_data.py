"""The `data` of a JSON tensor becomes an array: strict, in C, and with the offending element's path if
refused.

The data is flat, or nested exactly as `shape`. No element is looked at in Python unless something is wrong.
"""

from __future__ import annotations

import array
import base64
import binascii
import math
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnout_predictors.datatypes import Datatype
from turnout_predictors.errors import InvalidInput

Array = NDArray[Any]


def decode(
    data: object,
    datatype: Datatype,
    shape: tuple[int, ...],
    field: str,
    *,
    booleans: bool = True,
    missing: bool = False,
) -> Array:
    """Numbers and booleans. `booleans`: the document may hold true or false, so look for them in numbers.

    `missing`: null in a float tensor is NaN. InvalidInput names `field` and the element.
    """
    flat = flatten(data, shape, field)
    if booleans and datatype.kind != "bool" and bool in set(map(type, flat)):
        raise _element(flat, field, datatype, lambda value: type(value) is not bool)
    try:
        packed = array.array(datatype.typecode, flat)
    except (TypeError, OverflowError):
        packed = array.array(datatype.typecode, _with_missing(flat, field, datatype, missing))
    values: Array = np.frombuffer(packed, _PACKED[datatype.typecode])
    return _narrow(values, datatype, field, flat).reshape(shape)


_PACKED = {code: np.dtype(code) for code in "bBhHiIqQfd"}


def _narrow(values: Array, datatype: Datatype, field: str, flat: list[Any]) -> Array:
    """array.array checks integers; BOOL's two values and the floats' ranges are ours."""
    if datatype.kind == "bool":
        if values.size and (values.min() < 0 or values.max() > 1):
            raise _element(flat, field, datatype, lambda value: value in (0, 1))
        return values.view(np.bool_)
    if datatype.kind != "float" or datatype.name == "FP64":
        return values
    if datatype.name == "FP16":
        with np.errstate(over="ignore"):
            values = values.astype(np.float16)
    if np.isinf(values).any():
        raise _element(flat, field, datatype, lambda value: value is None or in_range(value, datatype))
    return values


def _with_missing(flat: list[Any], field: str, datatype: Datatype, missing: bool) -> list[Any]:
    """The same list with NaN for null where that is allowed, else InvalidInput for the first misfit."""
    numbers = (int, float) if datatype.kind == "float" else (int,)
    may_be_null = missing and datatype.kind == "float"
    for index, value in enumerate(flat):
        if may_be_null and value is None:
            continue
        if not isinstance(value, numbers) or not in_range(value, datatype):
            raise _misfit(value, datatype, f"{field}[{index}]", may_be_null)
    return [math.nan if value is None else value for value in flat]


def in_range(value: float, datatype: Datatype) -> bool:
    return datatype.low <= value <= datatype.high


def _element(flat: list[Any], field: str, datatype: Datatype, fits: Any) -> InvalidInput:
    index = next(index for index, value in enumerate(flat) if not fits(value))
    return _misfit(flat[index], datatype, f"{field}[{index}]", False)


def _misfit(value: object, datatype: Datatype, field: str, null: bool) -> InvalidInput:
    shown = repr(value) if not isinstance(value, (list, dict, str)) else type(value).__name__
    expected = {"bool": "true, false, 0 or 1", "int": "an integer in range", "float": "a number in range"}
    allowed = expected[datatype.kind] + (" or null" if null else "")
    shown = {"None": "null", "True": "true", "False": "false"}.get(shown, shown)
    return InvalidInput(f"{shown} does not fit {datatype.name}, which takes {allowed}", field)


def decode_strings(data: object, shape: tuple[int, ...], field: str, *, text: bool, encoded: bool = False) -> Array:
    """BYTES: an object array of str (`text`) or bytes. `encoded`: the strings are base64."""
    flat = flatten(data, shape, field)
    if flat and set(map(type, flat)) != {str}:
        index = next(index for index, value in enumerate(flat) if type(value) is not str)
        raise InvalidInput("BYTES takes strings", f"{field}[{index}]")
    values: list[Any] = flat
    if encoded:
        values = [_base64(value, f"{field}[{index}]") for index, value in enumerate(flat)]
        if text:
            values = [_utf8(value, f"{field}[{index}]") for index, value in enumerate(values)]
    elif not text:
        values = [value.encode() for value in flat]
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result.reshape(shape)


def _base64(value: str, field: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("the tensor's content_type is base64 and this is none", field) from None


def _utf8(value: bytes, field: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidInput("text must be UTF-8", field) from None


def flatten(data: object, shape: tuple[int, ...], field: str) -> list[Any]:
    """The elements row-major. InvalidInput unless data is flat or nested exactly as `shape`."""
    size = math.prod(shape)
    if type(data) is not list:
        if shape == () and data is not None and not isinstance(data, dict):
            return [data]
        raise InvalidInput("data must be an array", field)
    if len(shape) <= 1 or not data or type(data[0]) is not list:
        if len(data) != size:
            raise InvalidInput(f"data has {len(data)} elements, shape {list(shape)} takes {size}", field)
        return data
    rows: list[Any] = data
    fits = len(rows) == shape[0]
    for length in shape[1:]:
        fits = fits and (not rows or (set(map(type, rows)) == {list} and set(map(len, rows)) == {length}))
        if not fits:
            raise InvalidInput(f"data is not nested as shape {list(shape)}", field)
        rows = list(chain.from_iterable(rows))
    return rows

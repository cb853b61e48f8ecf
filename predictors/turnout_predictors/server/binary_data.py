"""Binary tensors: bytes behind the JSON of a request or a response become arrays, and the other way round.

Little-endian, row-major. Numbers are views of the body, copied only where they lie unaligned; BF16, which
numpy does not have, is FP32 inside. BYTES elements are their length as u32, then their bytes.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from turnout_predictors.datatypes import Datatype
from turnout_predictors.errors import InvalidInput

Array = NDArray[Any]
_LENGTH: Final = struct.Struct("<I")


class Bytes(Protocol):
    """Where binary tensors take their bytes from, in order."""

    def take(self, size: int, field: str) -> memoryview: ...


class Tail:
    """What follows the JSON. Tensors take their bytes from it in order, and must leave nothing."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw
        self._at = 0

    def take(self, size: int, field: str) -> memoryview:
        left = len(self._raw) - self._at
        if size > left:
            raise InvalidInput(f"{size} bytes are announced, {left} are left in the body", field)
        self._at += size
        return self._raw[self._at - size : self._at]

    def finish(self) -> None:
        left = len(self._raw) - self._at
        if left:
            raise InvalidInput(f"{left} bytes of the body belong to no tensor", "inputs")


def decode_binary(
    raw: memoryview, datatype: Datatype, shape: tuple[int, ...], field: str, *, missing: bool, finite: bool
) -> Array:
    """Numbers. `missing`: NaN is allowed in floats; `finite`: infinity is not.

    InvalidInput if the size or a value does not fit.
    """
    wanted = math.prod(shape) * datatype.wire.itemsize
    if len(raw) != wanted:
        raise InvalidInput(f"{datatype.name} of shape {list(shape)} takes {wanted} bytes, not {len(raw)}", field)
    values: Array = np.frombuffer(raw, datatype.wire)
    if datatype.kind == "bool":
        if values.size and values.max() > 1:
            raise InvalidInput("BOOL takes the bytes 0 and 1", field)
        return values.view(np.bool_).reshape(shape)
    if datatype.name == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    elif not values.flags.aligned:
        values = values.copy()
    if finite and datatype.kind == "float" and not np.isfinite(values).all():
        _refuse_odd(values, missing, field)
    return values.reshape(shape)


def _refuse_odd(values: Array, missing: bool, field: str) -> None:
    """What JSON cannot say, binary may not either: one model, one contract."""
    if np.isinf(values).any():
        raise InvalidInput("infinity is no value that this input takes", field)
    if not missing:
        raise InvalidInput("NaN stands for a missing value, which this input does not allow", field)


def decode_binary_strings(raw: memoryview, shape: tuple[int, ...], field: str, *, text: bool) -> Array:
    """BYTES: an object array of str (`text`) or bytes."""
    values: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        start = at + _LENGTH.size
        at = start + (_LENGTH.unpack_from(raw, at)[0] if start <= end else 1)
        if at > end:
            raise InvalidInput(f"element {len(values)} ends beyond the tensor's bytes", field)
        values.append(bytes(raw[start:at]))
    size = math.prod(shape)
    if len(values) != size:
        raise InvalidInput(f"the bytes hold {len(values)} elements, shape {list(shape)} takes {size}", field)
    result = np.empty(size, dtype=object)
    result[:] = [_utf8(value, index, field) for index, value in enumerate(values)] if text else values
    return result.reshape(shape)


def _utf8(value: bytes, index: int, field: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"element {index} is text and must be UTF-8", field) from None


def encode_binary(array: Array, datatype: Datatype) -> bytes | memoryview:
    """The bytes of an output; numbers without a copy where the array lies in order."""
    if datatype.kind == "bytes":
        values = [value if isinstance(value, bytes) else str(value).encode() for value in array.reshape(-1).tolist()]
        return b"".join(part for value in values for part in (_LENGTH.pack(len(value)), value))
    if datatype.name == "BF16":
        return _bf16(array).tobytes()
    flat = np.ascontiguousarray(array, datatype.wire).reshape(-1)
    return flat.view(np.uint8).data if flat.size else b""


def _bf16(array: Array) -> Array:
    """Rounds half to even, as hardware does; NaN stays NaN."""
    bits = np.ascontiguousarray(array, np.float32).reshape(-1).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    nan = np.isnan(bits.view(np.float32))
    return np.where(nan, np.uint16(0x7FC0), rounded).astype("<u2")

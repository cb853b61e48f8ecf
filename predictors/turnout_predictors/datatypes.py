"""The datatypes of V2: name, numpy type, and how JSON numbers become arrays without a loop in Python.

`array.array` is the strict half of the trick: it takes a list of Python numbers at C speed, refuses strings,
None and (for integers) floats, and checks integer ranges exactly. numpy then views its buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np


@dataclass(frozen=True, slots=True)
class Datatype:
    """One V2 datatype. `typecode` is array.array's; `low` and `high` bound finite values; `wire` is how binary
    tensors carry an element.
    """

    name: str
    kind: str  # bool | int | float | bytes
    dtype: np.dtype[np.generic]
    typecode: str
    low: float
    high: float
    wire: np.dtype[np.generic]


def _numeric(name: str, kind: str, dtype: str, typecode: str) -> Datatype:
    numpy_type = np.dtype(dtype)
    low, high = _range(numpy_type)
    wire = np.dtype(np.uint8) if kind == "bool" else numpy_type.newbyteorder("<")
    return Datatype(name, kind, numpy_type, typecode, low, high, wire)


def _range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Exact for integers, which Python compares with floats exactly."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        return -limit, limit
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


_ALL = (
    _numeric("BOOL", "bool", "bool", "b"),
    _numeric("UINT8", "int", "uint8", "B"),
    _numeric("UINT16", "int", "uint16", "H"),
    _numeric("UINT32", "int", "uint32", "I"),
    _numeric("UINT64", "int", "uint64", "Q"),
    _numeric("INT8", "int", "int8", "b"),
    _numeric("INT16", "int", "int16", "h"),
    _numeric("INT32", "int", "int32", "i"),
    _numeric("INT64", "int", "int64", "q"),
    _numeric("FP16", "float", "float16", "f"),
    _numeric("FP32", "float", "float32", "f"),
    _numeric("FP64", "float", "float64", "d"),
    Datatype("BYTES", "bytes", np.dtype(object), "", 0, 0, np.dtype(object)),
    Datatype("BF16", "float", np.dtype("float32"), "", -3.3895313892515355e38, 3.3895313892515355e38, np.dtype("<u2")),
)

DATATYPES: Final = {datatype.name: datatype for datatype in _ALL}
BINARY_ONLY: Final = frozenset({"BF16"})  # numpy has no such type: FP32 inside, and never in JSON
_OF_NUMPY: Final = {datatype.dtype: datatype for datatype in _ALL if datatype.name not in ("BYTES", "BF16")}


def datatype_of(dtype: np.dtype[np.generic]) -> Datatype | None:
    """The V2 datatype an array of `dtype` travels as; strings of any width are BYTES."""
    if dtype.kind in "OUST":
        return DATATYPES["BYTES"]
    return _OF_NUMPY.get(dtype.newbyteorder("="))

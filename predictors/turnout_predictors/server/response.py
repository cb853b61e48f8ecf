"""Arrays become the bytes of a V2 response, written from the arrays themselves."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson
from numpy.typing import NDArray

from turnout_predictors.datatypes import datatype_of
from turnout_predictors.errors import ModelError

Array = NDArray[Any]


def encode(
    model: str,
    version: str,
    identifier: str | None,
    outputs: Mapping[str, Array],
    types: Mapping[str, str],
) -> bytes:
    """Outputs in the order given; NaN and infinities become null by themselves; never a null key."""
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if identifier is not None:
        document["id"] = identifier
    document["outputs"] = [tensor(name, array, types.get(name)) for name, array in outputs.items()]
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def tensor(name: str, array: Array, datatype: str | None = None) -> dict[str, Any]:
    """One output as a JSON-ready object whose data is still the array."""
    if datatype is None:
        inferred = datatype_of(array.dtype)
        if inferred is None:
            raise ModelError(f"output {name!r} has type {array.dtype}, which V2 cannot carry")
        datatype = inferred.name
    if datatype == "BYTES":
        return _strings(name, array)
    flat = array.reshape(-1)
    return {"name": name, "shape": array.shape, "datatype": datatype, "data": flat}


def _strings(name: str, array: Array) -> dict[str, Any]:
    """str and UTF-8 bytes as they are; if any row is not UTF-8 the tensor is base64 and says so."""
    values = [_plain(value) for value in array.reshape(-1).tolist()]
    result: dict[str, Any] = {"name": name, "shape": array.shape, "datatype": "BYTES"}
    try:
        result["data"] = [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError:
        result["parameters"] = {"content_type": "base64"}
        raw = (value if isinstance(value, bytes) else value.encode() for value in values)
        result["data"] = [base64.b64encode(value).decode() for value in raw]
    return result


def _plain(value: object) -> str | bytes:
    return value if isinstance(value, (str, bytes)) else str(value)

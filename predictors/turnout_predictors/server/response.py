"""Arrays become the bytes of a V2 response, written from the arrays themselves."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import orjson
from numpy.typing import NDArray

from turnout_predictors.datatypes import BINARY_ONLY, DATATYPES, datatype_of
from turnout_predictors.errors import InvalidInput, ModelError

from .binary_data import encode_binary
from .contract import Contract
from .effective import Effective
from .exchange import Header, Reply
from .request import InferRequest
from .views import PANDAS

Array = NDArray[Any]
OCTETS: Final = b"application/octet-stream"


def write(
    head: Mapping[str, Any],
    request: InferRequest,
    outputs: Mapping[str, Array],
    types: Mapping[str, str],
    headers: tuple[Header, ...] = (),
    parameters: Mapping[str, Any] | None = None,
) -> Reply:
    """`head`: model_name and model_version. Outputs in the order given, as JSON or as bytes by the request's wish.

    NaN and infinities become null by themselves; never a null key.
    """
    document = dict(head)
    if request.id is not None:
        document["id"] = request.id
    if parameters:
        document["parameters"] = parameters
    if not request.binary:
        document["outputs"] = [tensor(name, array, types.get(name)) for name, array in outputs.items()]
        return Reply(200, (orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),), headers)
    tail: list[bytes | memoryview] = []
    document["outputs"] = [
        _behind(name, array, types.get(name), tail) if request.is_binary(name) else tensor(name, array, types.get(name))
        for name, array in outputs.items()
    ]
    body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tail:
        return Reply(200, (body,), headers)
    frame = (b"inference-header-content-length", b"%d" % len(body))
    return Reply(200, (body, *tail), (*headers, frame), OCTETS)


def _behind(name: str, array: Array, datatype: str | None, tail: list[bytes | memoryview]) -> dict[str, Any]:
    datatype = datatype or _inferred(name, array)
    raw = encode_binary(array, DATATYPES[datatype])
    tail.append(raw)
    parameters = {"binary_data_size": len(raw)}
    return {"name": name, "shape": array.shape, "datatype": datatype, "parameters": parameters}


def encode(
    model: str,
    version: str,
    outputs: Mapping[str, Array],
    types: Mapping[str, str],
) -> bytes:
    """A whole response as JSON, for who records examples."""
    tensors = [tensor(name, array, types.get(name)) for name, array in outputs.items()]
    document = {"model_name": model, "model_version": version, "outputs": tensors}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def told(
    request: InferRequest, contract: Contract, effective: Effective, outputs: Mapping[str, Array]
) -> dict[str, Any]:
    """The parameters of an answer: the settings it was made under, the space of its vectors, what was asked for."""
    found = dict(effective.told)
    signature, asked = contract.signature, request.parameters
    if signature is not None and signature.embedding_space:
        found["embedding_space"] = signature.embedding_space
    if signature is not None and asked.get("labels") is True:
        found |= labels(signature.labels, outputs)
    if asked.get("content_type") == PANDAS:
        found["content_type"] = PANDAS
    return found


def labels(signature_labels: Mapping[str, tuple[str, ...]], outputs: Mapping[str, Array]) -> dict[str, str]:
    """Labels of the outputs as a response's parameters, JSON each: parameters hold no lists."""
    return {
        f"labels.{name}": json.dumps(list(values), ensure_ascii=False)
        for name, values in signature_labels.items()
        if name in outputs
    }


def tensor(name: str, array: Array, datatype: str | None = None) -> dict[str, Any]:
    """One output as a JSON-ready object whose data is still the array."""
    datatype = datatype or _inferred(name, array)
    if datatype == "BYTES":
        return _strings(name, array)
    if datatype in BINARY_ONLY:
        raise InvalidInput(f"output {name!r} is {datatype} and travels as a binary tensor only", "outputs")
    return {"name": name, "shape": array.shape, "datatype": datatype, "data": array.reshape(-1)}


def _inferred(name: str, array: Array) -> str:
    inferred = datatype_of(array.dtype)
    if inferred is None:
        raise ModelError(f"output {name!r} has type {array.dtype}, which V2 cannot carry")
    return inferred.name


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

"""The façade of KServe's V1 protocol: `{"instances": […]}` becomes a V2 request, its outputs `{"predictions": …}`.

A translation and nothing else: the checks, the engine and the errors are V2's. An instance is a row of the
only input, or an object with a value for each input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from numpy.typing import NDArray

from turnout_predictors.errors import InvalidInput, RequestError

from .contract import Contract
from .exchange import Header, Reply
from .request import InferRequest, check

Array = NDArray[Any]


def read(body: bytes | bytearray, contract: Contract) -> InferRequest:
    """InvalidInput names fields as V2 does: its sentence says which input."""
    if contract.signature is None:
        raise RequestError("unsupported", "the model declares no inputs, so V1 cannot be translated; use V2")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise InvalidInput(f"the body is not JSON: {fault}") from None
    instances = document.get("instances") if type(document) is dict else None
    if type(instances) is not list:
        raise InvalidInput('the body must be {"instances": […]}', "instances")
    return check({"inputs": _inputs(instances, contract)}, contract)


def _inputs(instances: list[Any], contract: Contract) -> list[dict[str, Any]]:
    if instances and all(type(instance) is dict for instance in instances):
        names = dict.fromkeys(name for instance in instances for name in instance)
        columns = {name: [_value(row, name, index) for index, row in enumerate(instances)] for name in names}
    elif len(contract.inputs) == 1:
        columns = {next(iter(contract.inputs)): instances}
    else:
        raise InvalidInput(f"an instance must be an object with {', '.join(contract.inputs)}", "instances")
    return [_tensor(name, column, contract) for name, column in columns.items()]


def _value(row: dict[str, Any], name: str, index: int) -> Any:
    if name not in row:
        raise InvalidInput(f"{name!r} is missing here and given elsewhere", f"instances[{index}]")
    return row[name]


def _tensor(name: str, column: list[Any], contract: Contract) -> dict[str, Any]:
    declared = contract.inputs.get(name)
    if declared is None:
        raise InvalidInput(f"unknown input {name!r}; the model takes {', '.join(contract.inputs)}", "instances")
    return {
        "name": name,
        "datatype": declared[1].name,
        "shape": _shape(column, contract.limits.max_depth),
        "data": column,
    }


def _shape(column: list[Any], deepest: int) -> list[int]:
    """By the first element of each level; `check` finds out whether the others agree."""
    shape: list[int] = []
    level: Any = column
    while type(level) is list and len(shape) < deepest:
        shape.append(len(level))
        level = level[0] if level else None
    return shape


def write(outputs: Mapping[str, Array], headers: tuple[Header, ...]) -> Reply:
    body = orjson.dumps({"predictions": _predictions(outputs)}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Reply(200, (body,), headers)


def content(outputs: Mapping[str, Array]) -> Any:
    """The answer as a document, for a server that writes it itself."""
    return orjson.loads(write(outputs, ()).parts[0])


def _predictions(outputs: Mapping[str, Array]) -> Any:
    """One output as its rows; several as an object for each row, or as columns where they are no rows."""
    arrays = {name: _plain(array) for name, array in outputs.items()}
    predictions: Any = arrays
    if len(arrays) == 1:
        predictions = next(iter(arrays.values()))
    elif len(rows := {array.shape[:1] for array in outputs.values()}) == 1 and () not in rows:
        columns = [array if isinstance(array, list) else array.tolist() for array in arrays.values()]
        predictions = [dict(zip(arrays, row, strict=True)) for row in zip(*columns, strict=True)]
    return predictions


def _plain(array: Array) -> Any:
    if array.dtype.kind in "OUS":
        return _strings(array.tolist())
    return array if array.ndim else array.item()


def _strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_strings(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

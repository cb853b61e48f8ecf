"""Bytes of a V2 infer request become checked arrays, or one InvalidInput with the field's path.

Unknown keys are ignored as the protocol asks. Tensors come as JSON, or as bytes behind the JSON; both may
stand in one request.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson
from numpy.typing import NDArray

from turnout_predictors.batching.engine import NOTHING
from turnout_predictors.datatypes import BINARY_ONLY, DATATYPES, Datatype
from turnout_predictors.errors import BeyondLimit, InvalidInput, RequestError
from turnout_predictors.signature import TensorSpec

from .binary_data import Bytes, Tail, decode_binary, decode_binary_strings
from .contract import Contract
from .json_data import decode, decode_strings
from .settings import ABOVE_DATA, ServerSettings
from .views import JSON, PANDAS, as_columns

Array = NDArray[Any]
MAX_DIMENSION: Final = 2**31 - 1
FRAME: Final = "headers.Inference-Header-Content-Length"
_KNOWN: Final = frozenset({"id", "parameters", "inputs", "outputs"})


NO_BINARY: Final[Mapping[str | None, bool]] = MappingProxyType({})


@dataclass(slots=True, frozen=True)
class InferRequest:
    """`outputs`: names wanted, in declared order; empty when the model declares none and none were named.

    `binary`: which of them travel as bytes; None stands for all that are not named. `shown`: all are computed for a
    view by row, and only these are answered beside it.
    """

    id: str | None
    parameters: Mapping[str, Any]
    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    dims: dict[str, int]
    binary: Mapping[str | None, bool]
    shown: tuple[str, ...] | None = None

    def is_binary(self, output: str) -> bool:
        """The nearer wish wins."""
        return self.binary.get(output, self.binary.get(None, False))


def parse(body: bytes | bytearray, contract: Contract, json_bytes: int | None = None) -> InferRequest:
    """`json_bytes`: how many of the body are JSON, binary tensors follow; None: all.

    InvalidInput says what is wrong and where.
    """
    if json_bytes is None:
        return check(body_of(body), contract, booleans=b"true" in body or b"false" in body)
    if json_bytes > len(body):
        raise InvalidInput(f"{json_bytes} bytes of JSON are announced, the body has {len(body)}", FRAME)
    whole = body if isinstance(body, bytearray) else bytearray(body)
    if not json_bytes and _is_one_text(contract):
        whole = bytearray(struct.pack("<I", len(whole))) + whole
    tail = Tail(memoryview(whole)[json_bytes:])
    document = body_of(whole[:json_bytes]) if json_bytes else raw_request(len(whole), contract)
    request = check(document, contract, tail=tail)
    tail.finish()
    return request


def body_of(body: bytes | bytearray) -> dict[str, Any]:
    """InvalidInput where it is no JSON object."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise InvalidInput(f"the body is not JSON: {fault}") from None
    if type(document) is not dict:
        raise InvalidInput("the body must be a JSON object")
    return document


def raw_request(size: int, contract: Contract) -> dict[str, Any]:
    """A body without any JSON is the only input, as bytes; what its shape leaves open follows from the size."""
    if len(contract.inputs) != 1:
        raise InvalidInput("a body without JSON needs a model that declares exactly one input", FRAME)
    spec, datatype = next(iter(contract.inputs.values()))
    if datatype.kind == "bytes":
        shape = [1] * len(spec.shape)
        return _raw_tensor(spec.name, datatype, shape, size)
    free = {dimension for dimension in spec.shape if isinstance(dimension, str)}
    fixed = math.prod(dimension for dimension in spec.shape if isinstance(dimension, int)) * datatype.wire.itemsize
    if len(free) > 1 or len(free) < len(spec.shape) - sum(isinstance(d, int) for d in spec.shape) or not fixed:
        raise InvalidInput("the shape does not follow from the body's size; announce the tensor in JSON", FRAME)
    shape = [dimension if isinstance(dimension, int) else size // fixed for dimension in spec.shape]
    return _raw_tensor(spec.name, datatype, shape, size)


def _raw_tensor(name: str, datatype: Datatype, shape: list[int], size: int) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"inputs": [{"name": name, "datatype": datatype.name, "shape": shape, "parameters": parameters}]}


def _is_one_text(contract: Contract) -> bool:
    """A body without JSON is then one element, so that a file can be sent as it is."""
    return len(contract.inputs) == 1 and all(datatype.kind == "bytes" for _, datatype in contract.inputs.values())


def check(
    document: dict[str, Any], contract: Contract, *, booleans: bool = True, tail: Bytes | None = None
) -> InferRequest:
    """As `parse`, for a document that is already read. `tail`: the bytes of its binary tensors."""
    if len(document) > 1:
        _check_depth(document, contract.limits.max_depth)
    identifier = document.get("id")
    if identifier is not None and type(identifier) is not str:
        raise InvalidInput("id must be a string", "id")
    raw = document.get("parameters")
    parameters = NOTHING if raw is None and "parameters" not in document else _parameters(raw, "parameters")
    if parameters:
        _check_space(parameters, contract)
        if parameters.get("content_type") == PANDAS and type(document.get("inputs")) is list:
            document = as_columns(document, contract)
    outputs = document.get("outputs")
    dims: dict[str, int] = {}
    inputs = _inputs(document.get("inputs"), contract, dims, booleans, tail)
    binary = NO_BINARY
    if "binary_data_output" in parameters:
        binary = {None: _flag(parameters, "binary_data_output", "parameters")}
    if not outputs and _is_absent(outputs):
        return InferRequest(identifier, parameters, inputs, contract.output_names, dims, binary)
    view = JSON if JSON not in contract.output_types and contract.signature is not None else None
    wanted, nearer = _outputs(outputs, contract, view)
    binary = {**binary, **nearer} if nearer else binary
    if view not in wanted:
        return InferRequest(identifier, parameters, inputs, wanted, dims, binary)
    shown = tuple(name for name in wanted if name != view)
    return InferRequest(identifier, parameters, inputs, contract.output_names, dims, binary, shown)


def _check_space(parameters: Mapping[str, Any], contract: Contract) -> None:
    """A caller that keeps vectors says in which space: those of another would compare without a warning."""
    expected = parameters.get("expect_space")
    if expected is None:
        return
    space = contract.signature.embedding_space if contract.signature is not None else ""
    if expected != space:
        found = f"its vectors lie in {space!r}" if space else "its outputs lie in no named space"
        message = f"{expected!r} is expected, but {found}; embed again, or ask the version that has that space"
        raise RequestError("wrong_space", message, field="parameters.expect_space")


def _flag(parameters: Mapping[str, Any], name: str, field: str) -> bool:
    value = parameters[name]
    if type(value) is not bool:
        raise InvalidInput(f"{name} must be true or false", f"{field}.{name}")
    return value


def _is_absent(outputs: object) -> bool:
    if outputs is None or outputs == []:
        return True
    raise InvalidInput("outputs must be an array", "outputs")


def _inputs(
    items: object, contract: Contract, dims: dict[str, int], booleans: bool, tail: Bytes | None
) -> dict[str, Array]:
    if type(items) is not list or not items:
        raise InvalidInput("inputs must be an array of at least one tensor", "inputs")
    if len(items) > contract.limits.max_tensors:
        raise _too_many("tensors", items, contract.limits, "inputs")
    arrays: dict[str, Array] = {}
    for index, item in enumerate(items):
        field = f"inputs[{index}]"
        if type(item) is not dict:
            raise InvalidInput("a tensor must be an object", field)
        name = item.get("name")
        if type(name) is not str or not name:
            raise InvalidInput("name must be a string", f"{field}.name")
        if name in arrays:
            raise InvalidInput(f"input {name!r} is given twice", f"{field}.name")
        spec, datatype = _declared(name, item.get("datatype"), contract, field)
        arrays[name] = _tensor(item, spec, datatype, dims, field, booleans, tail, contract.limits)
    absent = contract.required - arrays.keys()
    if absent:
        raise InvalidInput(f"missing input {', '.join(sorted(absent))}", "inputs")
    return arrays


def _declared(name: str, datatype: object, contract: Contract, field: str) -> tuple[TensorSpec | None, Datatype]:
    declared = contract.inputs.get(name)
    if declared is None and contract.signature is not None:
        known = ", ".join(contract.inputs)
        raise InvalidInput(f"unknown input {name!r}; the model takes {known}", f"{field}.name")
    if declared is not None and datatype == declared[1].name:
        return declared
    if type(datatype) is not str or datatype not in DATATYPES:
        raise InvalidInput(f"datatype must be one of {', '.join(DATATYPES)}", f"{field}.datatype")
    if declared is not None:
        raise InvalidInput(f"input {name!r} is {declared[1].name}, not {datatype}", f"{field}.datatype")
    return None, DATATYPES[datatype]


def _tensor(
    item: dict[str, Any],
    spec: TensorSpec | None,
    datatype: Datatype,
    dims: dict[str, int],
    field: str,
    booleans: bool,
    tail: Bytes | None,
    limits: ServerSettings,
) -> Array:
    shape = _shape(item.get("shape"), field, limits)
    if shape and shape[0] > limits.max_rows and spec is not None and type(spec.shape[0]) is str:
        message = f"{shape[0]} rows, at most {limits.max_rows} are taken; send them in several requests"
        raise BeyondLimit("max_rows", message, field=f"{field}.shape[0]")
    target = shape if spec is None else _bind(spec, shape, dims, field)
    parameters = NOTHING
    if "parameters" in item:
        parameters = _parameters(item["parameters"], f"{field}.parameters")
    if "binary_data_size" in parameters:
        values = _from_tail(item, spec, datatype, shape, field, tail)
    elif "data" not in item:
        raise InvalidInput("data is missing", f"{field}.data")
    elif datatype.kind == "bytes":
        text = spec.text if spec is not None else False
        encoded = parameters.get("content_type") == "base64"
        values = decode_strings(item["data"], shape, f"{field}.data", text=text, encoded=encoded)
    elif datatype.name in BINARY_ONLY:
        raise InvalidInput(f"{datatype.name} travels as a binary tensor only", f"{field}.datatype")
    else:
        missing = spec.missing if spec is not None else False
        values = decode(item["data"], datatype, shape, f"{field}.data", booleans=booleans, missing=missing)
    return values if target is shape else values.reshape(target)


def _from_tail(
    item: dict[str, Any],
    spec: TensorSpec | None,
    datatype: Datatype,
    shape: tuple[int, ...],
    field: str,
    tail: Bytes | None,
) -> Array:
    where = f"{field}.parameters.binary_data_size"
    size = item["parameters"]["binary_data_size"]
    if "data" in item:
        raise InvalidInput("a tensor has either data or binary_data_size", where)
    if type(size) is not int or size < 0:
        raise InvalidInput("binary_data_size must be a number of bytes", where)
    if tail is None:
        raise InvalidInput("binary tensors need the header Inference-Header-Content-Length", where)
    raw = tail.take(size, where)
    if datatype.kind == "bytes":
        return decode_binary_strings(raw, shape, field, text=spec is not None and spec.text)
    missing = spec is None or spec.missing
    return decode_binary(raw, datatype, shape, field, missing=missing, finite=spec is not None)


def _shape(value: object, field: str, limits: ServerSettings) -> tuple[int, ...]:
    if type(value) is not list:
        raise InvalidInput("shape must be an array of integers", f"{field}.shape")
    if len(value) > limits.max_depth - ABOVE_DATA:  # no property: a call costs on every tensor
        message = f"shape has {len(value)} dimensions, at most {limits.max_dimensions} are taken"
        raise BeyondLimit("max_depth", message, field=f"{field}.shape", code="invalid_input")
    for axis, size in enumerate(value):
        if type(size) is not int or not 0 <= size <= MAX_DIMENSION:
            raise InvalidInput("a dimension must be a non-negative integer", f"{field}.shape[{axis}]")
    return tuple(value)


def _bind(spec: TensorSpec, shape: tuple[int, ...], dims: dict[str, int], field: str) -> tuple[int, ...]:
    """The shape the model sees: as sent, but `[N, 1]` where `[N]` is declared for text."""
    declared = spec.shape
    if len(shape) != len(declared):
        if not (spec.datatype == "BYTES" and len(declared) == 1 and len(shape) == 2 and shape[1] == 1):
            raise InvalidInput(
                f"input {spec.name!r} has {len(shape)} dimensions, declared {list(declared)}",
                f"{field}.shape",
            )
        shape = shape[:1]
    for axis, (size, wanted) in enumerate(zip(shape, declared, strict=True)):
        expected = wanted if type(wanted) is int else dims.setdefault(str(wanted), size)
        if size != expected:
            raise InvalidInput(
                f"input {spec.name!r}: dimension {wanted} is {expected}, not {size}", f"{field}.shape[{axis}]"
            )
    return shape


def _outputs(items: object, contract: Contract, view: str | None) -> tuple[tuple[str, ...], dict[str | None, bool]]:
    """The outputs wanted, and how each that says so is to travel. `view`: a name that stands for all of them by row."""
    if type(items) is not list:
        raise InvalidInput("outputs must be an array", "outputs")
    if len(items) > contract.limits.max_tensors:
        raise _too_many("outputs", items, contract.limits, "outputs")
    wanted: list[str] = []
    binary: dict[str | None, bool] = {}
    for index, item in enumerate(items):
        field = f"outputs[{index}]"
        name = item.get("name") if type(item) is dict else None
        if type(name) is not str:
            raise InvalidInput("an output must be an object with a name", field)
        if contract.signature is not None and name not in contract.output_types and name != view:
            known = ", ".join(contract.output_names)
            raise InvalidInput(f"unknown output {name!r}; the model gives {known}", f"{field}.name")
        if name in wanted:
            raise InvalidInput(f"output {name!r} is wanted twice", f"{field}.name")
        if "parameters" in item:
            parameters = _parameters(item["parameters"], f"{field}.parameters")
            if "binary_data" in parameters:
                binary[name] = _flag(parameters, "binary_data", f"{field}.parameters")
        wanted.append(name)
    if contract.signature is None:
        return tuple(wanted), binary
    return tuple(name for name in (*contract.output_names, view) if name in wanted), binary


def _too_many(what: str, items: list[Any], limits: ServerSettings, field: str) -> BeyondLimit:
    message = f"{len(items)} {what}, at most {limits.max_tensors} are taken"
    return BeyondLimit("max_tensors", message, field=field, code="invalid_input")


def _parameters(value: object, field: str) -> Mapping[str, Any]:
    """String, number or bool each."""
    if type(value) is not dict:
        raise InvalidInput("parameters must be an object", field)
    for name, parameter in value.items():
        if type(parameter) not in (str, int, float, bool):
            raise InvalidInput("a parameter must be a string, number or boolean", f"{field}.{name}")
    return value


def _check_depth(document: dict[str, Any], most: int) -> None:
    """Only unknown keys can hide depth: the known ones are checked value by value."""
    for key in document.keys() - _KNOWN:
        level, depth = [document[key]], 1
        while level:
            depth += 1
            if depth > most:
                message = f"the document is nested deeper than {most}"
                raise BeyondLimit("max_depth", message, field=key, code="invalid_input")
            level = [child for parent in level for child in _children(parent)]


def _children(value: object) -> list[Any]:
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [child for child in children if isinstance(child, (dict, list))]

"""ModelInferRequest in, ModelInferResponse out: the same checks as HTTP, told the tensors as bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet
from numpy.typing import NDArray

from turnout_predictors.datatypes import BINARY_ONLY, DATATYPES, Datatype, datatype_of
from turnout_predictors.errors import InvalidInput, ModelError
from turnout_predictors.server.binary_data import encode_binary
from turnout_predictors.server.contract import Contract
from turnout_predictors.server.request import InferRequest, check

Array = NDArray[Any]
_FIELD: Final = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_RAW_ONLY: Final = frozenset({"FP16", *BINARY_ONLY})


class _Raw:
    """The tensors' bytes one by one, in the order of the inputs; see `Tail`."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self._entries = iter(entries)

    def take(self, size: int, field: str) -> memoryview:
        return memoryview(bytearray(next(self._entries)))


def read(message: Any, contract: Contract) -> tuple[InferRequest, bool]:
    """The checked request, and whether it came raw. InvalidInput says what is wrong and where."""
    is_raw = len(message.raw_input_contents) > 0
    if is_raw and len(message.raw_input_contents) != len(message.inputs):
        raise InvalidInput(
            f"{len(message.raw_input_contents)} raw entries for {len(message.inputs)} inputs; send one for each",
            "raw_input_contents",
        )
    if is_raw:
        filled = [index for index, item in enumerate(message.inputs) if item.HasField("contents")]
        if filled:
            raise InvalidInput("contents and raw entries do not mix in one message", f"inputs[{filled[0]}].contents")
        entries = list(message.raw_input_contents)
    else:
        entries = [_packed(item, f"inputs[{index}]") for index, item in enumerate(message.inputs)]
    document: dict[str, Any] = {
        "inputs": [_described(item, len(raw)) for item, raw in zip(message.inputs, entries, strict=True)],
        "outputs": [{"name": item.name} for item in message.outputs],
        "parameters": parameters(message.parameters),
    }
    if message.id:
        document["id"] = message.id
    return check(document, contract, tail=_Raw(entries)), is_raw


def _described(item: Any, size: int) -> dict[str, Any]:
    given = {name: value for name, value in parameters(item.parameters).items() if name != "content_type"}
    return {
        "name": item.name,
        "datatype": item.datatype,
        "shape": list(item.shape),
        "parameters": {**given, "binary_data_size": size},
    }


def parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _parameter(value, name) for name, value in given.items()}


def _parameter(value: Any, name: str) -> Any:
    """kserve's message lacks the protocol's double_param (4) and uint64_param (5): they arrive as unknown fields."""
    which = value.WhichOneof("parameter_choice")
    if which is not None:
        return getattr(value, which)
    for unknown in UnknownFieldSet(value):
        if unknown.field_number == 4 and unknown.wire_type == 1:
            return struct.unpack("<d", struct.pack("<Q", unknown.data))[0]
        if unknown.field_number == 5 and unknown.wire_type == 0:
            return unknown.data
    raise InvalidInput("a parameter must be a string, number or boolean", f"parameters.{name}")


def _packed(item: Any, field: str) -> bytes:
    """The contents as the bytes that the datatype has on the wire."""
    datatype = DATATYPES.get(item.datatype)
    if datatype is None:
        return b""  # `check` says so
    filled = [descriptor.name for descriptor, _ in item.contents.ListFields()]
    if datatype.name in _RAW_ONLY:
        raise InvalidInput(f"{datatype.name} travels in raw_input_contents only", f"{field}.datatype")
    wanted = _FIELD[datatype.name]
    if any(name != wanted for name in filled):
        raise InvalidInput(f"{datatype.name} travels in {wanted}, not in {', '.join(filled)}", f"{field}.contents")
    values = getattr(item.contents, wanted)
    if datatype.kind == "bytes":
        return b"".join(part for value in values for part in (struct.pack("<I", len(value)), value))
    return _numbers(values, datatype, field)


def _numbers(values: Any, datatype: Datatype, field: str) -> bytes:
    wide: Array = np.array(values, _wide(datatype))
    if datatype.kind == "int" and wide.size and not datatype.low <= wide.min() <= wide.max() <= datatype.high:
        at = next(index for index, value in enumerate(values) if not datatype.low <= value <= datatype.high)
        raise InvalidInput(f"{values[at]} does not fit {datatype.name}", f"{field}.contents[{at}]")
    packed: bytes = wide.astype(datatype.wire).tobytes()
    return packed


def _wide(datatype: Datatype) -> np.dtype[Any]:
    if datatype.kind != "int":
        return datatype.wire
    return np.dtype(np.uint64 if datatype.name.startswith("U") else np.int64)


def write(pb: Any, message: Any, outputs: Mapping[str, Array], types: Mapping[str, str], *, raw: bool) -> Any:
    """Fills `message`: raw answers to raw requests, and where a datatype has no contents."""
    described = [(name, array, DATATYPES[types.get(name) or _inferred(name, array)]) for name, array in outputs.items()]
    raw = raw or any(datatype.name in _RAW_ONLY for _, _, datatype in described)
    for name, array, datatype in described:
        tensor = message.outputs.add(name=name, datatype=datatype.name, shape=array.shape)
        if raw:
            message.raw_output_contents.append(bytes(encode_binary(array, datatype)))
        elif datatype.kind == "bytes":
            values = array.reshape(-1).tolist()
            tensor.contents.bytes_contents.extend(
                value if isinstance(value, bytes) else str(value).encode() for value in values
            )
        else:
            getattr(tensor.contents, _FIELD[datatype.name]).extend(array.reshape(-1).tolist())
    return message


def _inferred(name: str, array: Array) -> str:
    found = datatype_of(array.dtype)
    if found is None:
        raise ModelError(f"output {name!r} has type {array.dtype}, which V2 cannot carry")
    return found.name

"""Façades: other protocols' requests become V2's, and its outputs become their answers. No second engine.

Each reads a body into an InferRequest, and knows how to write what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from turnout_predictors.batching.engine import Outputs
from turnout_predictors.errors import InvalidInput, RequestError
from turnout_predictors.signature import TensorSpec

from .contract import Contract
from .exchange import Header, Reply
from .request import InferRequest, check


class Translated(NamedTuple):
    request: InferRequest
    write: Callable[[Outputs], Reply]


def check_model(document: dict[str, Any], served: str) -> None:
    """`model` may be left out."""
    if document.get("model") not in (None, "", served):
        raise RequestError("unknown_model", f"model {document['model']!r} is not served here; {served!r} is")


def texts_of(value: object, field: str) -> list[str]:
    """Texts, at least one."""
    texts: list[Any] = value if isinstance(value, list) else [value]
    for index, text in enumerate(texts):
        if type(text) is not str:
            raise InvalidInput("must be a text", f"{field}[{index}]" if type(value) is list else field)
    if not texts:
        raise InvalidInput("must hold at least one text", field)
    return texts


def text_input(contract: Contract) -> TensorSpec | None:
    """The one input of a model that takes texts in rows, if it is such a model."""
    required = [spec for spec, _ in contract.inputs.values() if not spec.optional]
    if len(required) != 1 or required[0].datatype != "BYTES" or len(required[0].shape) != 1:
        return None
    return required[0]


def has_embedding(contract: Contract) -> bool:
    return text_input(contract) is not None and contract.output_types.get("embedding") in ("FP32", "FP64", "FP16")


def ask(contract: Contract, tensors: dict[str, list[str]], outputs: list[str], settings: str = "") -> InferRequest:
    """The V2 request for texts by input."""
    inputs = [
        {"name": name, "datatype": "BYTES", "shape": [len(texts)], "data": texts} for name, texts in tensors.items()
    ]
    document: dict[str, Any] = {"inputs": inputs, "outputs": [{"name": name} for name in outputs]}
    if settings:
        document["parameters"] = {"settings": settings}
    return check(document, contract)


def answer(content: object, headers: tuple[Header, ...]) -> Reply:
    return Reply(200, (orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY),), headers)

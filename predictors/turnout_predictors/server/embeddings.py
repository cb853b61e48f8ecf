"""The façade of OpenAI's `/v1/embeddings`, for models that give `embedding` for a text."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from turnout_predictors.batching.engine import Outputs
from turnout_predictors.errors import InvalidInput, RequestError

from .contract import Contract
from .exchange import Header, Reply
from .facade import Translated, answer, ask, check_model, has_embedding, text_input, texts_of
from .request import body_of


def read(body: bytes | bytearray, contract: Contract, model: str, headers: tuple[Header, ...]) -> Translated:
    """`input`: a text or several; `encoding_format`: float or base64; `dimensions`, where the model can cut vectors."""
    spec = text_input(contract)
    if spec is None or not has_embedding(contract):
        raise RequestError("unsupported", "the model gives no embedding of a text; use V2")
    document = body_of(body)
    check_model(document, model)
    texts = texts_of(document.get("input"), "input")
    encoding = document.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise InvalidInput("must be float or base64", "encoding_format")
    outputs = [name for name in ("embedding", "tokens") if name in contract.output_types]
    request = ask(contract, {spec.name: texts}, outputs, _cut(document.get("dimensions"), contract))
    return Translated(request, lambda found: _write(found, model, headers, is_base64=encoding == "base64"))


def _cut(dimensions: object, contract: Contract) -> str:
    if dimensions is None:
        return ""
    if type(dimensions) is not int or dimensions < 1:
        raise InvalidInput("must be a positive integer", "dimensions")
    if "truncate_dim" not in type(contract.settings).model_fields:
        raise InvalidInput("the model cannot cut its vectors", "dimensions")
    return json.dumps({"truncate_dim": dimensions})


def _write(outputs: Outputs, model: str, headers: tuple[Header, ...], *, is_base64: bool) -> Reply:
    vectors = np.ascontiguousarray(outputs["embedding"], "<f4")
    shown: list[Any] = [base64.b64encode(row.tobytes()).decode() for row in vectors] if is_base64 else list(vectors)
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(shown)]
    tokens = int(outputs["tokens"].sum()) if "tokens" in outputs else 0
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return answer({"object": "list", "data": data, "model": model, "usage": usage}, headers)

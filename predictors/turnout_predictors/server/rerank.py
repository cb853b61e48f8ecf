"""The façade `/rerank`, in the shapes of Cohere (`documents`, `top_n`) and of text-embeddings-inference (`texts`).

For models that declare `query`, `documents`, `index` and `score`; and for encoders, by the cosine of their vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnout_predictors.batching.engine import Outputs
from turnout_predictors.errors import InvalidInput, RequestError

from .contract import Contract
from .exchange import Header, Reply
from .facade import Translated, answer, ask, check_model, has_embedding, text_input, texts_of
from .request import body_of

Scores = NDArray[np.float64]


def can_rerank(contract: Contract) -> bool:
    return _is_reranker(contract) or has_embedding(contract)


def _is_reranker(contract: Contract) -> bool:
    return {"query", "documents"} <= contract.inputs.keys() and {"index", "score"} <= contract.output_types.keys()


def read(body: bytes | bytearray, contract: Contract, model: str, headers: tuple[Header, ...]) -> Translated:
    if not can_rerank(contract):
        raise RequestError("unsupported", "the model neither ranks documents nor gives embeddings; use V2")
    document = body_of(body)
    check_model(document, model)
    field = "texts" if "texts" in document else "documents"
    texts = texts_of(_plain(document.get(field)), field)
    (query,) = texts_of([document.get("query")], "query")
    top = document.get("top_n", len(texts))
    if type(top) is not int or top < 1:
        raise InvalidInput("must be a positive integer", "top_n")
    if _is_reranker(contract):
        request = ask(contract, {"query": [query], "documents": texts}, ["index", "score"])
    else:
        spec = text_input(contract)
        assert spec is not None  # it has an embedding of one text
        request = ask(contract, {spec.name: [query, *texts]}, ["embedding"])
    wants_text = document.get("return_text", document.get("return_documents")) is True
    return Translated(
        request, lambda found: _write(found, texts, top, model, headers, is_tei=field == "texts", shows=wants_text)
    )


def _plain(documents: object) -> object:
    """Cohere's documents may be objects with a text."""
    if type(documents) is not list:
        raise InvalidInput("must be an array of texts", "documents")
    return [item.get("text") if type(item) is dict else item for item in documents]


def _ranked(outputs: Outputs) -> list[tuple[int, float]]:
    """Places of documents with their scores, best first."""
    if "embedding" in outputs:
        vectors: Scores = np.asarray(outputs["embedding"], np.float64)
        norms = np.linalg.norm(vectors, axis=1)
        scores = vectors[1:] @ vectors[0] / np.maximum(norms[1:] * norms[0], 1e-12)
        return [(int(index), float(scores[index])) for index in np.argsort(-scores, kind="stable")]
    places, values = outputs["index"][0], outputs["score"][0]
    pairs = [(int(place), float(value)) for place, value in zip(places, values, strict=True) if place >= 0]
    return sorted(pairs, key=lambda pair: -pair[1])


def _write(
    outputs: Outputs,
    texts: list[str],
    top: int,
    model: str,
    headers: tuple[Header, ...],
    *,
    is_tei: bool,
    shows: bool,
) -> Reply:
    ranked = [(index, score) for index, score in _ranked(outputs) if index < len(texts)][:top]
    if is_tei:
        rows = [
            {"index": index, "score": score, **({"text": texts[index]} if shows else {})} for index, score in ranked
        ]
        return answer(rows, headers)
    results: list[Any] = [
        {"index": index, "relevance_score": score, **({"document": {"text": texts[index]}} if shows else {})}
        for index, score in ranked
    ]
    return answer({"results": results, "model": model}, headers)

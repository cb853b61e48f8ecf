"""The OpenAPI document of one model, generated from its declarations: what its inputs are called and made of,
not what any model's might be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from turnout_predictors.datatypes import BINARY_ONLY, DATATYPES
from turnout_predictors.errors import STATUS_OF_CODE
from turnout_predictors.signature import TensorSpec

from .contract import Contract
from .facade import has_embedding
from .rerank import can_rerank
from .settings import DEFAULTS

Json = dict[str, Any]
_ELEMENT: Final[Mapping[str, Json]] = {
    "bool": {"enum": [True, False, 0, 1]},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bytes": {"type": "string"},
}
_INFER_STATUSES: Final = (400, 404, 405, 409, 413, 415, 429, 500, 501, 503, 504)
_PARAMETER: Final[Json] = {"type": ["string", "number", "boolean"]}
_PARAMETERS: Final[Json] = {"type": "object", "additionalProperties": _PARAMETER}


def describe(
    model: str,
    version: str,
    contract: Contract | None,
    examples: Sequence[Json],
    dimensions: int = DEFAULTS.max_dimensions,
) -> Json:
    """`contract` None: the model is still loading, and its tensors are described as any tensors, of at most so many
    `dimensions`.
    """
    base = f"/v2/models/{model}"
    infer = _infer(examples)
    index = _get("the state of what is served", 200)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{model} version {version}",
            "version": version,
            "description": "Open Inference Protocol V2",
        },
        "paths": {
            "/v2": _get("the server's name, version and extensions", 200),
            "/v2/health/live": _get("whether the process answers", 200),
            "/v2/health/ready": _get("whether the model answers", 200, 503),
            "/v2/models": _get("the models served here", 200),
            base: _get("the model's tensors", 200, 503),
            f"{base}/ready": _get("whether the model is ready", 200, 503),
            f"{base}/examples": _get("requests with the answers given at publish", 200, 503),
            f"{base}/infer": {"post": infer},
            f"{base}/versions/{version}": _get("the version's tensors", 200, 503),
            f"{base}/versions/{version}/ready": _get("whether the version is ready", 200, 503),
            f"{base}/versions/{version}/infer": {"post": infer},
            "/v2/repository/index": {**index, "post": index["get"]},
            f"/v1/models/{model}:predict": {"post": _v1()},
            **_facades(contract),
        },
        "components": {"schemas": _schemas(contract, dimensions)},
    }


def _get(summary: str, *statuses: int) -> Json:
    return {"get": {"summary": summary, "responses": {str(status): _response(status) for status in statuses}}}


def _response(status: int, schema: str = "") -> Json:
    """A probe's 503 is no error document, so only those of predictions promise one."""
    content: Json = {"schema": {"$ref": f"#/components/schemas/{schema}"}} if schema else {}
    described = {200: "answered", 503: "not ready"}.get(status, "refused")
    return {"description": described, "content": {"application/json": content}}


def _errors() -> Json:
    return {
        str(status): {
            **_response(status, "Error"),
            "description": ", ".join(code for code, sent in STATUS_OF_CODE.items() if sent == status),
        }
        for status in _INFER_STATUSES
    }


def _infer(examples: Sequence[Json]) -> Json:
    content: Json = {"schema": {"$ref": "#/components/schemas/InferRequest"}}
    if examples:
        content["examples"] = {example["name"]: {"value": example["request"]} for example in examples}
    return {
        "summary": "a prediction",
        "parameters": [
            _header("X-Request-Id", "comes back in errors", "string"),
            _header("X-Request-Deadline-Ms", "milliseconds from now in which an answer is of use", "integer"),
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"200": _response(200, "InferResponse"), **_errors()},
    }


def _header(name: str, description: str, kind: str) -> Json:
    schema = {"type": kind, "minimum": 0, "maximum": 10**11} if kind == "integer" else {"type": kind}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _v1() -> Json:
    schema = {
        "type": "object",
        "required": ["instances"],
        "properties": {"instances": {"type": "array", "items": {}}},
    }
    return {
        "summary": "a prediction by the V1 protocol",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"200": _response(200), **_errors()},
    }


def _facades(contract: Contract | None) -> Json:
    """Of other protocols, where the model can answer them."""
    text: Json = {"type": "string"}
    texts: Json = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    found: Json = {}
    if contract is not None and has_embedding(contract):
        found["/v1/embeddings"] = {"post": _facade("embeddings as OpenAI has them", input=texts)}
    if contract is not None and can_rerank(contract):
        listed = {"type": "array", "items": text, "minItems": 1}
        found["/rerank"] = {"post": _facade("documents by how well they fit a query", query=text, documents=listed)}
    return found


def _facade(summary: str, **properties: Json) -> Json:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"200": _response(200), **_errors()},
    }


def _schemas(contract: Contract | None, dimensions: int) -> Json:
    signature = contract.signature if contract else None
    inputs = [_tensor(spec) for spec in signature.inputs] if signature else [_any_tensor(dimensions)]
    outputs = [_tensor(spec) for spec in signature.outputs] if signature else [_any_tensor(dimensions)]
    names: Json = {"enum": [spec.name for spec in signature.outputs]} if signature else {"type": "string"}
    wanted = {"type": "object", "required": ["name"], "properties": {"name": names, "parameters": _PARAMETERS}}
    return {
        "InferRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "parameters": _PARAMETERS,
                "inputs": {"type": "array", "minItems": 1, "items": {"oneOf": inputs}},
                "outputs": {"type": "array", "items": wanted},
            },
        },
        "InferResponse": {
            "type": "object",
            "required": ["model_name", "model_version", "outputs"],
            "properties": {
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": _PARAMETERS,
                "outputs": {"type": "array", "items": {"oneOf": outputs}},
            },
        },
        "Error": {
            "type": "object",
            "required": ["error", "code", "request_id"],
            "properties": {
                "error": {"type": "string"},
                "code": {"enum": sorted(STATUS_OF_CODE)},
                "request_id": {"type": "string"},
                "field": {"type": "string"},
            },
        },
    }


def _tensor(spec: TensorSpec) -> Json:
    datatype = DATATYPES[spec.datatype]
    element = dict(_ELEMENT[datatype.kind])
    if datatype.kind == "int":
        element |= {"minimum": datatype.low, "maximum": datatype.high}
    if spec.missing:
        element = {"anyOf": [element, {"type": "null"}]}
    shown = ", ".join(map(str, spec.shape))
    schema = _any_tensor(len(spec.shape) + 1)  # text may come as a column
    schema["properties"] |= {
        "name": {"const": spec.name},
        "datatype": {"const": spec.datatype},
        "data": {"type": "array", "description": "flat, or nested as shape", "items": {"anyOf": [element, _NESTED]}},
    }
    if spec.datatype not in BINARY_ONLY:
        schema["required"] = [*schema["required"], "data"]
    return {**schema, "title": spec.name, "description": f"{spec.datatype} [{shown}]"}


_NESTED: Final[Json] = {"type": "array"}


def _any_tensor(dimensions: int) -> Json:
    return {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": dimensions},
            "datatype": {"enum": list(DATATYPES)},
            "parameters": _PARAMETERS,
            "data": {},
        },
    }

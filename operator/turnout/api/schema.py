"""From pydantic's JSON schema to what Kubernetes calls a structural schema.

Refuses nothing: what the API server would not take (references, titles, const, null, property names) is
rewritten or dropped here, and the test against a real API server says whether that was enough.
"""

from __future__ import annotations

import json
from typing import cast

from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from turnout.api.base import Block, JsonObject, Rule

KEPT = (
    "type",
    "format",
    "pattern",
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
"""Keywords that pass as they are; everything else is rewritten or means nothing to Kubernetes."""


class _WithRules(GenerateJsonSchema):
    """pydantic's generator, with each block's CEL rules in its schema, and everything in its own order."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        if rules := cast("type[Block]", schema["cls"]).rules:
            written["x-kubernetes-validations"] = [validation(rule) for rule in rules]
        return written


def validation(rule: Rule) -> JsonObject:
    """A rule as an entry of `x-kubernetes-validations`."""
    written: JsonObject = {"rule": rule.cel, "message": rule.sentence}
    if rule.field and not rule.field.startswith("metadata"):
        written["fieldPath"] = f".{rule.field}"
    return written


def structural(block: type[Block], with_defaults: bool = True) -> JsonObject:
    """The structural schema of `block`, without any reference."""
    raw: JsonObject = block.model_json_schema(by_alias=True, schema_generator=_WithRules)
    definitions = cast("JsonObject", raw.pop("$defs", {}))
    return _Flattening(definitions, with_defaults).rewrite(raw)


class _Flattening:
    """One pass over one schema: resolves references, rewrites what Kubernetes does not know."""

    def __init__(self, definitions: JsonObject, with_defaults: bool) -> None:
        self._definitions = definitions
        self._with_defaults = with_defaults

    def rewrite(self, raw: JsonObject) -> JsonObject:
        raw = self._resolve(raw)
        written: JsonObject = {}
        if description := _description(raw):
            written["description"] = description
        written |= {key: raw[key] for key in KEPT if key in raw}
        if "x-kubernetes-int-or-string" in raw:
            del written["type"]
            written["anyOf"] = [{"type": "integer"}, {"type": "string"}]
        if self._with_defaults and raw.get("default") is not None:
            written["default"] = _without_null(raw["default"])
        return written | self._children(raw)

    def _resolve(self, raw: JsonObject) -> JsonObject:
        """Follow `$ref` and drop `null`; what stands beside a reference wins over what it names."""
        if options := raw.get("anyOf"):
            real = [option for option in cast("list[JsonObject]", options) if option.get("type") != "null"]
            raw = {**real[0], **{key: value for key, value in raw.items() if key != "anyOf"}}
        if name := raw.get("$ref"):
            named = cast("JsonObject", self._definitions[str(name).removeprefix("#/$defs/")])
            return {**named, **{key: value for key, value in raw.items() if key != "$ref"}}
        return raw

    def _children(self, raw: JsonObject) -> JsonObject:
        properties = cast("dict[str, JsonObject]", raw.get("properties", {}))
        children: JsonObject = {}
        if properties:
            children["properties"] = {name: self.rewrite(inner) for name, inner in properties.items()}
        elif isinstance(values := raw.get("additionalProperties"), dict) and values:
            children["additionalProperties"] = self.rewrite(values)
        if "items" in raw:
            children["items"] = self.rewrite(cast("JsonObject", raw["items"]))
            children["x-kubernetes-list-type"] = "map" if "x-kubernetes-list-map-keys" in raw else "atomic"
        return children


def _without_null(value: JsonValue) -> JsonValue:
    """A default in full: the API server holds it against our rules before it fills in the inner defaults."""
    if isinstance(value, dict):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    return value


def _description(raw: JsonObject) -> str:
    """The sentence of the field, then default, range and an example, each from where it stands."""
    parts = [" ".join(str(raw.get("description", "")).split())]
    default = raw.get("default")
    if default not in (None, "", [], {}) and "properties" not in raw and raw.get("type") != "array":
        parts.append(f"Default: {_shown(default)}.")
    if "minimum" in raw and "maximum" in raw:
        parts.append(f"From {raw['minimum']} to {raw['maximum']}.")
    if examples := cast("list[JsonValue]", raw.get("examples", [])):
        parts.append(f"Example: {_shown(examples[0])}.")
    return " ".join(part for part in parts if part)


def _shown(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)

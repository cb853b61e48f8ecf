"""From pydantic's errors to what a person needs: the field as written, what was found, what may stand there.

The allowed names, words and ranges come from the generated schema, so they are never told wrongly.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import cast

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from turnout.api.base import RULE_ERROR, JsonObject
from turnout.api.crd import root_schema
from turnout.api.documents import FieldPath
from turnout.api.predictor import QUANTITY_PATTERN
from turnout.api.scalars import DECIMAL_PATTERN, DIGEST_PATTERN, DURATION_PATTERN, NAME_PATTERN

PATTERNS = {
    DURATION_PATTERN: "must be a length of time such as 30s, 5m or 1h30m",
    DECIMAL_PATTERN: 'must be a decimal number in quotes, such as "0.01"',
    DIGEST_PATTERN: "must be sha256: and 64 hexadecimal digits",
    QUANTITY_PATTERN: 'must be a whole number or a quantity in quotes, such as "250m", "0.5" or "2Gi"',
    NAME_PATTERN: "must be a lower-case letter, then letters, digits and dashes, no dash at the end",
}
TYPES = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
}
LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one field of a ModelVersion."""

    path: FieldPath
    sentence: str

    @property
    def field(self) -> str:
        return written(self.path)


def written(path: FieldPath) -> str:
    """`spec.rollout.steps[2].pause` for ("spec", "rollout", "steps", 2, "pause")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def faults(error: ValidationError) -> tuple[Fault, ...]:
    """Every fault of `error`, one for each field, in the order of the fields."""
    found = {fault.path: fault for fault in map(_fault, error.errors(include_url=False))}
    return tuple(found.values())


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean X?` if one of `words` is near, else nothing."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def field_names(path: FieldPath) -> tuple[str, ...]:
    """The fields that the object at `path` may have."""
    properties = _schema_at(path).get("properties", {})
    return tuple(cast("JsonObject", properties))


def _fault(error: ErrorDetails) -> Fault:
    path = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == RULE_ERROR:
        field = str(error.get("ctx", {}).get("field", ""))
        return Fault((*path, *field.split(".")) if field else path, error["msg"])
    say = SENTENCES.get(error["type"], _by_schema)
    return Fault(path, say(path, error))


def _by_schema(path: FieldPath, error: ErrorDetails) -> str:
    """What the schema asks of the field; pydantic's own words only where the schema says nothing."""
    schema, found = _schema_at(path), error["input"]
    asked = ", ".join(_demands(schema)) or error["msg"]
    unquoted = isinstance(found, int | float) and error["type"] == "string_type"
    hint = f'; write it in quotes: "{shown(found)}"' if unquoted and schema.get("pattern") not in PATTERNS else ""
    return f"found {shown(found)}, {asked}{hint}"


def _demands(schema: JsonObject) -> Iterator[str]:
    pattern, kind = str(schema.get("pattern", "")), str(schema.get("type", ""))
    if pattern in PATTERNS:
        yield PATTERNS[pattern]
    elif kind in TYPES:
        yield f"must be {TYPES[kind]}" + (f" of the form {pattern}" if pattern else "")
    if "minimum" in schema and "maximum" in schema:
        yield f"from {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema and (pattern == NAME_PATTERN or pattern not in PATTERNS):
        yield f"{schema.get('minLength', 0)} to {schema['maxLength']} characters"
    if "maxItems" in schema:
        yield f"{schema.get('minItems', 0)} to {schema['maxItems']} entries"
    if "maxProperties" in schema:
        yield f"at most {schema['maxProperties']} entries"


def _unknown_field(path: FieldPath, error: ErrorDetails) -> str:
    names = field_names(path[:-1])
    return f"unknown field{nearest(str(path[-1]), names) or '.'} Allowed here: {', '.join(names) or 'none'}"


def _none_of(path: FieldPath, error: ErrorDetails) -> str:
    words = [str(word) for word in cast("list[JsonValue]", _schema_at(path).get("enum", []))]
    found = error["input"]
    allowed = ", ".join(word or '""' for word in words)
    return f"found {shown(found)}, must be one of {allowed}{nearest(str(found), words)}"


def _missing(path: FieldPath, error: ErrorDetails) -> str:
    return "is required and missing"


SENTENCES: dict[str, Callable[[FieldPath, ErrorDetails], str]] = {
    "extra_forbidden": _unknown_field,
    "enum": _none_of,
    "literal_error": _none_of,
    "missing": _missing,
}


def shown(value: object) -> str:
    """A value as it might stand in the file, cut to one short line."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


@cache
def _root() -> JsonObject:
    return root_schema()


def _schema_at(path: FieldPath) -> JsonObject:
    """The schema of the field at `path`; empty for what the schema does not know."""
    schema = _root()
    for part in path:
        properties = cast("JsonObject", schema.get("properties", {}))
        inner = schema.get("items") if isinstance(part, int) else properties.get(str(part))
        schema = cast("JsonObject", inner or schema.get("additionalProperties") or {})
    return schema

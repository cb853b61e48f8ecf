"""What this release does not do yet, in one table: refused by name if asked for.

A field is listed here until code serves it; taking its line out is part of serving it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import JsonValue

from turnout.api.base import Block, JsonObject
from turnout.api.predictor import Predictor, Runtime
from turnout.api.rollout import Step, Verb
from turnout.api.version import Spec

SERVED_VERBS = tuple(verb for verb in Verb if verb is not Verb.SHADOW)


@dataclass(frozen=True)
class Limit:
    """A field of which only some values are served; without `served`, only its default is."""

    field: str
    why: str
    served: tuple[JsonValue, ...] = ()


@dataclass(frozen=True)
class NotServed:
    """A field that asks for something that this release does not do."""

    field: str
    value: JsonValue
    why: str

    def __str__(self) -> str:
        return f"{self.field}: {json.dumps(self.value)} is not served by this release: {self.why}"


LIMITS = (
    Limit(
        "spec.predictor.runtime",
        "it serves sklearn, sentence-transformers and custom",
        ("sklearn", "sentence-transformers", "custom"),
    ),
    Limit("spec.predictor.protocol", "it serves http"),
    Limit("spec.rollout.strategy", "it serves Canary and AllAtOnce", ("Canary", "AllAtOnce")),
)


def unserved(spec: Spec) -> tuple[NotServed, ...]:
    """Every field that asks for what is not served, in the order of the table; empty if all of it is."""
    defaults = _default_body()
    written: JsonObject = {"spec": spec.body()}
    by_field = (finding for limit in LIMITS for finding in _beyond(limit, written, defaults))
    return (*by_field, *_steps(spec.rollout.steps or ()))


@cache
def _default_body() -> JsonObject:
    bare = Spec(model="m", version=1, predictor=Predictor(runtime=Runtime.CUSTOM, image="i"))
    return {"spec": bare.body()}


def _beyond(limit: Limit, written: JsonObject, defaults: JsonObject) -> Iterator[NotServed]:
    value, default = _at(written, limit.field), _at(defaults, limit.field)
    if limit.served:
        if value not in limit.served:
            yield NotServed(limit.field, value, limit.why)
    elif value is not None:
        for path, leaf in _differences(limit.field, value, default):
            yield NotServed(path, leaf, limit.why)


def _at(body: JsonValue, path: str) -> JsonValue:
    for key in path.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body


def _differences(path: str, value: JsonValue, default: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """The leaves under `path` whose value is not the default; an absent default is the empty value."""
    if isinstance(value, dict) and isinstance(default, dict):
        for key, inner in value.items():
            yield from _differences(f"{path}.{key}", inner, default.get(key))
    elif value != default and (default is not None or value != ""):
        yield path, value


def _steps(steps: Sequence[Step]) -> Iterator[NotServed]:
    for index, step in enumerate(steps):
        field = f"spec.rollout.steps[{index}].{step.verb}"
        block = getattr(step, step.verb.value, None)
        value: JsonValue = block.body() if isinstance(block, Block) else None
        if step.verb not in SERVED_VERBS:
            yield NotServed(field, value, "copies of requests need the gateway")

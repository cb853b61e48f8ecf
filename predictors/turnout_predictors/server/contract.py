"""A signature compiled for the hot path: look-ups by name, fixed answers, metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from turnout_predictors.datatypes import DATATYPES, Datatype
from turnout_predictors.signature import Signature, TensorSpec

from .effective import Effective, of_version
from .settings import DEFAULTS, ServerSettings


@dataclass(frozen=True, slots=True)
class Contract:
    """What requests to one model are checked against. `signature` None: anything well-formed is accepted."""

    signature: Signature | None
    inputs: Mapping[str, tuple[TensorSpec, Datatype]]
    required: frozenset[str]
    output_names: tuple[str, ...]
    output_types: Mapping[str, str]
    settings: Any = None
    base: Effective = field(default_factory=lambda: Effective(None))
    limits: ServerSettings = DEFAULTS

    @classmethod
    def of(cls, signature: Signature | None, settings: Any = None, limits: ServerSettings = DEFAULTS) -> Contract:
        inputs = signature.inputs if signature else ()
        outputs = signature.outputs if signature else ()
        return cls(
            signature,
            {spec.name: (spec, DATATYPES[spec.datatype]) for spec in inputs},
            frozenset(spec.name for spec in inputs if not spec.optional),
            tuple(spec.name for spec in outputs),
            {spec.name: spec.datatype for spec in outputs},
            settings,
            of_version(settings),
            limits,
        )


def metadata(name: str, version: str, platform: str, signature: Signature | None) -> dict[str, object]:
    """GET /v2/models/{name}."""
    properties: dict[str, str] = {}
    if signature and signature.embedding_space:
        properties["embedding_space"] = signature.embedding_space
    for output, labels in (signature.labels if signature else {}).items():
        properties[f"labels.{output}"] = json.dumps(list(labels), ensure_ascii=False)
    return {
        "name": name,
        "versions": [version],
        "platform": platform,
        "inputs": [spec.metadata() for spec in signature.inputs] if signature else [],
        "outputs": [spec.metadata() for spec in signature.outputs] if signature else [],
        "properties": properties,
    }

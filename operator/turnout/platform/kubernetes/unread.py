"""ModelVersions that exist and cannot be read: the CRD and this operator are of different releases.

Kept as raw as they came, so that what is written onto them loses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from turnout.api.base import JsonObject
from turnout.api.problems import faults
from turnout.api.status import Status
from turnout.rollout.snapshot import ModelKey, Unread

TOLD = 3
"""Faults that are told of one version; the rest is seldom more than their consequence."""


@dataclass(frozen=True, slots=True)
class UnreadVersion:
    """What could be read of it, its raw status, and why not more."""

    key: ModelKey
    seen: Unread
    resource_version: str
    status: JsonObject

    @property
    def uid(self) -> str:
        return self.seen.uid


def unread_version(raw: Mapping[str, Any], fault: ValidationError) -> UnreadVersion:
    metadata, status = raw.get("metadata", {}), raw.get("status")
    status = status if isinstance(status, dict) else {}
    name, namespace = str(metadata.get("name", "")), str(metadata.get("namespace", ""))
    seen = Unread(
        name=name,
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation", 0)),
        why="; ".join(f"{each.field}: {each.sentence}" for each in faults(fault)[:TOLD]),
        status=_readable(status),
    )
    version = str(metadata.get("resourceVersion", ""))
    return UnreadVersion(ModelKey(namespace, _model(raw) or name), seen, version, status)


def _model(raw: Mapping[str, Any]) -> str:
    """The model it is of, if it says so; else nothing of another model is touched."""
    spec = raw.get("spec")
    model = spec.get("model") if isinstance(spec, dict) else None
    return model if isinstance(model, str) else ""


def _readable(status: JsonObject) -> Status:
    try:
        return Status.model_validate(status)
    except ValidationError:
        return Status()

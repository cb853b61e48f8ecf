"""ModelVersions that exist and cannot be read: the CRD and this operator are of different releases.

Kept as raw as they came, so that what is written onto them loses nothing. Of a status its conditions alone are
read, one by one: the rest of it may be of another release, and nothing is decided by it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue, ValidationError

from turnout.api.base import JsonObject
from turnout.api.problems import faults
from turnout.api.status import Condition
from turnout.rollout.plan import Complaint
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
    def name(self) -> str:
        return self.seen.name

    @property
    def namespace(self) -> str:
        return self.key.namespace

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
        conditions=tuple(_readable(status)),
    )
    version = str(metadata.get("resourceVersion", ""))
    return UnreadVersion(ModelKey(namespace, _model(raw) or name), seen, version, status)


def _model(raw: Mapping[str, Any]) -> str:
    """The model it is of, if it says so; else nothing of another model is touched."""
    spec = raw.get("spec")
    model = spec.get("model") if isinstance(spec, dict) else None
    return model if isinstance(model, str) else ""


def told(status: JsonObject, complaint: Complaint) -> JsonObject:
    """What the complaint changes of the raw status, as a merge patch; a state of any release stays."""
    told = {each.type: each.body() for each in complaint.conditions}
    conditions: list[JsonValue] = [
        told.pop(str(each.get("type")), each) if isinstance(each, dict) else each for each in _conditions(status)
    ]
    return {
        "state": status.get("state") or complaint.state.value,
        "reason": complaint.reason.value,
        "message": complaint.message,
        "conditions": [*conditions, *told.values()],
    }


def _conditions(status: JsonObject) -> list[JsonValue]:
    conditions = status.get("conditions")
    return conditions if isinstance(conditions, list) else []


def _readable(status: JsonObject) -> Iterator[Condition]:
    """Whole where that can be read, else at least whether it is true: a version that serves stays Ready."""
    for each in _conditions(status):
        if isinstance(each, dict):
            for form in (each, {name: each.get(name) for name in ("type", "status")}):
                try:
                    yield Condition.model_validate(form)
                    break
                except ValidationError:
                    continue

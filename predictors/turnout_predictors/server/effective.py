"""Which settings a request is answered under, and what its answer says of them.

Field by field: the request, then what its tenant was given, then the version's own, then the type's default. Values are
checked by the type's bounds wherever they come from; nobody sees another's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson

from turnout_predictors.errors import InvalidInput, RequestError

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_PREFIX: Final = "settings."


@dataclass(frozen=True, slots=True)
class Effective:
    """`told`: the digest of the values and the layers that gave any, as a response's parameters."""

    values: Any
    told: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


def of_version(settings: Any) -> Effective:
    """Under the version's own settings; nothing is told where no request could change any."""
    if settings is None or not changeable(settings):
        return Effective(settings)
    given = settings.model_fields_set & set(changeable(settings))
    return Effective(settings, told_of(settings, "version" if given else "default"))


def changeable(settings: Any) -> tuple[str, ...]:
    """Names that a request may set."""
    from turnout_predictors.settings import when

    kind = type(settings)
    return tuple(name for name in kind.model_fields if when(kind, name) != "load")


def told_of(settings: Any, source: str) -> Mapping[str, Any]:
    values = settings.model_dump(mode="json", include=set(changeable(settings)))
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
    return {"settings_digest": digest, "settings_source": source}


def of_request(parameters: Mapping[str, Any], base: Effective) -> Effective:
    """`base` under what the request says: `settings`, a JSON object as a string, or `settings.NAME` each.

    RequestError for a name that no request may set, or a value out of bounds.
    """
    text = parameters.get("settings")
    values = {} if text is None else _object(text)
    values |= {name[len(_PREFIX) :]: value for name, value in parameters.items() if name.startswith(_PREFIX)}
    if not values:
        return base
    if base.values is None:
        raise RequestError("unknown_setting", "the model has no settings", field="parameters.settings")
    from turnout_predictors.settings import override

    settings = override(base.values, values)
    below = base.told.get("settings_source", "default")
    return Effective(settings, told_of(settings, "request" if below == "default" else f"request,{below}"))


def _object(text: object) -> dict[str, Any]:
    try:
        values = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise InvalidInput("settings must be a JSON object as a string", "parameters.settings")
    return values

"""What `spec.predictor.settings` may hold for the runtimes that come with Turnout: names, types, bounds, defaults.

The predictor validates its settings too, but only once a pod runs. The table is generated from its own types
(runtime_settings.py), so that a mistake is named before anything is deployed. Settings of `custom`, and of versions
with an image of their own, are known to their pods alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from turnout.api.predictor import Predictor
from turnout.api.runtime_settings import SETTINGS, Setting

BOOLEANS = (0, 1)
SPELT = frozenset({"0", "1", "on", "off", "t", "f", "true", "false", "y", "n", "yes", "no"})


@dataclass(frozen=True)
class Missetting:
    """A setting that the predictor would refuse."""

    field: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.field}: {self.sentence}"


def missettings(predictor: Predictor) -> tuple[Missetting, ...]:
    """Every setting that the runtime does not have, or not with this value; empty if they are all right."""
    known = SETTINGS.get(predictor.runtime.value)
    if known is None or predictor.image:
        return ()
    return tuple(
        Missetting(f"spec.predictor.settings.{name}", sentence)
        for name, value in predictor.settings.items()
        for sentence in _faults(name, value, known)
    )


def _faults(name: str, value: JsonValue, known: dict[str, Setting]) -> Iterator[str]:
    setting = known.get(name)
    if setting is None:
        yield f"is unknown; the runtime has {', '.join(sorted(known)) or 'none'}"
    elif not _fits(value, setting):
        yield f"{json.dumps(value)} is not {describe(setting)}"


def _fits(value: JsonValue, setting: Setting) -> bool:
    """As the predictor takes it, which reads a number or a boolean out of a text too."""
    if setting.type == "texts":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if setting.type in ("whole number", "number"):
        number = _number(value)
        fits = number is not None and (setting.type == "number" or number.is_integer())
        return fits and number is not None and setting.least <= number <= setting.most
    if setting.type == "boolean":
        return value in BOOLEANS if isinstance(value, int | float) else str(value).lower() in SPELT
    return value in setting.words if setting.words else isinstance(value, str)


def _number(value: JsonValue) -> float | None:
    if not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def describe(setting: Setting) -> str:
    """`a whole number from 8 to 8192 (default 256)`."""
    if setting.words:
        kind = f"one of {', '.join(setting.words)}"
    elif setting.type == "texts":
        kind = "a list of texts"
    else:
        kind = f"a {setting.type}{_bounds(setting)}"
    return f"{kind} (default {json.dumps(setting.default)})"


def _bounds(setting: Setting) -> str:
    low = f" from {setting.least:g}" if setting.least != float("-inf") else ""
    high = f" to {setting.most:g}" if setting.most != float("inf") else ""
    return low + high

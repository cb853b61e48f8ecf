"""What `spec.predictor.settings` may hold for the runtimes that come with Turnout, and for their server: names, types,
bounds, defaults.

The predictor validates its settings too, but only once a pod runs. The table is generated from its own types
(runtime_settings.py), so that a mistake is named before anything is deployed. Settings of `custom`, and of versions
with an image of their own, are known to their pods alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from turnout.api.predictor import Predictor
from turnout.api.runtime_settings import SERVER, SETTINGS, Setting

BOOLEANS = (0, 1)
SECTION = "server"
SPELT = frozenset({"0", "1", "on", "off", "t", "f", "true", "false", "y", "n", "yes", "no"})


@dataclass(frozen=True)
class Missetting:
    """A setting that the predictor would refuse."""

    field: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.field}: {self.sentence}"


def missettings(predictor: Predictor) -> tuple[Missetting, ...]:
    """Every setting that the runtime or its server does not have, or not with this value; empty if all are right."""
    if predictor.image:
        return ()
    return (*_of_model(predictor), *_of_server(predictor.settings.get(SECTION, {})))


def _of_model(predictor: Predictor) -> Iterator[Missetting]:
    known = SETTINGS.get(predictor.runtime.value)
    if known is not None:
        given = {name: value for name, value in predictor.settings.items() if name != SECTION}
        yield from _faults("spec.predictor.settings", given, known, "runtime")


def _of_server(given: JsonValue) -> Iterator[Missetting]:
    where = f"spec.predictor.settings.{SECTION}"
    if isinstance(given, dict):
        yield from _faults(where, given, SERVER, "server")
    else:
        yield Missetting(where, f"{json.dumps(given)} is not an object")


def _faults(
    where: str, given: Mapping[str, JsonValue], known: Mapping[str, Setting], whose: str
) -> Iterator[Missetting]:
    for name, value in given.items():
        setting = known.get(name)
        if setting is None:
            sentence = f"is unknown; the {whose} has {', '.join(sorted(known)) or 'none'}"
            yield Missetting(f"{where}.{name}", sentence)
        elif not _fits(value, setting):
            yield Missetting(f"{where}.{name}", f"{json.dumps(value)} is not {describe(setting)}")


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

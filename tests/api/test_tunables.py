"""Settings of built-in runtimes are checked before anything is deployed, exactly as the predictor will check them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from turnout.api.predictor import Predictor
from turnout.api.runtime_settings import SERVER, SETTINGS
from turnout.api.tunables import missettings
from turnout_predictors.errors import StartError
from turnout_predictors.server.settings import bind_server, parted
from turnout_predictors.settings import bind

_PATH = Path(__file__).parent / "runtime_settings.py"


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("runtime_settings_generator", _PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def predictor(runtime: str, settings: dict[str, Any], **more: Any) -> Predictor:
    fields = {"runtime": runtime, "settings": settings, "artifact": {"uri": "s3://m/1"}, **more}
    return Predictor.model_validate(fields)


SAID: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown name": (
        "sklearn",
        {"allow_pickles": True},
        "spec.predictor.settings.allow_pickles: is unknown; the runtime has allow_pickle, trusted",
    ),
    "a text for a boolean": (
        "sklearn",
        {"allow_pickle": "perhaps"},
        'spec.predictor.settings.allow_pickle: "perhaps" is not a boolean (default false)',
    ),
    "a number above its bound": (
        "sentence-transformers",
        {"max_length": 9000},
        "spec.predictor.settings.max_length: 9000 is not a whole number from 8 to 8192 (default 256)",
    ),
    "a list of numbers": (
        "sklearn",
        {"trusted": [1]},
        "spec.predictor.settings.trusted: [1] is not a list of texts (default [])",
    ),
    "a limit of the server below its bound": (
        "custom",
        {"server": {"max_rows": 0}, "anything": 1},
        "spec.predictor.settings.server.max_rows: 0 is not a whole number from 1 to 1.67772e+07 (default 131072)",
    ),
    "a server that is a number": ("sklearn", {"server": 1}, "spec.predictor.settings.server: 1 is not an object"),
}


@pytest.mark.parametrize(("runtime", "settings", "said"), SAID.values(), ids=SAID.keys())
def test_names_the_field_its_bounds_and_its_default(runtime: str, settings: dict[str, Any], said: str) -> None:
    more = {"entrypoint": "a:B"} if runtime == "custom" else {}
    assert [str(found) for found in missettings(predictor(runtime, settings, **more))] == [said]


def test_what_is_known_to_the_pod_alone_is_left_to_it() -> None:
    assert missettings(predictor("custom", {"anything": 1}, entrypoint="a:B")) == ()
    newer = {"of_a_newer_image": 1, "server": {"of_a_newer_server": 1}}
    assert missettings(predictor("sklearn", newer, image="example.com/newer:2")) == ()


def test_the_table_is_what_the_runtimes_say() -> None:
    assert generator().main([]) == 0


VALUES: tuple[Any, ...] = (
    True,
    0,
    7,
    8,
    8.0,
    8.5,
    8192,
    8193,
    -1,
    "8",
    "8.0",
    "8.5",
    "yes",
    "TRUE",
    "x",
    [],
    ["x"],
    [1],
    None,
    {},
)


@pytest.mark.parametrize("runtime", SETTINGS)
def test_a_value_is_refused_here_where_the_predictor_refuses_it_and_nowhere_else(runtime: str) -> None:
    """A version that serves must not be rejected by an operator that was upgraded."""
    kind = generator().settings_of(runtime)
    for name in (*SETTINGS[runtime], "nonsense"):
        for value in VALUES:
            try:
                bind(kind, {name: value})
                taken = True
            except StartError:
                taken = False
            assert (missettings(predictor(runtime, {name: value})) == ()) is taken, (name, value)


def test_a_value_of_the_server_is_refused_here_where_the_predictor_refuses_it_and_nowhere_else() -> None:
    for name in (*SERVER, "nonsense"):
        for value in VALUES:
            try:
                bind_server({name: value})
                taken = True
            except StartError:
                taken = False
            assert (missettings(predictor("sklearn", {"server": {name: value}})) == ()) is taken, (name, value)


def test_the_servers_own_part_is_not_the_models() -> None:
    assert parted({"server": {"max_rows": 7}, "threshold": 1}) == (bind_server({"max_rows": 7}), {"threshold": 1})

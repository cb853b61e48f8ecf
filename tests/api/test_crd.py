"""The generated files are what the models say, and the CRD is what Kubernetes and its users need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel

from turnout.api import crd, generate
from turnout.api.generated import main
from turnout.api.status import Status
from turnout.api.version import Spec

ROOT = Path(__file__).parents[2]
SCHEMA: Any = crd.root_schema()


def fields(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from fields(f"{path}.{name}", inner)
    if "items" in schema:
        yield from fields(f"{path}[]", schema["items"])


def nodes(path: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(f"{path}.{name}", inner)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(f"{path}[]", schema[key])


FIELDS = [*fields("spec", SCHEMA["properties"]["spec"]), *fields("status", SCHEMA["properties"]["status"])]
NODES = [*nodes("spec", SCHEMA["properties"]["spec"]), *nodes("status", SCHEMA["properties"]["status"])]


@pytest.mark.parametrize(("render", "path"), generate.FILES, ids=[path for _, path in generate.FILES])
def test_the_committed_file_is_what_the_models_say(render: Callable[[], str], path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == render()


@pytest.mark.parametrize("kubernetes", ["1.30", "1.34", "1.37"])
def test_the_definition_holds_against_kubernetes_own_schema(kubernetes: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(crd.render()), kubernetes, strict=True)


@pytest.mark.parametrize(("path", "schema"), FIELDS, ids=[path for path, _ in FIELDS])
def test_a_description_begins_with_its_field_and_says_something(path: str, schema: dict[str, Any]) -> None:
    name = path.rsplit(".", 1)[-1]
    sentence, _, example = schema["description"].partition(" Example: ")
    assert sentence.startswith(f"{name} ")
    assert len(sentence) >= 20
    assert sentence.endswith(".")
    assert example.endswith(".")


def test_there_are_as_many_fields_as_the_design_asks_for() -> None:
    assert len([path for path, _ in FIELDS if path.startswith("spec.")]) > 100


def test_no_field_of_the_version_is_ever_taken_away() -> None:
    """Additive changes only: a new field is written into fields.txt; none leaves it before v1beta1."""
    promised = (Path(__file__).parent / "fields.txt").read_text(encoding="utf-8").split()
    assert promised == sorted(path for path, _ in FIELDS)


def test_every_list_and_every_text_has_an_end() -> None:
    endless = [
        path
        for path, schema in NODES
        if (schema.get("type") == "array" and not {"maxItems", "x-kubernetes-list-type"} <= set(schema))
        or (schema.get("type") == "string" and not {"maxLength", "enum", "format"} & set(schema))
    ]
    assert endless == []


def test_there_are_no_floats_and_every_number_has_a_format_and_a_least_value() -> None:
    assert [path for path, schema in NODES if schema.get("type") == "number"] == []
    bare = [path for path, node in NODES if node.get("type") == "integer" and not {"format", "minimum"} <= set(node)]
    assert bare == []


def test_nothing_is_left_that_a_structural_schema_may_not_hold() -> None:
    left = {key for _, schema in NODES for key in schema} - {
        *("type", "format", "description", "properties", "items", "additionalProperties", "required", "enum"),
        *("default", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"),
        *("maxProperties", "anyOf"),
    }
    assert all(key.startswith("x-kubernetes-") for key in left), left


def blocks(block: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield block
    for field in block.model_fields.values():
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from blocks(inner)


@pytest.mark.parametrize("block", sorted({*blocks(Spec), *blocks(Status)}, key=lambda block: block.__name__))
def test_every_field_has_an_example_that_is_valid(block: type[BaseModel]) -> None:
    schema = block.model_json_schema(by_alias=True)
    for name, field in schema.get("properties", {}).items():
        assert field.get("examples"), name
        for example in field["examples"]:
            jsonschema.validate(example, {**field, "$defs": schema.get("$defs", {})})


def test_a_column_points_at_a_field_that_exists() -> None:
    known = {path for path, _ in FIELDS} | {"metadata.creationTimestamp"}
    assert [name for name, _, path, _ in crd.COLUMNS + crd.WIDE_COLUMNS if path.removeprefix(".") not in known] == []


def test_the_columns_tell_the_story() -> None:
    told = [name for name, *_ in crd.COLUMNS]
    assert told == ["Model", "Version", "Role", "State", "Weight", "Step", "Verdict", "Reason", "Age"]
    assert [name for name, *_ in crd.WIDE_COLUMNS] == ["Revision", "Ready", "Floor", "URI", "Attempt"]


def test_check_says_when_the_file_is_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "crd" / "file.yaml"
    assert main(lambda: "a: 1\n", "unused", ["--check", str(file)]) == 1
    assert main(lambda: "a: 1\n", "unused", ["--write", str(file)]) == 0
    assert main(lambda: "a: 1\n", "unused", ["--check", str(file)]) == 0
    assert main(lambda: "a: 2\n", "unused", ["--check", str(file)]) == 1
    assert "generate it anew with --write" in capsys.readouterr().err


def test_everything_is_generated_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.*") if file.is_file()) == sorted(
        path for _, path in generate.FILES
    )


def test_without_an_option_the_file_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(lambda: "a: 1\n", "unused", []) == 0
    assert capsys.readouterr().out == "a: 1\n"

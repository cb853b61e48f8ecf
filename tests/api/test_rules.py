"""Every rule, both ways: pydantic and CEL (by cel-python) refuse the same objects with the same sentence."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import celpy
import pytest
from celpy import celtypes
from pydantic import ValidationError

from tests.api.fragments import BASE, RULES, overlay
from turnout.api.crd import root_schema
from turnout.api.problems import faults
from turnout.api.version import ModelVersion, immutable_changes


def cases(verdict: str) -> list[Any]:
    return list(_cases(verdict))


def _cases(verdict: str) -> Iterator[Any]:
    for rule in RULES:
        for number, fragment in enumerate(rule[verdict]):
            before = overlay(BASE, rule["before"]) if "before" in rule else None
            after = overlay(before or BASE, fragment)
            yield pytest.param(rule["sentence"], before, after, id=f"{verdict}: {rule['sentence'][:60]} {number}")


def said_by_pydantic(before: Any, after: Any) -> set[str]:
    try:
        version = ModelVersion.model_validate(after)
    except ValidationError as error:
        return {fault.sentence for fault in faults(error)}
    return set() if before is None else set(immutable_changes(ModelVersion.model_validate(before).spec, version.spec))


# What Kubernetes adds to CEL's lists.
def is_sorted(items: celtypes.ListType) -> celtypes.BoolType:
    return celtypes.BoolType(list(items) == sorted(items))


def index_of(items: celtypes.ListType, item: Any) -> celtypes.IntType:
    return celtypes.IntType(list(items).index(item) if item in items else -1)


def last_index_of(items: celtypes.ListType, item: Any) -> celtypes.IntType:
    return celtypes.IntType(max((index for index, other in enumerate(items) if other == item), default=-1))


FUNCTIONS = {"isSorted": is_sorted, "indexOf": index_of, "lastIndexOf": last_index_of}


@cache
def program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule), functions=FUNCTIONS)


def defaulted(value: Any, schema: dict[str, Any]) -> Any:
    """`value` with the defaults that the API server fills in, before it asks the rules."""
    if isinstance(value, dict) and "properties" in schema:
        named = {key: inner["default"] for key, inner in schema["properties"].items() if "default" in inner}
        return {key: defaulted(inner, schema["properties"].get(key, {})) for key, inner in {**named, **value}.items()}
    if isinstance(value, list):
        return [defaulted(item, schema.get("items", {})) for item in value]
    return value


def said_by_cel(old: Any, new: Any, schema: dict[str, Any]) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        changes = "oldSelf" in rule["rule"]
        if changes and old is None:
            continue
        activation = {"self": celpy.json_to_cel(new)} | ({"oldSelf": celpy.json_to_cel(old)} if changes else {})
        if not program(rule["rule"]).evaluate(activation):
            yield rule["message"]
    if isinstance(new, dict):
        for key, inner in schema.get("properties", {}).items():
            if key in new:
                yield from said_by_cel((old or {}).get(key), new[key], inner)
    elif isinstance(new, list):
        for item in new:
            yield from said_by_cel(None, item, schema.get("items", {}))


def test_every_rule_has_cases_and_every_case_a_rule() -> None:
    def sentences(schema: dict[str, Any]) -> Iterator[str]:
        yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
        for inner in (*schema.get("properties", {}).values(), schema.get("items")):
            yield from sentences(inner) if inner else ()

    root: Any = root_schema()
    spec_and_root = {**root, "properties": {"spec": root["properties"]["spec"]}}
    assert sorted(set(sentences(spec_and_root))) == sorted(rule["sentence"] for rule in RULES)


@pytest.mark.parametrize(("sentence", "before", "after"), cases("refused"))
def test_pydantic_refuses_with_the_sentence(sentence: str, before: Any, after: Any) -> None:
    assert sentence in said_by_pydantic(before, after)


@pytest.mark.parametrize(("sentence", "before", "after"), cases("accepted"))
def test_pydantic_lets_the_neighbour_pass(sentence: str, before: Any, after: Any) -> None:
    assert said_by_pydantic(before, after) == set()


@pytest.mark.parametrize(("sentence", "before", "after"), cases("refused"))
def test_cel_refuses_with_the_sentence(sentence: str, before: Any, after: Any) -> None:
    schema: Any = root_schema()
    old = defaulted(before, schema) if before else None
    assert sentence in set(said_by_cel(old, defaulted(after, schema), schema))


@pytest.mark.parametrize(("sentence", "before", "after"), cases("accepted"))
def test_cel_lets_the_neighbour_pass(sentence: str, before: Any, after: Any) -> None:
    schema: Any = root_schema()
    old = defaulted(before, schema) if before else None
    assert set(said_by_cel(old, defaulted(after, schema), schema)) == set()


def test_the_servers_defaults_are_the_models_defaults() -> None:
    schema: Any = root_schema()
    served = defaulted(BASE, schema)["spec"]
    modelled = ModelVersion.model_validate(BASE).spec.body()

    def without_empty_maps(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: without_empty_maps(inner) for key, inner in value.items() if inner != {}}

    assert without_empty_maps(served) == without_empty_maps(modelled)

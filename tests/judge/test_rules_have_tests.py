"""Each rule of the judge names the tests that hold it; here they are looked for."""

import ast
import re
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WRITTEN = Path(__file__).with_name("rules.yaml").read_text("utf-8")
RULES: dict[str, dict[str, list[str]]] = yaml.safe_load(WRITTEN)
SECTIONS = (
    *("promise", "evidence", "harm", "latency", "budget", "pass", "drift", "assumptions", "hygiene", "no data"),
    *("time to detect", "memory", "threshold"),
)


def test_every_section_of_the_judge_has_rules_and_every_rule_has_tests() -> None:
    assert tuple(RULES) == SECTIONS
    assert all(len(rules) >= 3 for rules in RULES.values())
    assert [rule for rules in RULES.values() for rule, tests in rules.items() if not tests] == []


def test_no_rule_is_there_twice_and_none_names_a_test_twice() -> None:
    sentences = Counter(re.findall("^  (?! )(.+):$", WRITTEN, re.MULTILINE))  # of two alike YAML keeps the last
    assert set(sentences) == {rule for rules in RULES.values() for rule in rules}
    assert [rule for rule, times in sentences.items() if times > 1] == []
    assert [rule for rules in RULES.values() for rule, tests in rules.items() if len({*tests}) < len(tests)] == []


def collected(file: str) -> set[str]:
    """What pytest collects of a file by the names that this project gives tests: functions of the module."""
    assert file.startswith("tests/")
    assert Path(file).name.startswith("test_")
    body = ast.parse((ROOT / file).read_text("utf-8")).body
    functions = (each for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{file}::{each.name}" for each in functions if each.name.startswith("test_")}


def test_every_test_that_a_rule_names_is_there() -> None:
    rules = {test: rule for rules in RULES.values() for rule, tests in rules.items() for test in tests}
    there = set[str]().union(*(collected(file) for file in {test.partition("::")[0] for test in rules}))
    assert {test: rule for test, rule in rules.items() if test not in there} == {}

"""Files: what is good is loaded, and of what is not the file, the line, the field and the way out are named."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from turnout.api.loading import Loaded, load, load_text

HEAD = """\
apiVersion: turnout.dev/v1alpha1
kind: ModelVersion
metadata: {name: digits-1}
spec:
  model: digits
  version: 1
  predictor:
    runtime: sklearn
    artifact: {uri: "file:///opt/models/1"}
"""
HEAD_LINES = HEAD.count("\n")


def told(text: str) -> list[str]:
    return [str(problem) for problem in load_text(text, Path("a.yaml")).problems]


def test_a_good_file_gives_its_version_with_every_default() -> None:
    loaded = load_text(HEAD, Path("a.yaml"))
    (version,) = loaded.versions
    assert (version.namespace, version.name, version.version) == ("default", "digits-1", 1)
    assert version.spec.rollout.progress_deadline == "10m"
    assert loaded.problems == ()
    assert str(loaded.origins["default", "digits-1"]) == "a.yaml:1"


# What is wrong in the lines after HEAD, and the whole of what is said about it.
FAULTS: dict[str, tuple[str, list[str]]] = {
    "a misspelt field": (
        "  scaling:\n    minReplica: 3\n",
        [
            "a.yaml:11: spec.scaling.minReplica: unknown field; did you mean minReplicas? Allowed here: "
            "latencyCritical, minReplicas, maxReplicas, target, containerConcurrency, scaleToZeroRetention, floors, "
            "duringRollout"
        ],
    ),
    "a schedule that no day has": (
        "  scaling:\n    floors:\n    - schedule: 0 8 31 4 *\n      until: 0 9 * * *\n      minReplicas: 1\n",
        [
            'a.yaml:12: spec.scaling.floors[0].schedule: found "0 8 31 4 *", day-of-month is not right; '
            'write five cron fields, such as "0 8 * * 1-5"'
        ],
    ),
    "a field like no other": (
        "  control: {colour: red}\n",
        ["a.yaml:10: spec.control.colour: unknown field. Allowed here: paused, abort, promote, retryToken"],
    ),
    "a field where none is allowed": (
        "  rollout:\n    steps:\n    - approval: {by: me}\n",
        ["a.yaml:12: spec.rollout.steps[0].approval.by: unknown field. Allowed here: none"],
    ),
    "a word that is none of the list": (
        "  desired: live\n",
        ['a.yaml:10: spec.desired: found "live", must be one of Live, Standby, Retired; did you mean Live?'],
    ),
    "a literal that is none of the list": (
        "  scaling: {target: {metric: qps}}\n",
        ['a.yaml:10: spec.scaling.target.metric: found "qps", must be one of concurrency, rps; did you mean rps?'],
    ),
    "text for a number": (
        '  scaling: {maxReplicas: "3"}\n',
        ['a.yaml:10: spec.scaling.maxReplicas: found "3", must be a whole number, from 1 to 1000'],
    ),
    "a number out of range": (
        "  rollout:\n    steps:\n    - setWeight: 10\n    - setWeight: 100\n",
        ["a.yaml:13: spec.rollout.steps[1].setWeight: found 100, must be a whole number, from 1 to 99"],
    ),
    "a number for a decimal": (
        "  analysis: {alpha: 0.01}\n",
        ['a.yaml:10: spec.analysis.alpha: found 0.01, must be a decimal number in quotes, such as "0.01"'],
    ),
    "a number for a duration": (
        "  rollout:\n    deadline: 30\n",
        ["a.yaml:11: spec.rollout.deadline: found 30, must be a length of time such as 30s, 5m or 1h30m"],
    ),
    "text for a switch": (
        '  control: {paused: "yes"}\n',
        ['a.yaml:10: spec.control.paused: found "yes", must be true or false'],
    ),
    "a value for a list": (
        "  scaling: {floors: 3}\n",
        ["a.yaml:10: spec.scaling.floors: found 3, must be a list, 0 to 16 entries"],
    ),
    "a value for an object": (
        "  scaling: 3\n",
        ["a.yaml:10: spec.scaling: found 3, must be an object"],
    ),
    "a token that is too long": (
        f"  control: {{retryToken: {'x' * 70}}}\n",
        [
            f'a.yaml:10: spec.control.retryToken: found "{"x" * 59}…, must be text of the form ^[-._A-Za-z0-9]*$, '
            "0 to 64 characters"
        ],
    ),
    "a broken rule": (
        "  scaling:\n    maxReplicas: 2\n    minReplicas: 3\n",
        ["a.yaml:12: spec.scaling.minReplicas: minReplicas is at most maxReplicas"],
    ),
    "a step with two verbs": (
        "  rollout:\n    steps:\n    - setWeight: 10\n      pause: {}\n",
        [
            "a.yaml:12: spec.rollout.steps[0]: a step has exactly one verb: warmup, setWeight, analysis, pause, "
            "approval or shadow"
        ],
    ),
    "two faults at once": (
        "  deletionPolicy: Keep\n  desired: On\n",
        [
            'a.yaml:10: spec.deletionPolicy: found "Keep", must be one of Delete, Orphan',
            "a.yaml:11: spec.desired: found true, must be one of Live, Standby, Retired",
        ],
    ),
    "a field written twice": (
        "  model: digits\n",
        ['a.yaml:10: the field "model" is written twice'],
    ),
    "a field at the top that is none": (
        "speck: {}\n",
        ["a.yaml:10: speck: unknown field; did you mean spec?"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_by_file_line_field_and_way_out(fault: str) -> None:
    lines, expected = FAULTS[fault]
    assert HEAD_LINES == 9
    assert told(HEAD + lines) == expected


# Whole documents that are not what they should be.
DOCUMENTS: dict[str, tuple[str, list[str]]] = {
    "another version of the API": (
        "apiVersion: turnout.dev/v1\nkind: ModelVersion\n",
        ['a.yaml:1: apiVersion: found "turnout.dev/v1", must be turnout.dev/v1alpha1'],
    ),
    "a misspelt kind": (
        "apiVersion: turnout.dev/v1alpha1\nkind: ModelVersions\n",
        ['a.yaml:2: kind: found "ModelVersions", must be ModelVersion'],
    ),
    "no kind at all": (
        "spec: {}\n",
        [
            "a.yaml:1: apiVersion: is required and missing: write apiVersion: turnout.dev/v1alpha1",
            "a.yaml:1: kind: is required and missing: write kind: ModelVersion",
        ],
    ),
    "nothing but a head": (
        "apiVersion: turnout.dev/v1alpha1\nkind: ModelVersion\nmetadata: {name: a}\nspec:\n  model: a\n",
        [
            "a.yaml:4: spec.version: is required and missing",
            "a.yaml:4: spec.predictor: is required and missing",
        ],
    ),
    "a name that no object of ours may have": (
        HEAD.replace("digits-1", "Digits_1"),
        [
            "a.yaml:3: metadata.name: metadata.name has at most 40 characters: a lower-case letter, then letters, "
            "digits and dashes, no dash at the end"
        ],
    ),
    "a list": ("- a\n", ['a.yaml:1: found ["a"], expected a ModelVersion']),
    "a text": ("hello\n", ['a.yaml:1: found "hello", expected a ModelVersion']),
    "no YAML": ("spec:\n  a: [1,\n", ["a.yaml:3: this is no YAML: while parsing a flow node"]),
    "a control character": ("a: \x07\n", ["a.yaml:1: this is no YAML: unacceptable character #x0007"]),
    "a list as a name": ("? [a]\n: 1\n", ["a.yaml:1: a field name is text, not a list or an object"]),
    "an alias into itself": ("a: &a\n  b: *a\n", ["a.yaml:1: an alias points to what it is part of"]),
    "bytes": ("a: !!binary aGk=\n", ["a.yaml:1: tag:yaml.org,2002:binary has no place in a Kubernetes object"]),
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_is_none_of_ours_is_told(document: str) -> None:
    text, expected = DOCUMENTS[document]
    said = told(text)
    assert len(said) == len(expected)
    assert all(line.startswith(start) for line, start in zip(said, expected, strict=True)), said


def test_one_bad_document_spoils_no_other() -> None:
    loaded = load_text(
        HEAD + "---\n" + HEAD.replace("digits-1", "digits-2").replace("model:", "modle:"), Path("a.yaml")
    )
    assert [version.name for version in loaded.versions] == ["digits-1"]
    assert [problem.origin.line for problem in loaded.problems] == [14, 15]


def test_other_kinds_are_ignored_with_a_note() -> None:
    loaded = load_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n" + HEAD, Path("a.yaml"))
    assert loaded.problems == ()
    assert loaded.notes == ("a.yaml:1: Namespace ignored: only ModelVersion is read",)
    assert str(loaded.origins["default", "digits-1"]) == "a.yaml:5"


def test_empty_documents_are_nothing() -> None:
    assert load_text("---\n---\n# only a comment\n") == Loaded((), (), (), {})


def test_the_same_name_twice_is_told_with_where_it_stood_first() -> None:
    loaded = load_text(HEAD + "---\n" + HEAD, Path("a.yaml"))
    assert len(loaded.versions) == 1
    assert [str(problem) for problem in loaded.problems] == [
        "a.yaml:13: metadata.name: digits-1 stands at a.yaml:1 already"
    ]


def test_the_same_name_in_another_namespace_is_another_object() -> None:
    elsewhere = HEAD.replace("{name: digits-1}", "{name: digits-1, namespace: other}")
    assert len(load_text(HEAD + "---\n" + elsewhere).versions) == 2


def test_the_same_model_and_version_twice_is_for_the_operator_to_judge() -> None:
    loaded = load_text(HEAD + "---\n" + HEAD.replace("digits-1", "digits-one"))
    assert len(loaded.versions) == 2
    assert loaded.problems == ()


def test_a_null_is_as_good_as_unwritten_but_for_settings() -> None:
    text = HEAD + dedent("""\
          scaling: ~
          rollout: {steps: null, strategy: null}
        status: {state: Live}
    """)
    text = text.replace("runtime: sklearn", "runtime: sklearn\n    settings: {threshold: null}")
    (version,) = load_text(text).versions
    assert version.spec.scaling.max_replicas == 3
    assert version.spec.rollout.strategy == "Canary"
    assert version.spec.predictor.settings == {"threshold": None}
    assert version.status.state is None


def test_anchors_and_merge_keys_are_read() -> None:
    text = HEAD + "  scaling: {target: &t {metric: rps, value: 5}}\n---\n"
    merged = text.replace("&t {metric: rps, value: 5}", "{<<: *x, value: 6}").replace("digits-1", "digits-2")
    loaded = load_text(merged.replace("metadata: {", "metadata: {labels: &x {metric: rps}, "))
    assert [str(problem) for problem in loaded.problems] == []
    assert loaded.versions[0].spec.scaling.target.body() == {"metric": "rps", "value": 6}


def test_what_yaml_takes_for_a_moment_stays_text() -> None:
    text = HEAD.replace("{name: digits-1}", "{name: digits-1, labels: {since: 2026-11-21}}")
    assert load_text(text).versions[0].metadata.labels == {"since": "2026-11-21"}


def test_a_folder_gives_its_yaml_files_in_order(tmp_path: Path) -> None:
    for name in ("digits-2", "digits-1"):
        (tmp_path / f"{name}.yaml").write_text(HEAD.replace("digits-1", name), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no YAML: [", encoding="utf-8")
    (tmp_path / "inner.yaml").mkdir()
    loaded = load([tmp_path])
    assert [version.name for version in loaded.versions] == ["digits-1", "digits-2"]
    assert loaded.problems == ()


def test_two_files_may_not_hold_one_name(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(HEAD, encoding="utf-8")
    (problem,) = load([tmp_path / "a.yaml", tmp_path / "b.yaml"]).problems
    assert str(problem) == f"{tmp_path}/b.yaml:3: metadata.name: digits-1 stands at {tmp_path}/a.yaml:1 already"


def test_what_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "missing.yaml", tmp_path / "latin.yaml", tmp_path / "empty"]
    said: list[Any] = [(problem.origin.file.name, problem.sentence) for problem in load(paths).problems]
    assert said[0] == ("missing.yaml", "no such file or folder")
    assert said[1][1].startswith("is not UTF-8 from byte 3 on")
    assert said[2] == ("empty", "no file of this folder ends in .yaml, .yml, .json")


def test_a_number_as_a_key_is_text() -> None:
    (version,) = load_text(HEAD.replace("runtime: sklearn", "runtime: sklearn\n    settings: {1: one}")).versions
    assert version.spec.predictor.settings == {"1": "one"}


def test_too_many_entries_of_a_map_are_told() -> None:
    labels = ", ".join(f"l{number}: a" for number in range(17))
    text = HEAD.replace("runtime: sklearn", f"runtime: sklearn\n    nodeSelector: {{{labels}}}")
    (said,) = told(text)
    assert said.startswith('a.yaml:9: spec.predictor.nodeSelector: found {"l0": "a"')
    assert said.endswith("must be an object, at most 16 entries")


def test_where_the_schema_says_nothing_pydantic_speaks() -> None:
    (said,) = told(HEAD.replace("{name: digits-1}", "{name: digits-1, labels: {tier: 1}}"))
    assert said == 'a.yaml:3: metadata.labels.tier: found 1, Input should be a valid string; write it in quotes: "1"'


@pytest.mark.parametrize(
    ("predictor", "sentence"),
    [
        pytest.param(
            "env: [{name: THREADS, value: 2}]",
            "a.yaml:9: spec.predictor.env[0].value: found 2, must be text, 0 to 4096 characters; "
            'write it in quotes: "2"',
            id="a number for text",
        ),
        pytest.param(
            "env: [{name: DEBUG, value: true}]",
            "a.yaml:9: spec.predictor.env[0].value: found true, must be text, 0 to 4096 characters; "
            'write it in quotes: "true"',
            id="a switch for text",
        ),
        pytest.param(
            "resources: {requests: {cpu: 0.5}}",
            "a.yaml:9: spec.predictor.resources.requests.cpu: found 0.5, must be a whole number or a quantity in "
            'quotes, such as "250m", "0.5" or "2Gi"',
            id="a fraction for a quantity",
        ),
    ],
)
def test_what_is_missing_its_quotes_is_told_so(predictor: str, sentence: str) -> None:
    assert told(HEAD.replace("runtime: sklearn", f"runtime: sklearn\n    {predictor}")) == [sentence]


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory() -> None:
    letters = "abcdefghij"
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [f"{new}: &{new} [{', '.join(['*' + old] * 9)}]" for old, new in pairwise(letters)]
    (problem,) = told("\n".join(rows))
    assert problem.endswith("a document has at most 20,000 fields")


def test_what_is_nested_too_deep_is_a_sentence() -> None:
    assert told("a: " + "[" * 5000 + "]" * 5000) == [
        "a.yaml:1: lists or objects stand in each other too deep to be read"
    ]

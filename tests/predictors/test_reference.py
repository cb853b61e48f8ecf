"""Bins fixed at publish: what each kind of output is counted by, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from turnout.evidence.exposition import read
from turnout_predictors.artifacts import open_artifact
from turnout_predictors.artifacts.reference import (
    FILE,
    LEAST_ROWS,
    MAX_BINS,
    Array,
    Reference,
    document_of,
    read_references,
    reference_of,
    references_of,
)
from turnout_predictors.errors import StartError
from turnout_predictors.publishing import publish
from turnout_predictors.signature import Signature, TensorSpec
from turnout_predictors.telemetry.drift import KEPT, Drift

RNG = np.random.default_rng(7)
IDENTITY = ("signals", "7", "signals-7-predictor-00001")


def known(output: str, rows: Array) -> Reference:
    found = reference_of(output, rows)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rows", "kind", "bins"),
    [
        pytest.param(RNG.integers(0, 10, 200), "class", 20, id="small integers: 0 to 18, and all others"),
        pytest.param(RNG.integers(-5, 5, 200), "class", 11, id="few integers: each, and all others"),
        pytest.param(np.array(["a", "b"] * 50, object), "class", 3, id="few texts"),
        pytest.param(RNG.random(100) < 0.1, "class", 3, id="flags"),
        pytest.param(RNG.random((100, 4)).astype(np.float32), "argmax", 4, id="scores of few columns"),
        pytest.param(RNG.normal(size=300), "value", 10, id="numbers: deciles"),
        pytest.param(np.arange(300), "value", 10, id="many integers"),
        pytest.param(np.array(["x" * n for n in range(1, 101)], object), "length", 10, id="free texts"),
        pytest.param(RNG.normal(size=(100, 64)).astype(np.float32), "distance", 10, id="vectors"),
        pytest.param(np.zeros(100), "value", 2, id="a constant: it, and what is greater"),
        pytest.param(RNG.beta(1, 20, 200).astype(np.float32), "value", 20, id="risks: fixed bins"),
    ],
)
def test_every_kind_of_output_has_bins_and_the_published_rows_are_counted_in_them(
    rows: Array, kind: str, bins: int
) -> None:
    reference = known("out", rows)
    assert (reference.kind, reference.bins) == (kind, bins)
    assert reference.bins <= MAX_BINS
    assert sum(reference.counts) == len(rows)
    assert reference.count(rows).tolist() == list(reference.counts)


@pytest.mark.parametrize("rows", [np.zeros((60, 2, 2)), np.zeros((60, 1)), np.zeros((60, 30), np.int64)])
def test_an_output_of_another_shape_has_none(rows: Array) -> None:
    assert reference_of("out", rows) is None


def test_too_few_rows_are_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(ValueError, match=f"at least {LEAST_ROWS} rows, output score has 3"):
        reference_of("score", np.zeros(3))


def test_a_value_that_was_never_published_falls_into_the_last_bin() -> None:
    reference = known("label", np.array(["a", "b"] * 50, object))
    assert reference.count(np.array(["a", "new", "newer"], object)).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("published", "answered"),
    [
        pytest.param(RNG.normal(size=100), np.array([np.nan, np.nan]), id="no number"),
        pytest.param(RNG.random((100, 4)), np.zeros((3, 5)), id="scores of another width"),
        pytest.param(RNG.random((100, 4)), np.zeros((0, 4)), id="no rows"),
        pytest.param(RNG.normal(size=(100, 64)), np.zeros((3, 65)), id="vectors of another space"),
    ],
)
def test_what_has_no_bin_is_counted_nowhere(published: Array, answered: Array) -> None:
    assert known("out", published).count(answered).sum() == 0


def test_it_travels_with_the_artifact(tmp_path: Path) -> None:
    references = references_of({"score": RNG.normal(size=100), "label": np.array(["a", "b"] * 50, object)})
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text(json.dumps(document_of(references)))
    assert read_references(tmp_path) == references
    assert read_references(tmp_path / "elsewhere") == ()


GOOD = {"output": "score", "kind": "value", "edges": [0.1, 0.5], "counts": [1, 2, 3]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"counts": [1, 2]},
        {"counts": "many"},
        {"counts": []},
        {"edges": [0.5, 0.1]},
        {"edges": [0.1, 0.1]},
        {"kind": "colour"},
        {"edges": list(range(30)), "counts": [0] * 31},
    ],
)
def test_a_reference_that_makes_no_sense_stops_the_start_by_name(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text(json.dumps({"outputs": [{**GOOD, **wrong}]}))
    with pytest.raises(StartError, match=r"outputs\.json is no reference"):
        read_references(tmp_path)


def test_what_is_counted_is_what_the_judge_reads() -> None:
    drift = Drift(IDENTITY, references_of({"score": np.arange(100.0)}))
    drift.count({"score": np.array([0.0, 50.0, 1e9]), "other": np.array([1.0])})
    drift.count({"label": np.array(["a"], object)})
    registry = CollectorRegistry()
    registry.register(drift)
    text = generate_latest(registry).decode()
    counts = read(text, IDENTITY[2])
    assert counts.outputs == {"score": (1, 0, 0, 0, 0, 1, 0, 0, 0, 1)}
    assert counts.reference == {"score": (10,) * 10}
    assert counts.bins == {"score": known("score", np.arange(100.0)).name}


def test_an_answer_that_cannot_be_counted_is_told_of_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    drift = Drift(IDENTITY, references_of({"score": np.arange(100.0)}))
    for _ in range(2 * KEPT):
        drift.count({"score": np.array(["no number"], object)})
    drift.count({"score": np.array([50.0])})
    registry = CollectorRegistry()
    registry.register(drift)
    assert sum(read(generate_latest(registry).decode(), IDENTITY[2]).outputs["score"]) == 1
    assert [record.message.split(";")[0] for record in caplog.records] == ["output 'score' fits no bins"]


def test_publishing_with_usual_rows_fixes_the_bins(digits: tuple[Any, Array], tmp_path: Path) -> None:
    model, rows = digits
    published = publish(model, to=tmp_path / "m", example=rows[:3], reference=rows[:300])
    opened = open_artifact(published.uri, published.digest)
    kinds = {each.output: (each.kind, sum(each.counts)) for each in opened.references}
    assert kinds == {"predict": ("class", 300), "predict_proba": ("argmax", 300)}


def test_versions_whose_numbers_lie_elsewhere_have_the_same_bins_only_if_those_are_fixed_or_taken_over() -> None:
    """Each version's own deciles would hold a tenth of its own answers each: a shift could not be seen."""
    risks, higher = RNG.beta(2, 8, 200), RNG.beta(8, 2, 200)
    assert known("risk", risks).name == known("risk", higher).name
    assert known("risk", risks).counts != known("risk", higher).counts
    some, all_of_them = RNG.integers(0, 5, 200), RNG.integers(0, 10, 200)
    assert known("digit", some).name == known("digit", all_of_them).name, "one that never says 5 to 9 is compared too"
    prices, dearer = RNG.normal(50, 5, 200), RNG.normal(80, 5, 200)
    assert known("price", prices).name != known("price", dearer).name
    (taken,) = references_of({"price": dearer}, references_of({"price": prices}))
    assert taken.name == known("price", prices).name
    assert taken.counts[-1] > 190


def test_bins_that_do_not_fit_are_not_taken_over() -> None:
    (former,) = references_of({"scores": RNG.random((100, 4))})
    with pytest.raises(ValueError, match="another form than in the former version"):
        references_of({"scores": RNG.random((100, 5))}, [former])
    with pytest.raises(ValueError, match="at least 50 rows"):
        references_of({"scores": RNG.random((3, 4))}, [former])


def test_a_custom_predictor_is_published_with_its_answers_and_the_bins_of_the_version_before(tmp_path: Path) -> None:
    signature = Signature((TensorSpec("x", "FP64", ("N",)),), (TensorSpec("price", "FP64", ("N",)),))
    (tmp_path / "code").mkdir()
    for name, at, like in (("1", 50, None), ("2", 80, tmp_path / "1")):
        answers = {"price": RNG.normal(at, 5, 100)}
        publish(tmp_path / "code", tmp_path / name, signature=signature, reference=answers, like=like)
    (one,), (two,) = (read_references(tmp_path / name) for name in ("1", "2"))
    assert one.name == two.name
    with pytest.raises(ValueError, match="by output"):
        publish(tmp_path / "code", tmp_path / "3", signature=signature, reference=[1.0] * 100)
    publish(tmp_path / "code", tmp_path / "4", signature=signature)
    with pytest.raises(ValueError, match="published without reference="):
        publish(tmp_path / "code", tmp_path / "5", signature=signature, like=tmp_path / "4")

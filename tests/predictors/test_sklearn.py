"""scikit-learn end to end: trained, published, loaded, asked; equal to the library's own answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from turnout_predictors import publish
from turnout_predictors.artifacts import open_artifact, write_artifact
from turnout_predictors.batching import Work
from turnout_predictors.errors import StartError
from turnout_predictors.runtimes import Start
from turnout_predictors.runtimes.sklearn import SklearnModel, load
from turnout_predictors.signature import Signature, TensorSpec


@pytest.fixture(autouse=True)
def own_configuration() -> Iterator[None]:
    """load() configures scikit-learn for its thread, here the tests'."""
    with config_context():
        yield


def opened(uri: str, digest: str | None, **settings: Any) -> Any:
    return load(Start("m", "1", open_artifact(uri, digest), settings, "", 1))


def ask(model: Any, rows: Any, *outputs: str) -> Any:
    names = outputs or tuple(spec.name for spec in model.signature.outputs)
    return model.forward(Work({"features": rows}, names, 0.0, model.settings, {"N": len(rows)}))


def test_published_answers_are_the_librarys(digits: Any, published: Any) -> None:
    estimator, rows = digits
    answers = ask(opened(published.uri, published.digest), rows)
    np.testing.assert_array_equal(answers["predict"], estimator.predict(rows))
    np.testing.assert_array_equal(answers["predict_proba"], estimator.predict_proba(rows))


def test_only_wanted_outputs_are_computed(digits: Any, published: Any) -> None:
    assert list(ask(opened(published.uri, published.digest), digits[1][:1], "predict")) == ["predict"]


def test_the_signature_has_the_types_of_the_data(published: Any) -> None:
    signature = opened(published.uri, published.digest).signature
    assert signature.inputs == (TensorSpec("features", "FP64", ("N", 64)),)
    assert signature.outputs == (
        TensorSpec("predict", "INT64", ("N",)),
        TensorSpec("predict_proba", "FP64", ("N", 10)),
    )


def test_the_examples_hold_what_the_library_answers(digits: Any, published: Any) -> None:
    (example,) = open_artifact(published.uri, published.digest).examples
    estimator, rows = digits
    recorded = {output["name"]: output for output in example.response["outputs"]}
    assert recorded["predict"]["data"] == estimator.predict(rows[:3]).tolist()
    assert np.allclose(recorded["predict_proba"]["data"], estimator.predict_proba(rows[:3]).ravel(), atol=1e-12)


KINDS = {
    "a regressor of float32 rows": (LinearRegression(), np.array([0.5, 1.5, 2.5, 3.5]), ("predict",), ("FP32",)),
    "a forest": (
        RandomForestClassifier(3, random_state=1),
        np.array([0, 1, 0, 1]),
        ("predict", "predict_proba"),
        ("INT64", "FP64"),
    ),
    "labels that are words": (
        LogisticRegression(),
        np.array(["no", "yes", "no", "yes"]),
        ("predict",),
        ("BYTES",),
    ),
    "a decision function": (LogisticRegression(), np.array([0, 1, 0, 1]), ("decision_function",), ("FP32",)),
    "a transformer": (StandardScaler(), np.array([0, 1, 0, 1]), ("transform",), ("FP32",)),
}


@pytest.mark.parametrize(("estimator", "labels", "outputs", "datatypes"), KINDS.values(), ids=KINDS.keys())
def test_serves(tmp_path: Path, estimator: Any, labels: Any, outputs: Any, datatypes: Any) -> None:
    rows = np.array([[0, 1], [1, 0.5], [0.2, 0.9], [0.9, 0.1]], np.float32)
    estimator.fit(rows, labels)
    published = publish(estimator, to=tmp_path / "m", example=rows, outputs=outputs)
    model = opened(published.uri, published.digest)
    assert tuple(spec.datatype for spec in model.signature.outputs) == datatypes
    answers = ask(model, rows)
    for name in outputs:
        np.testing.assert_array_equal(np.asarray(answers[name]), getattr(estimator, name)(rows))


def test_columns_of_their_own_are_stacked_in_declared_order(tmp_path: Path) -> None:
    rows = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 6.0]])
    scaler = StandardScaler().fit(rows)
    columns = tuple(TensorSpec(name, "FP64", ("N",)) for name in ("b", "a", "c"))
    signature = Signature(columns, (TensorSpec("transform", "FP64", ("N", 3)),))
    model = SklearnModel(scaler, signature, None)  # type: ignore[arg-type]
    inputs = {"a": rows[:, 1], "b": rows[:, 0], "c": rows[:, 2]}
    answers = model.forward(Work(inputs, ("transform",), 0.0))
    np.testing.assert_array_equal(answers["transform"], scaler.transform(rows))


def pickled(folder: Path, name: str = "model.joblib") -> tuple[str, str]:
    estimator = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    signature = Signature((TensorSpec("features", "FP64", ("N", 1)),), (TensorSpec("predict", "FP64", ("N",)),))
    digest = write_artifact(folder / "m", lambda into: joblib.dump(estimator, into / name), signature)
    return (folder / "m").as_uri(), digest


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.pickle"])
@pytest.mark.parametrize(("allowed", "pinned"), [(False, True), (True, False), (False, False)])
def test_pickle_is_refused_without_consent_and_digest(tmp_path: Path, name: str, allowed: bool, pinned: bool) -> None:
    uri, digest = pickled(tmp_path, name)
    with pytest.raises(StartError, match=rf"{name}, which can run any code") as caught:
        opened(uri, digest if pinned else None, allow_pickle=allowed)
    assert caught.value.reason == "ArtifactInvalid"


def test_pickle_is_loaded_by_consent_and_with_the_digest(tmp_path: Path) -> None:
    uri, digest = pickled(tmp_path)
    model = opened(uri, digest, allow_pickle=True)
    np.testing.assert_allclose(ask(model, np.array([[2.0]]))["predict"], [2.0])


def test_a_skops_file_with_foreign_code_is_refused_until_it_is_named(tmp_path: Path) -> None:
    rows = np.array([[0.0, 1.0], [1.0, 0.5], [0.1, 0.0], [0.8, 1.0]])
    selector = SelectKBest(chi2, k=1).fit(rows, [0, 1, 0, 1])
    published = publish(selector, to=tmp_path / "m", example=rows, outputs=["transform"])
    function = "sklearn.feature_selection._univariate_selection.chi2"
    with pytest.raises(StartError, match=f"not trusted: {function}") as caught:
        opened(published.uri, published.digest)
    assert caught.value.reason == "ArtifactInvalid"
    model = opened(published.uri, published.digest, trusted=[function])
    np.testing.assert_array_equal(ask(model, rows)["transform"], selector.transform(rows))


def test_trees_whose_contents_nobody_vouches_for_are_refused(tmp_path: Path) -> None:
    forest = RandomForestClassifier(2, random_state=1).fit([[0.0], [1.0]], [0, 1])
    published = publish(forest, to=tmp_path / "m", example=[[0.0]])
    with pytest.raises(StartError, match=r"sklearn\.tree\._tree\.Tree; name the artifact's digest"):
        opened(published.uri, None)


def test_an_artifact_without_a_model_is_refused(tmp_path: Path) -> None:
    signature = Signature((TensorSpec("x", "FP64", ("N",)),), (TensorSpec("predict", "FP64", ("N",)),))
    digest = write_artifact(tmp_path / "m", lambda into: None, signature)
    with pytest.raises(StartError, match=r"holds no model\.skops"):
        opened((tmp_path / "m").as_uri(), digest)


def test_an_output_that_is_no_method_is_refused(published: Any, tmp_path: Path) -> None:
    folder = Path(published.path)
    document = json.loads((folder / "signature.json").read_text())
    document["outputs"][0]["name"] = "fit"
    from turnout_predictors.signature import signature_from_json

    digest = write_artifact(
        tmp_path / "m",
        lambda into: (into / "model.skops").write_bytes((folder / "model.skops").read_bytes()),
        signature_from_json(document),
    )
    with pytest.raises(StartError, match="'fit' is no method of Pipeline"):
        opened((tmp_path / "m").as_uri(), digest)


SETTINGS = {
    "an unknown setting": ({"pickle": True}, "settings.pickle is unknown; allowed: allow_pickle, trusted"),
    "a wrong type": ({"allow_pickle": "perhaps"}, "settings.allow_pickle: Input should be a valid boolean"),
}


@pytest.mark.parametrize(("settings", "said"), SETTINGS.values(), ids=SETTINGS.keys())
def test_refuses_settings(published: Any, settings: Any, said: str) -> None:
    with pytest.raises(StartError, match=said) as caught:
        opened(published.uri, published.digest, **settings)
    assert caught.value.reason == "SettingsInvalid"


def test_an_estimator_needs_an_example_to_be_published(digits: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs example="):
        publish(digits[0], to=tmp_path / "m")


def test_missing_values_reach_an_estimator_that_declares_them(tmp_path: Path) -> None:
    from sklearn.impute import SimpleImputer

    imputer = SimpleImputer().fit([[1.0], [3.0]])
    signature = Signature(
        (TensorSpec("features", "FP64", ("N", 1), missing=True),), (TensorSpec("transform", "FP64", ("N", 1)),)
    )
    model = SklearnModel(imputer, signature, None)  # type: ignore[arg-type]
    assert ask(model, np.array([[np.nan]]))["transform"].tolist() == [[2.0]]

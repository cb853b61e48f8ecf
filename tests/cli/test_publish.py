"""`turnout publish`: from what a person has to a file that can be applied, or to a sentence on what is missing."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.predictors import stores
from turnout.cli import main
from turnout_predictors import publish, publisher
from turnout_predictors.artifacts import open_artifact

Captured = pytest.CaptureFixture[str]
CUSTOM = """
from turnout_predictors import FP32, Predictor, Tensors, Text, dims

class Loud(Predictor):
    class Inputs(Tensors):
        text: Text = dims("N")
    class Outputs(Tensors):
        loudness: FP32 = dims("N")
"""


@pytest.fixture(scope="module")
def skops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted estimator's file, and rows beside it."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from skops.io import dump

    rows, kinds = load_iris(return_X_y=True)
    folder = tmp_path_factory.mktemp("iris")
    dump(LogisticRegression(max_iter=500).fit(rows, kinds), folder / "model.skops")
    (folder / "rows.json").write_text(json.dumps(rows[:3].tolist()))
    (folder / "usual.json").write_text(json.dumps(rows.tolist()))
    return folder


@pytest.fixture(autouse=True)
def in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capfd: Captured) -> None:
    """What the command starts is run right here, but for the one test that starts it: libraries are dear to import."""
    if "really" in request.node.name:
        return

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:3] == ["-m", "turnout_predictors.publisher"]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = publisher.main(command[3:])
        return subprocess.CompletedProcess(command, code, out.getvalue())

    monkeypatch.setattr("turnout.cli.publish.subprocess.run", run)


def turnout(*words: object) -> int:
    return main(["publish", *map(str, words)])


def test_an_estimator_is_published_and_its_version_can_be_applied(skops: Path, tmp_path: Path, capfd: Captured) -> None:
    rows = ("--example", skops / "rows.json", "--reference", skops / "usual.json")
    to = tmp_path / "models" / "1"
    assert turnout(skops / "model.skops", "--to", to, *rows, "--model", "iris", "--version", 3) == 0
    out, err = capfd.readouterr()
    spec = yaml.safe_load(out)["spec"]
    assert (spec["model"], spec["version"], spec["predictor"]["runtime"]) == ("iris", 3, "sklearn")
    opened = open_artifact(spec["predictor"]["artifact"]["uri"], spec["predictor"]["artifact"]["digest"])
    assert opened.path == to
    assert (len(opened.examples), len(opened.references)) == (1, 2)
    assert "published 4 files" in err
    (tmp_path / "iris-3.yaml").write_text(out)
    assert main(["lint", str(tmp_path / "iris-3.yaml")]) == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_command_really_starts_a_process_of_its_own(skops: Path, tmp_path: Path, capfd: Captured) -> None:
    assert turnout(skops, "--to", tmp_path / "1", "--example", skops / "rows.json", "--model", "iris") == 0
    assert (tmp_path / "1" / "manifest.json").is_file()
    assert yaml.safe_load(capfd.readouterr().out)["spec"]["model"] == "iris"


def test_a_dry_run_writes_nothing(skops: Path, tmp_path: Path, capfd: Captured) -> None:
    to = tmp_path / "models" / "1"
    assert turnout(skops, "--to", to, "--example", skops / "rows.json", "--dry-run") == 0
    out, err = capfd.readouterr()
    assert "would publish" in err
    assert yaml.safe_load(out)["spec"]["predictor"]["artifact"]["uri"] == to.as_uri()
    assert not to.exists()


def test_the_files_of_a_custom_predictor_get_its_signature(
    tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud_model.py").write_text(CUSTOM)
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "list.json").write_text("[]")
    assert turnout("words", "--to", "models/1", "--entrypoint", "loud_model:Loud", "--model", "loud") == 0
    predictor = yaml.safe_load(capfd.readouterr().out)["spec"]["predictor"]
    assert (predictor["runtime"], predictor["entrypoint"]) == ("custom", "loud_model:Loud")
    signature = open_artifact(predictor["artifact"]["uri"], predictor["artifact"]["digest"]).require_signature()
    assert [spec.name for spec in (*signature.inputs, *signature.outputs)] == ["text", "loudness"]


@pytest.mark.slow
def test_an_artifact_is_copied_as_it_is_into_a_store(
    skops: Path,
    tmp_path: Path,
    capfd: Captured,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    assert turnout(skops, "--to", tmp_path / "here", "--example", skops / "rows.json") == 0
    first = yaml.safe_load(capfd.readouterr().out)["spec"]["predictor"]["artifact"]
    monkeypatch.setenv("TURNOUT_ARTIFACT_CACHE", str(tmp_path / "cache"))
    with stores.s3(tmp_path / "store") as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        for said in ("put manifest.json", "holds it already: nothing to do"):
            assert turnout(tmp_path / "here", "--to", f"{store.base}/iris/1", "--model", "iris") == 0
            assert said in caplog.text
            out = capfd.readouterr().out
        predictor = yaml.safe_load(out)["spec"]["predictor"]
        assert predictor == {
            "runtime": "sklearn",
            "artifact": {"uri": f"{store.base}/iris/1", "digest": first["digest"]},
        }
        assert open_artifact(predictor["artifact"]["uri"], first["digest"]).digest == first["digest"]


def pickled(folder: Path) -> tuple[object, ...]:
    (folder / "model.pkl").write_bytes(b"")
    return (folder,)


def rows_of_nothing(folder: Path) -> tuple[object, ...]:
    (folder / "model.skops").write_bytes(b"")
    return (folder,)


def taken(folder: Path) -> tuple[object, ...]:
    (folder / "signature.json").write_text(
        '{"inputs": [{"name": "x", "datatype": "FP32", "shape": []}], "outputs": []}'
    )
    (folder.parent / "to").mkdir()
    (folder.parent / "to" / "other").write_text("x")
    return (folder, "--entrypoint", "a:B")


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing there": (lambda folder: (folder / "nowhere",), "is no folder and no .skops file"),
    "pickle": (pickled, "can run any code when it is loaded; save it with skops.io.dump instead"),
    "an estimator without rows": (rows_of_nothing, "give a few rows with --example"),
    "a folder that says nothing": (lambda folder: (folder,), "name its class with --entrypoint"),
    "a class that is not there": (lambda folder: (folder, "--entrypoint", "nope:Nope"), "there is no module 'nope'"),
    "a class that is no Predictor": (lambda folder: (folder, "--entrypoint", "json:loads"), "is no Predictor"),
    "a signature that cannot be read": (taken, "outputs is not a list"),
    "a scheme that is only read": (
        lambda folder: (publish_loud(folder), "--entrypoint", "a:B", "--to", "https://host/1"),
        "is only read",
    ),
    "a name that is none": (lambda folder: (folder, "--model", "No Name"), "name the version with --model"),
}


def publish_loud(folder: Path) -> Path:
    from turnout_predictors.signature import Signature, TensorSpec

    spec = TensorSpec("x", "FP32", ("N",))
    return publish(folder, to=folder.parent / "made", signature=Signature((spec,), (spec,))).path


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_says_what_is_missing(tmp_path: Path, capfd: Captured, words: Any, said: str) -> None:
    (tmp_path / "model").mkdir()
    assert turnout("--to", tmp_path / "to", "--model", "m", *words(tmp_path / "model")) == 1
    out, err = capfd.readouterr()
    assert said in err, sys.version
    assert out == ""
    assert "Traceback" not in err


def tampered(folder: Path) -> Path:
    (publish_loud(folder) / "extra").write_text("x")
    return folder.parent / "made"


DRY = {
    "an artifact that was changed": (tampered, "to", "extra is not in its manifest"),
    "a scheme that is only read": (publish_loud, "hf://acme/x", "is only read"),
    "a scheme that is none": (publish_loud, "nonsense://x", "has scheme 'nonsense'"),
    "an address that holds something else": (publish_loud, "model", "holds something else"),
}


@pytest.mark.parametrize(("made", "to", "said"), DRY.values(), ids=DRY.keys())
def test_a_dry_run_refuses_what_the_true_one_would(
    tmp_path: Path, capfd: Captured, made: Any, to: str, said: str
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "other").write_text("x")
    address = to if "://" in to else str(tmp_path / to)
    assert turnout(made(tmp_path / "model"), "--entrypoint", "a:B", "--model", "m", "--to", address, "--dry-run") == 1
    assert said in capfd.readouterr().err

"""Every example is what a person would apply: it loads without a problem and asks for nothing that is not served."""

import subprocess
import sys
from pathlib import Path

import pytest

from turnout.api.loading import load
from turnout.api.served import unserved

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FILES = sorted(EXAMPLES.glob("*/digits-*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_example_can_be_applied(file: Path) -> None:
    loaded = load([file])
    assert loaded.problems == ()
    assert [version.name for version in loaded.versions] == [file.stem]
    assert unserved(loaded.versions[0].spec) == ()


def test_the_digits_are_two_versions_of_one_model() -> None:
    versions = load([EXAMPLES / "digits"]).versions
    assert [version.version for version in versions] == [1, 2]
    assert {version.model for version in versions} == {"digits"}


@pytest.mark.slow
def test_training_publishes_where_the_local_examples_look(tmp_path: Path) -> None:
    train = [sys.executable, str(EXAMPLES / "digits" / "train.py"), str(tmp_path)]
    said = subprocess.run(train, capture_output=True, text=True, check=True)
    for version in load([EXAMPLES / "digits"]).versions:
        assert version.spec.predictor.artifact
        artifact = tmp_path / version.spec.predictor.artifact.uri.removeprefix("file://")
        assert f"uri: file://{artifact}\n" in said.stdout
        assert (artifact / "manifest.json").is_file()

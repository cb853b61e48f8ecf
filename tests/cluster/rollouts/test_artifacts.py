"""Real models from a volume: a scikit-learn artifact on a claim is verified, loaded and answers like the library."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from benchmarks.stream import rows
from tests.cluster.rollouts.stage import Stage, baked, mver, steps
from turnout_predictors import publish

pytestmark = pytest.mark.timeout(600)

MODEL = "digits"


@dataclass(frozen=True)
class Digits:
    """A model trained on the spot, published into the volume behind the claim `models`."""

    stage: Stage
    model: Any
    digest: str

    def version(self, number: int, digest: str, **spec: Any) -> dict[str, Any]:
        artifact = {"uri": "pvc://models/digits/1", "digest": digest}
        resources = {"requests": {"cpu": "50m", "memory": "128Mi"}}
        predictor = {"runtime": "sklearn", "artifact": artifact, "resources": resources}
        return mver(number, model=MODEL, runtime=predictor, **spec)

    def predict(self, images: Any) -> list[int]:
        request = urllib.request.Request(
            f"{self.stage.cluster.gateway}/v2/models/{MODEL}/infer",
            data=json.dumps(rows(images.tolist())).encode(),
            headers={"Host": f"{MODEL}.{self.stage.namespace}.example.com", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            outputs = {output["name"]: output["data"] for output in json.load(response)["outputs"]}
        return [int(value) for value in outputs["predict"]]


@pytest.fixture
def digits(stage: Stage, tmp_path: Path) -> Iterator[Digits]:
    images, labels = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=300).fit(images[:600] / 16, labels[:600])
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)  # pods run as nobody in particular
    published = publish(model, to=tmp_path / "digits" / "1", example=images[:3] / 16)
    volume = f"models-{stage.namespace}"
    stage.apply(persistent_volume(volume, tmp_path), persistent_volume_claim(volume))
    yield Digits(stage, model, published.digest)
    stage.kubectl("delete", "mver", "--all", "--wait=true")
    stage.kubectl("delete", "pv", volume, "--wait=false")


def persistent_volume(name: str, folder: Path, mode: str = "ReadOnlyMany") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": [mode],
            "storageClassName": "",
            "hostPath": {"path": str(folder)},
        },
    }


def persistent_volume_claim(volume: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadOnlyMany"], "storageClassName": "", "volumeName": volume}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models"},
        "spec": {**spec, "resources": {"requests": {"storage": "1Gi"}}},
    }


def seven(number: int, **spec: Any) -> dict[str, Any]:
    """A version whose baked artifact says by its example that the answer is 7; it answers `number`."""
    manifest = mver(number, **spec)
    manifest["spec"]["predictor"]["artifact"] = baked("seven")
    return manifest


def test_an_artifact_baked_into_the_image_is_verified_and_its_example_answered(stage: Stage) -> None:
    stage.apply(seven(7, scaling={"minReplicas": 1}))
    stage.wait_state("signals-7", "Live")
    assert stage.call() == (200, "7")


def test_a_version_that_answers_its_example_otherwise_fails_before_any_caller(stage: Stage) -> None:
    stage.apply(seven(7, scaling={"minReplicas": 1}))
    stage.wait_state("signals-7", "Live")
    with stage.stream(rate=20) as caller:
        stage.apply(seven(8, rollout=steps(50)))
        stage.wait_state("signals-8", "Failed")
    assert stage.status("signals-8")["reason"] == "WrongAnswer"
    assert set(caller.shares()) == {"7"}
    assert not caller.failures, caller.explain()


def test_an_artifact_on_a_claim_answers_as_the_library_does(digits: Digits) -> None:
    digits.stage.apply(digits.version(1, digits.digest, scaling={"minReplicas": 1}))
    digits.stage.wait_state("digits-1", "Live")
    images = load_digits().data[600:620] / 16
    assert digits.predict(images) == digits.model.predict(images).tolist()


def test_an_artifact_of_another_digest_fails_by_name_and_meets_no_caller(digits: Digits) -> None:
    digits.stage.apply(digits.version(1, digits.digest, scaling={"minReplicas": 1}))
    digits.stage.wait_state("digits-1", "Live")
    digits.stage.apply(digits.version(2, f"sha256:{'0' * 64}", rollout=steps(50)))
    digits.stage.wait_state("digits-2", "Failed")
    assert digits.stage.status("digits-2")["reason"] == "ArtifactDigestMismatch"
    assert digits.stage.written(MODEL) == {"digits-1": 100}

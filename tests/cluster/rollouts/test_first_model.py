"""docs/install.md's first model, done as it is written: an empty claim is filled, and two versions are served from it.

Two things are the test's own: the volume, which a storage class would make, and the image of the pod that fills it, for
nothing is pulled here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.rollouts.installation import predictor_image
from tests.cluster.rollouts.stage import Stage
from tests.cluster.rollouts.test_artifacts import persistent_volume
from tests.examples.pages import ROOT, clone, sh, shell_blocks

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

FILL, SERVE = (
    next(block for block in shell_blocks("docs/install.md") if block.startswith(first))
    for first in (".venv/bin/python examples/digits/train.py", "kubectl apply -f manifests/examples/digits-1.yaml")
)
WATCH = "kubectl get mver --watch\n"


@pytest.fixture
def folder(stage: Stage, tmp_path: Path) -> Iterator[Path]:
    """A clone, and a volume for the first claim on it."""
    for each in (tmp_path, *tmp_path.parents[:3]):
        each.chmod(0o755)  # pods run as nobody in particular
    disk, volume = tmp_path / "disk", f"models-{stage.namespace}"
    disk.mkdir()
    disk.chmod(0o777)
    made = persistent_volume(volume, disk, "ReadWriteOnce")
    made["spec"]["claimRef"] = {"namespace": stage.namespace, "name": "models"}
    stage.apply(made)
    yield clone(tmp_path / "clone")
    stage.kubectl("delete", "mver", "--all", "--wait=true")
    stage.kubectl("delete", "pv", volume, "--wait=false")


def persons_shell(stage: Stage, file: Path) -> dict[str, str]:
    """kubectl speaks to this cluster, in this namespace."""
    kubeconfig = yaml.safe_load(stage.cluster.kubeconfig.read_text())
    kubeconfig["contexts"][0]["context"]["namespace"] = stage.namespace
    file.write_text(yaml.safe_dump(kubeconfig))
    return {**os.environ, **stage.cluster.exports(), "KUBECONFIG": str(file)}


def test_the_first_model_of_the_page_serves_and_the_next_version_takes_its_first_share(
    stage: Stage, folder: Path
) -> None:
    shell = persons_shell(stage, folder / "kubeconfig")
    (folder / "manifests").unlink()
    shutil.copytree(ROOT / "manifests", folder / "manifests")
    pod = folder / "manifests" / "examples" / "models-pod.yaml"
    pod.write_text(pod.read_text().replace("busybox:1.37", predictor_image(stage.cluster)))
    sh(FILL, folder, shell)
    assert SERVE.endswith(WATCH)
    sh(SERVE.removesuffix(WATCH), folder, shell)
    assert stage.state("digits-1") == "Live"
    stage.wait_split({"digits-1": 90, "digits-2": 10}, "digits")

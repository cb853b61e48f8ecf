"""The kustomize folders build into valid objects, and every example is accepted just as it stands."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from kubernetes_validate.utils import all_versions, major_minor  # type: ignore[import-untyped]

from turnout.api.served import unserved
from turnout.api.version import ModelVersion

Json = dict[str, object]
Build = Callable[[str], list[Json]]

MANIFESTS = Path(__file__).parent.parent.parent / "manifests"
KUBERNETES = sorted({major_minor(version) for version in all_versions()})[-3:]
FOLDERS = ["base", "overlays/dev", "overlays/production"]
EXAMPLES = sorted((MANIFESTS / "examples").glob("*.yaml"))
NEWCOMER_LINES = 15


@pytest.fixture(scope="session")
def build() -> Build:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        missing = "kubectl is missing: kustomize folders cannot be built"
        if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)

    def objects(folder: str) -> list[Json]:
        done = subprocess.run(
            [str(kubectl), "kustomize", str(MANIFESTS / folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))

    return objects


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_is_valid_on_three_versions_of_kubernetes(build: Build, folder: str) -> None:
    objects = build(folder)
    for version in KUBERNETES:
        for each in objects:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_dev_overlay_pulls_nothing(build: Build) -> None:
    (deployment,) = (each for each in build("overlays/dev") if each["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]  # type: ignore[index]
    images = [container["image"], *(arg.split("=")[2] for arg in container["args"] if arg.startswith("--image="))]
    assert container["imagePullPolicy"] == "Never"
    assert [image for image in images if not image.startswith("dev.local/")] == []


def documents(path: Path) -> list[Json]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.name))
def test_the_example_is_a_model_version_that_this_release_serves(path: Path) -> None:
    for each in documents(path):
        assert unserved(ModelVersion.model_validate(each).spec) == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.name))
def test_the_example_fits_the_generated_crd(path: Path) -> None:
    crd = yaml.safe_load((MANIFESTS / "crd" / "modelversions.turnout.dev.yaml").read_text())
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["properties"] |= {"apiVersion": True, "kind": True, "metadata": True}
    schema = closed(root)
    for each in documents(path):
        jsonschema.Draft202012Validator(schema).validate(each)


def closed(schema: dict[str, object]) -> dict[str, object]:
    """The schema with unknown fields refused, as the API server does under strict validation."""
    copy = dict(schema)
    if isinstance(properties := schema.get("properties"), dict):
        copy["properties"] = {name: value if value is True else closed(value) for name, value in properties.items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            copy.setdefault("additionalProperties", False)
    if isinstance(items := schema.get("items"), dict):
        copy["items"] = closed(items)
    return copy


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.name))
def test_the_example_begins_with_what_it_shows(path: Path) -> None:
    assert path.read_text().startswith("# ")


def test_the_first_example_is_as_short_as_the_readme_promises() -> None:
    lines = (MANIFESTS / "examples" / "digits-1.yaml").read_text().splitlines()
    assert len([line for line in lines if not line.startswith("#")]) <= NEWCOMER_LINES

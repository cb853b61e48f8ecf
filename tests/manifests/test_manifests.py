"""The kustomize folders build into valid objects, and every example is accepted just as it stands."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploying import CRD, MANIFESTS, ROOT, Object, assert_valid, kustomize, of_kind
from turnout.api.served import unserved
from turnout.api.version import ModelVersion

FOLDERS = ["base", "overlays/dev", "overlays/production"]
EXAMPLES = sorted(path for path in (MANIFESTS / "examples").glob("*.yaml") if "kind: ModelVersion" in path.read_text())
NEWCOMER_LINES = 15


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_is_valid_on_three_versions_of_kubernetes(folder: str) -> None:
    assert_valid(kustomize(folder))


def test_the_dev_overlay_pulls_nothing() -> None:
    (deployment,) = of_kind(kustomize("overlays/dev"), "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    images = [container["image"], *(arg.split("=")[2] for arg in container["args"] if arg.startswith("--image="))]
    assert container["imagePullPolicy"] == "Never"
    assert [image for image in images if not image.startswith("dev.local/")] == []


def documents(path: Path) -> list[Object]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.name))
def test_the_example_is_a_model_version_that_this_release_serves(path: Path) -> None:
    for each in documents(path):
        assert unserved(ModelVersion.model_validate(each).spec) == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.name))
def test_the_example_fits_the_generated_crd(path: Path) -> None:
    crd = yaml.safe_load(CRD.read_text())
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["properties"] |= {"apiVersion": True, "kind": True, "metadata": True}
    schema = closed(root)
    for each in documents(path):
        jsonschema.Draft202012Validator(schema).validate(each)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
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


def test_the_install_page_copies_artifacts_to_where_the_first_versions_look() -> None:
    claim, pod, first, second = (
        documents(MANIFESTS / "examples" / f"{name}.yaml")[0]
        for name in ("models-claim", "models-pod", "digits-1", "digits-2")
    )
    assert_valid([claim, pod])
    (volume,), (container,) = pod["spec"]["volumes"], pod["spec"]["containers"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    (mount,) = container["volumeMounts"]
    page = (ROOT / "docs" / "install.md").read_text()
    copied = re.search(r"tar -c -C my-models/artifacts 1 2 \| kubectl exec -i (\S+) -- .* tar -x -C (\S+)'", page)
    assert copied
    assert copied[1] == pod["metadata"]["name"]
    folder = copied[2].removeprefix(mount["mountPath"])
    uris = [each["spec"]["predictor"]["artifact"]["uri"] for each in (first, second)]
    assert uris == [f"pvc://{claim['metadata']['name']}{folder}/{number}" for number in (1, 2)]

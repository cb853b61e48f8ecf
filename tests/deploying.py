"""Chart and kustomize folders, rendered by the real tools; what is missing is skipped aloud, or fails where all is due.

TURNOUT_REQUIRE_ALL=1 turns every skip for a missing tool into a failure.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from kubernetes_validate.utils import all_versions, major_minor  # type: ignore[import-untyped]

Object = dict[str, Any]

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts" / "turnout"
MANIFESTS = ROOT / "manifests"
CRD = MANIFESTS / "crd" / "modelversions.turnout.dev.yaml"
KUBERNETES = sorted({major_minor(version) for version in all_versions()})[-3:]


class HelmError(Exception):
    """What helm says about values that it does not take."""


def missing(tool: str, how: str) -> NoReturn:
    """Skip the test, or fail it."""
    sentence = f"{tool} is missing: {how}"
    if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


def find_helm() -> str:
    """By $HELM, on the PATH, or the newest one that the cluster harness has built."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = sorted(cache_home.glob("turnout/cluster/bin/helm-*/helm"))
    found = os.environ.get("HELM") or shutil.which("helm") or (str(built[-1]) if built else None)
    return found or missing("helm", "set HELM, or let `make cluster` build it")


@cache
def template(chart: Path, *arguments: str) -> str:
    # --kube-version: a helm that was built from its module takes a very old Kubernetes for granted
    command = [find_helm(), "template", "turnout", str(chart), "--namespace", "turnout-system"]
    command += ["--kube-version", f"{KUBERNETES[0]}.0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def render(*arguments: str, chart: Path = CHART) -> list[Object]:
    """The objects that the chart renders with these arguments of helm; raises `HelmError`."""
    return [each for each in yaml.safe_load_all(template(chart, *arguments)) if each]


@cache
def built(folder: str) -> str:
    kubectl = shutil.which("kubectl") or missing("kubectl", "it builds the kustomize folders")
    done = subprocess.run([kubectl, "kustomize", str(MANIFESTS / folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kustomize(folder: str) -> list[Object]:
    """The objects of a folder of manifests/."""
    return list(yaml.safe_load_all(built(folder)))


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def assert_valid(objects: list[Object]) -> None:
    """Each object fits the schemas of three Kubernetes versions, with no field that they do not know."""
    assert objects
    for version in KUBERNETES:
        for each in objects:
            kubernetes_validate.validate(each, version, strict=True)

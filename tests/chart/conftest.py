"""Renders the chart with the real helm, once per value set."""

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "charts" / "turnout"

Render = Callable[..., list[dict[str, object]]]


def find_helm() -> str | None:
    """By $HELM, on the PATH, or the newest one that the cluster harness has built."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = sorted(cache_home.glob("turnout/cluster/bin/helm-*/helm"))
    return os.environ.get("HELM") or shutil.which("helm") or (str(built[-1]) if built else None)


@pytest.fixture(scope="session")
def helm() -> str:
    found = find_helm()
    if found is None:
        missing = "helm is missing: set HELM, or `make cluster` builds it"
        if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@cache
def template(helm: str, *arguments: str) -> str:
    # --kube-version: a helm built from its module takes an old Kubernetes for granted
    command = [helm, "template", "turnout", str(CHART), "--namespace", "turnout-system"]
    done = subprocess.run(
        [*command, "--kube-version", "1.34.0", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout


@pytest.fixture(scope="session")
def render(helm: str) -> Render:
    """The objects that `helm template` renders with these arguments; `ValueError` with helm's words if none."""

    def objects(*arguments: str) -> list[dict[str, object]]:
        return [each for each in yaml.safe_load_all(template(helm, *arguments)) if each]

    return objects

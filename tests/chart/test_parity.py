"""Chart and kustomize base install the same: whoever changes one has to change the other."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Json = dict[str, object]
Render = Callable[..., list[Json]]

ROOT = Path(__file__).parent.parent.parent
HELMS_OWN = {"helm.sh/chart", "app.kubernetes.io/managed-by", "helm.sh/resource-policy"}
BASES_OWN = {"Namespace"}  # helm makes it by --create-namespace


def kustomize(folder: str) -> list[Json]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        missing = "kubectl is missing: kustomize bases cannot be built"
        if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    command = [kubectl, "kustomize", str(ROOT / "manifests" / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each["kind"] not in BASES_OWN]


def without_helms_own(tree: object) -> object:
    """The same tree less helm's marks, and less the maps that held nothing else."""
    if isinstance(tree, dict):
        kept = {key: without_helms_own(value) for key, value in tree.items() if key not in HELMS_OWN}
        return {key: value for key, value in kept.items() if value != {}}
    if isinstance(tree, list):
        return [without_helms_own(value) for value in tree]
    return tree


def by_name(objects: list[Json]) -> dict[tuple[object, object], object]:
    return {
        (each["kind"], metadata["name"]): without_helms_own(each)
        for each in objects
        if isinstance(metadata := each["metadata"], dict)
    }


def test_the_base_is_what_the_chart_renders_by_default(render: Render) -> None:
    chart, base = by_name(render()), by_name(kustomize("base"))
    assert set(chart) == set(base)
    for key, rendered in chart.items():
        assert base[key] == rendered, key


def test_the_production_overlay_closes_the_network_as_the_chart_does(render: Render) -> None:
    policy = ("NetworkPolicy", "turnout")
    chart = by_name(render("--set", "networkPolicy.enabled=true"))
    overlay = by_name(kustomize("overlays/production"))
    assert overlay[policy] == chart[policy]

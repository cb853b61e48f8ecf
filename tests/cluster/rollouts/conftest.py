"""Images from the Dockerfiles, the chart by real helm, a namespace a test: what every rollout test stands on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Cluster, Recipe
from tests.cluster.rollouts.stage import OPERATOR_NAMESPACE, Stage

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def operator_image(cluster: Cluster) -> str:
    return cluster.build_image(Recipe(ROOT / "Dockerfile.operator", ROOT, "turnout-operator"))


@pytest.fixture(scope="session")
def predictor_image(cluster: Cluster) -> str:
    """The scikit-learn image with the misbehaving predictor baked in; it runs `custom` as well."""
    recipe = Recipe(
        ROOT / "Dockerfile.predictor",
        ROOT,
        "turnout-predictor-sklearn",
        target="sklearn",
        arguments={"MODEL_DIR": "tests/cluster/models"},
    )
    return cluster.build_image(recipe)


@pytest.fixture(scope="session")
def installed(cluster: Cluster, operator_image: str, predictor_image: str) -> Cluster:
    """The chart, installed or upgraded to these images."""
    cluster.helm(
        "upgrade", "--install", "turnout", str(ROOT / "charts/turnout"),
        "--namespace", OPERATOR_NAMESPACE, "--create-namespace", "--wait", "--timeout", "120s",
        "--set", f"images.operator={operator_image}",
        "--set", f"images.predictors.sklearn={predictor_image}",
        "--set", f"images.predictors.custom={predictor_image}",
        "--set", "security.seccomp=false",
    )  # fmt: skip
    return cluster


@pytest.fixture
def stage(installed: Cluster) -> Iterator[Stage]:
    """A namespace of its own, gone afterwards."""
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    installed.kubectl("create", "namespace", namespace)
    yield Stage(installed, namespace)
    installed.kubectl("delete", "namespace", namespace, "--wait=false")

"""Turnout on the cluster as a person installs it: images from the Dockerfiles, the chart by real helm."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from harness import Cluster, Recipe
from harness.layout import NODE_ADDRESS
from tests.cluster.rollouts.stage import OPERATOR_NAMESPACE, Stage

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "turnout"
PROMETHEUS = f"{NODE_ADDRESS}:19090"
"""Where the operator's source `cluster` would be: a test that wants one starts it there."""


def operator_image(cluster: Cluster) -> str:
    return cluster.build_image(Recipe(ROOT / "Dockerfile.operator", ROOT, "turnout-operator"))


def predictor_image(cluster: Cluster) -> str:
    """The scikit-learn image with the predictor baked in that misbehaves on command; it runs `custom` as well."""
    arguments = {"MODEL_DIR": "tests/cluster/models"}
    recipe = Recipe(ROOT / "Dockerfile.predictor", ROOT, "turnout-predictor-sklearn", "sklearn", arguments)
    return cluster.build_image(recipe)


def install(cluster: Cluster, release: str = "turnout", namespace: str = OPERATOR_NAMESPACE, **values: str) -> None:
    """Install the chart, or upgrade it to the images of this working tree; `values`: more of the chart's."""
    operator, predictor = operator_image(cluster), predictor_image(cluster)
    all_values = {
        "images.operator": operator,
        "images.predictors.sklearn": predictor,
        "images.predictors.custom": predictor,
        "security.seccomp": "false",
        "prometheus[0].name": "cluster",
        "prometheus[0].url": f"http://{PROMETHEUS}",
        **values,
    }
    cluster.helm(
        "upgrade", "--install", release, str(CHART), "--namespace", namespace, "--create-namespace",
        "--wait", "--timeout", "120s", "--set", ",".join(f"{key}={value}" for key, value in all_values.items()),
    )  # fmt: skip
    cluster.kubectl(  # helm is content while pods of the release before are still there, one of them leading
        "-n", namespace, "rollout", "status", f"deployment/{release}", "--timeout=60s"
    )  # fmt: skip


@contextlib.contextmanager
def stage(cluster: Cluster) -> Iterator[Stage]:
    """A namespace of its own, gone afterwards."""
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", namespace)
    try:
        yield Stage(cluster, namespace)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@contextlib.contextmanager
def operator_at_rest(cluster: Cluster) -> Iterator[None]:
    """Scaled to nothing for a while, if it is installed."""
    operator = ("-n", OPERATOR_NAMESPACE, "deployment", "turnout")
    replicas = cluster.kubectl("get", *operator, "--ignore-not-found", "-o", "jsonpath={.spec.replicas}").strip()
    if replicas:
        cluster.kubectl("scale", *operator, "--replicas=0")
        cluster.wait(
            "the operator rests", lambda: not cluster.pods(OPERATOR_NAMESPACE, "app.kubernetes.io/name=turnout")
        )
    yield
    if replicas:
        cluster.kubectl("scale", *operator, f"--replicas={replicas}")

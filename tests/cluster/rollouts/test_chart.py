"""The installed chart: its rights as the API server sees them, and an uninstall that nobody's callers notice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import Cluster
from tests.chart.test_rights import Right, operators, rights
from tests.cluster.rollouts.stage import MODEL, OPERATOR_NAMESPACE, PATIENCE, Stage, mver, steps

pytestmark = pytest.mark.cluster

CHART = Path(__file__).parents[3] / "charts" / "turnout"
REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}}


def granted(cluster: Cluster, account: str) -> set[Right]:
    """What the API server lets a service account of the operator's namespace do in the namespace default."""
    who = f"--as=system:serviceaccount:{OPERATOR_NAMESPACE}:{account}"
    review = json.loads(
        cluster.kubectl("create", "--validate=false", "-f", "-", "-o", "json", who, stdin=json.dumps(REVIEW))
    )
    return rights({"rules": review["status"]["resourceRules"]})


def test_the_operator_is_ready_and_the_crd_is_served(installed: Cluster) -> None:
    installed.kubectl("wait", "--for=condition=Established", "crd/modelversions.turnout.dev", "--timeout=10s")
    deployment = ("-n", OPERATOR_NAMESPACE, "deployment", "turnout")
    both = lambda: installed.get(*deployment)["status"].get("readyReplicas") == 2  # noqa: E731
    installed.wait("both replicas are ready", both, PATIENCE)  # one may just come back from another test's kill
    columns = installed.kubectl("get", "mver", "-A", "-o", "wide")
    assert "Error" not in columns


def test_the_api_server_grants_the_account_exactly_its_role(installed: Cluster) -> None:
    anybody = granted(installed, "default")
    (role,) = operators()
    assert granted(installed, "turnout") - anybody == rights(role)


MADE = (("inferenceservice", f"{MODEL}-1"), ("route.serving.knative.dev", MODEL))


def written(stage: Stage) -> list[tuple[str, int]]:
    """What was made for the model, and how often its specs were written."""
    objects = (stage.object(kind, name)["metadata"] for kind, name in MADE)
    return [(each["uid"], each["generation"]) for each in objects]


def test_an_uninstall_leaves_models_serving_and_an_install_takes_up_again(stage: Stage, tmp_path: Path) -> None:
    helm, release = stage.cluster.helm, ("turnout", "--namespace", OPERATOR_NAMESPACE)
    values = tmp_path / "values.json"
    values.write_text(helm("get", "values", *release, "--output", "json"))
    stage.apply(mver(1))
    stage.wait_state(f"{MODEL}-1", "Live")
    stage.quiet(5)  # what was recorded is written
    before = written(stage)
    with stage.stream() as stream:
        helm("uninstall", *release, "--wait")
        try:
            stage.cluster.kubectl("get", "crd", "modelversions.turnout.dev")
            assert stage.state(f"{MODEL}-1") == "Live"
            assert stage.call()[0] == 200
        finally:
            helm("install", "turnout", str(CHART), *release[1:], "--values", str(values), "--wait", "--timeout", "120s")
        stage.apply(mver(2, rollout=steps(50, pause="1s")))
        stage.wait_state(f"{MODEL}-2", "Live", seconds=120)
    assert [answer for answer in stream.answers if answer.failed] == []
    assert written(stage)[0] == before[0]

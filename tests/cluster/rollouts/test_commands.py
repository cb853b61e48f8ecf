"""The commands on a real cluster: by kubectl itself, as its plugin, and with the rights of the chart's roles alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cluster.rollouts.stage import MODEL, OPERATOR_NAMESPACE, UNTIL_TOLD, Stage, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STABLE, CANARY, THIRD = f"{MODEL}-1", f"{MODEL}-2", f"{MODEL}-3"

Turnout = Callable[..., str]
"""`kubectl turnout …`: what it printed; fails the test unless it ends with `code`."""


def person(stage: Stage, kubeconfig: Path) -> Turnout:
    """Whoever bears that kubeconfig, at a shell whose kubectl finds the plugin."""
    shell = stage.cluster.exports() | {"KUBECONFIG": str(kubeconfig)}
    shell["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), shell["PATH"]])

    def turnout(*words: str, code: int = 0) -> str:
        command = [str(stage.cluster.program("kubectl")), "turnout", *words, "-n", stage.namespace]
        done = subprocess.run(command, env=os.environ | shell, text=True, capture_output=True, timeout=300, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{' '.join(words)}: {done.returncode}\n{said}\n{stage.story()}"
        return said

    return turnout


@pytest.fixture
def admin(stage: Stage) -> Turnout:
    return person(stage, stage.cluster.kubeconfig)


def account(stage: Stage, folder: Path, *roles: str) -> Turnout:
    """A ServiceAccount that has these ClusterRoles in the namespace, and nothing else."""
    name = "-".join(roles)
    stage.kubectl("create", "serviceaccount", name)
    for role in roles:
        who = f"--serviceaccount={stage.namespace}:{name}"
        stage.kubectl("create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}", who)
    kubeconfig = yaml.safe_load(stage.cluster.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": stage.kubectl("create", "token", name).strip()}
    file = folder / f"{name}.kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig))
    return person(stage, file)


def wait_for_poll(stage: Stage) -> None:
    """Before the first one there is nothing to tell."""
    stage.wait("it is judged", lambda: bool(stage.status(CANARY).get("analysis", {}).get("memory")))


def test_a_rollout_is_led_by_commands_alone(stage: Stage, admin: Turnout, tmp_path: Path) -> None:
    first_version(stage)
    second = tmp_path / "second.yaml"
    second.write_text(json.dumps(mver(2, rollout=steps(steps=UNTIL_TOLD))))
    assert "30 %" in admin("plan", str(second))
    stage.kubectl("apply", "-f", str(second))
    stage.wait_weight(CANARY, 30)
    assert "v2" in admin("status", MODEL)
    admin("pause", MODEL, "--wait")
    assert stage.object("mver", CANARY)["spec"]["control"]["paused"] is True
    admin("resume", MODEL, "--wait")
    admin("promote", MODEL, "--wait")
    stage.wait_state(CANARY, "Live")
    assert "no rollout" in admin("promote", MODEL, code=1)
    admin("rollback", MODEL, "--wait")
    stage.wait_state(STABLE, "Live")
    admin("rollback", MODEL, "2", "--wait")
    stage.wait_state(CANARY, "Live")
    assert "Live" in admin("history", MODEL)


def test_a_rollout_is_aborted_tried_again_and_promoted_fully_by_commands(stage: Stage, admin: Turnout) -> None:
    first_version(stage)
    stage.apply(mver(2, rollout=steps(10, 20, pause="1h")))
    stage.wait_weight(CANARY, 10)
    wait_for_poll(stage)
    assert "requests" in admin("analyze", MODEL)
    admin("abort", MODEL, "--wait")
    stage.wait_split({STABLE: 100})
    admin("retry", MODEL, "--wait")
    stage.wait("it has its share again", lambda: stage.status(CANARY)["attempt"] == 2)
    stage.wait_weight(CANARY, 10)
    admin("promote", MODEL, "--full", "--wait")
    stage.wait_state(CANARY, "Live")


def test_nobody_needs_more_rights_than_the_charts_roles_give(stage: Stage, tmp_path: Path) -> None:
    first_version(stage)
    stage.apply(mver(2, rollout=steps(steps=UNTIL_TOLD)))
    stage.wait_weight(CANARY, 30)
    viewer = account(stage, tmp_path, "turnout-viewer")
    assert "v2" in viewer("status", MODEL)
    wait_for_poll(stage)
    viewer("analyze", MODEL)
    viewer("history", MODEL)
    assert "ask for the verb patch on modelversions.turnout.dev" in viewer("promote", MODEL, code=1)
    deployer = account(stage, tmp_path, "turnout-viewer", "turnout-deployer")
    assert "ask for the verb abort on modelversions.turnout.dev" in deployer("abort", MODEL, code=1)
    duty = account(stage, tmp_path, "turnout-viewer", "turnout-operator")
    duty("pause", MODEL, "--wait")
    duty("resume", MODEL, "--wait")
    approver = account(stage, tmp_path, "turnout-approver")
    assert "ask for the verb abort" in approver("abort", MODEL, code=1)
    approver("promote", MODEL, "--wait")
    stage.wait_state(CANARY, "Live")
    stage.apply(mver(3, rollout=steps(steps=UNTIL_TOLD)))
    stage.wait_weight(THIRD, 30)
    duty("abort", MODEL, "--wait")
    stage.wait_split({CANARY: 100})


def test_preflight_finds_this_cluster_well(stage: Stage, admin: Turnout) -> None:
    said = admin("preflight")
    for part in ("Kubernetes", "KServe", "Knative", "operator"):
        assert part in said
    assert OPERATOR_NAMESPACE in said

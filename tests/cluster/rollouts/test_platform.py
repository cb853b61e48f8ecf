"""The platform breaks under a running rollout: controllers, webhook, API server, every pod of the node."""

from __future__ import annotations

import time

import pytest

from tests.cluster.rollouts.losses import lost
from tests.cluster.rollouts.stage import MODEL, Stage, condition, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STABLE, CANARY = f"{MODEL}-1", f"{MODEL}-2"
CONTROLLERS = (
    ("kserve", "kserve-controller-manager"),
    ("knative-serving", "controller"),
    ("knative-serving", "autoscaler"),
    ("knative-serving", "activator"),
    ("knative-serving", "net-kourier-controller"),
    ("knative-serving", "webhook"),
)


def test_every_controller_restarts_in_a_rollout_and_it_goes_on(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(10, 30, 50, pause="15s")))
        stage.wait_weight(CANARY, 10)
        made = stage.object("isvc", CANARY)["metadata"]["generation"]
        for namespace, controller in CONTROLLERS:
            stage.cluster.restart_controller(namespace, controller)
        stage.wait_weight(CANARY, 50, 240)  # fifteen seconds after Knative has followed to 30: it leads again
        back = time.time()
        stage.wait_state(CANARY, "Live", 240)
        time.sleep(2)
    assert stage.status(CANARY)["attempt"] == 1
    assert stage.object("isvc", CANARY)["metadata"]["generation"] == made
    stage.wait_split({CANARY: 100})
    assert all(answer.sent < back for answer in lost("controllers-restarted", caller)), caller.explain()


def test_without_knatives_webhook_for_a_minute_the_split_stands_and_then_goes_on(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        plan = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "1s"}}]
        stage.apply(mver(2, rollout=steps(steps=plan)))
        split = {STABLE: 90, CANARY: 10}
        stage.wait_split(split)
        with stage.cluster.without("knative-serving", "webhook"):
            gone = time.time()
            stage.patch(CANARY, control={"promote": {"mode": "NextStep", "token": "go-on"}})
            told = lambda: condition(stage.status(CANARY), "TrafficInSync")["reason"]  # noqa: E731
            stage.wait("the version says so", lambda: told() == "TrafficUnwritable")
            time.sleep(max(0.0, gone + 60 - time.time()))
            stage.wait_split(split)
        stage.wait_state(CANARY, "Live")
        time.sleep(1)
    assert stage.status(CANARY)["attempt"] == 1
    lost("webhook-gone", caller)


def test_the_api_server_restarts_in_a_rollout_and_it_goes_on(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(10, 50, pause="8s")))
        stage.wait_weight(CANARY, 10)
        stage.cluster.restart_api_server()
        stage.wait_state(CANARY, "Live", 150)
        time.sleep(1)
    assert stage.status(CANARY)["attempt"] == 1
    lost("api-server-restarted", caller)


def test_every_pod_of_the_node_is_killed_and_the_model_serves_again(stage: Stage) -> None:
    first_version(stage)
    stage.apply(mver(2, rollout=steps(30, pause="10m")))
    stage.wait_weight(CANARY, 30)
    with stage.stream(rate=10, timeout=5) as caller:
        stage.cluster.kill_pods()
        stage.wait("the cluster works again", stage.cluster.is_healthy, 240)
        stage.wait("all is well", lambda: settled(stage), 240)  # Kourier asks gateways that were gone each 30 s
        back = time.time()
        time.sleep(3)
    assert all(answer.sent < back for answer in lost("node-killed", caller)), caller.explain()


def settled(stage: Stage) -> bool:
    """The stable version serves; the canary is back at its step, or was taken for crashed with the rest.

    Every object says what it said before the kill until somebody looks again: so all who are in the split are asked.
    """
    split = stage.split()
    return (
        stage.state(STABLE) == "Live"
        and split == stage.written()
        and split in ({STABLE: 100}, {STABLE: 70, CANARY: 30})
        and stage.answers(*split)
    )

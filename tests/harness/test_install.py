"""How releases of Knative, Kourier and KServe are fitted to one small machine."""

from __future__ import annotations

from typing import Any

import pytest

from harness.install import NAMESPACES, all_available, with_authority
from harness.layout import GATEWAY_ADDRESS
from harness.releases import adapt, image

IMAGES = {
    "ko://knative.dev/serving/cmd/activator": "dev.local/activator:1",
    "ko://knative.dev/net-kourier/cmd/kourier": "dev.local/kourier:1",
    "docker.io/envoyproxy/envoy:v1.34-latest": "dev.local/envoy:1",
    "kserve/kserve-controller:v0.20.0": "dev.local/manager:1",
    "registry.example:5000/kserve/agent@sha256:0a1b": "dev.local/agent:1",
}


@pytest.mark.parametrize(("theirs", "ours"), IMAGES.items())
def test_images_are_ours(theirs: str, ours: str) -> None:
    assert image(theirs) == ours


def deployment(name: str) -> dict[str, Any]:
    container = {
        "name": "controller",
        "image": "ko://knative.dev/serving/cmd/controller",
        "resources": {"requests": {"cpu": "100m"}},
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 10},
    }
    spec = {"containers": [container, {"name": "kube-rbac-proxy", "image": "x"}]}
    return {
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": name}}, "spec": spec}},
    }


def test_a_deployment_asks_for_nothing_and_keeps_what_matters() -> None:
    changed = adapt(deployment("controller"))
    assert changed
    assert changed["spec"]["replicas"] == 1
    assert changed["spec"]["template"]["metadata"] == {"labels": {"app": "controller"}}
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    assert "resources" not in container
    assert container["securityContext"] == {"runAsNonRoot": True}
    assert container["readinessProbe"] == {"httpGet": {"port": 8080}, "periodSeconds": 1, "initialDelaySeconds": 1}


def test_the_gateway_has_two_pods_since_one_is_an_outage() -> None:
    changed = adapt(deployment("3scale-kourier-gateway"))
    assert changed
    assert changed["spec"]["replicas"] == 2


def test_the_gateway_has_an_address_that_survives_its_pods() -> None:
    service = {"kind": "Service", "metadata": {"name": "kourier"}, "spec": {"type": "LoadBalancer", "ports": []}}
    changed = adapt(service)
    assert changed
    assert changed["spec"] == {"type": "ClusterIP", "clusterIP": GATEWAY_ADDRESS, "ports": []}


def test_settings_are_added_to_those_of_the_release() -> None:
    release = {"kind": "ConfigMap", "metadata": {"name": "config-features"}, "data": {"multi-container": "enabled"}}
    changed = adapt(release)
    assert changed
    assert changed["data"]["multi-container"] == "enabled"
    assert changed["data"]["kubernetes.podspec-persistent-volume-claim"] == "enabled"


def test_the_queue_proxy_that_a_config_map_names_is_ours_too() -> None:
    data = {"queue-sidecar-image": "ko://knative.dev/serving/cmd/queue"}
    changed = adapt({"kind": "ConfigMap", "metadata": {"name": "config-deployment"}, "data": data})
    assert changed
    assert changed["data"]["queue-sidecar-image"] == "dev.local/queue:1"


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "PodDisruptionBudget", "Certificate", "Issuer", "Image"])
def test_what_one_node_has_no_use_for_is_left_out(kind: str) -> None:
    assert adapt({"kind": kind, "metadata": {"name": "x"}}) is None


def test_webhooks_trust_our_authority() -> None:
    hooks = [{"name": "a", "clientConfig": {"service": {"name": "s"}, "caBundle": "Cg=="}}]
    changed = with_authority({"kind": "ValidatingWebhookConfiguration", "webhooks": hooks}, "b3Vycw==")
    assert changed["webhooks"][0]["clientConfig"] == {"service": {"name": "s"}, "caBundle": "b3Vycw=="}


def running(namespace: str, available: int) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace}, "spec": {"replicas": 1}, "status": {"availableReplicas": available}}


HEALTH = {
    "all parts have their pods": ([running(name, 1) for name in NAMESPACES], True),
    "a model of a test is broken": ([*(running(name, 1) for name in NAMESPACES), running("models", 0)], True),
    "a part lacks a pod": ([*(running(name, 1) for name in NAMESPACES), running("kserve", 0)], False),
    "a part is missing": ([running("kserve", 1)], False),
    "nothing is there": ([], False),
}


@pytest.mark.parametrize(("deployments", "healthy"), HEALTH.values(), ids=HEALTH.keys())
def test_the_cluster_is_healthy_when_its_own_parts_are(deployments: list[dict[str, Any]], healthy: bool) -> None:
    assert all_available(deployments) is healthy

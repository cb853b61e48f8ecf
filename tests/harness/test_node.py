"""The node's configuration, where a mistake would be found only by a cluster that does not start."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from harness.configuration import (
    audit_policy,
    cni_configuration,
    containerd_configuration,
    kubelet_configuration,
)
from harness.layout import NODE_ADDRESS, POD_CIDR, SERVICE_CIDR, Layout
from harness.pki import kubeconfig

LAYOUT = Layout(cache=Path("/cache"), state=Path("/state"))


def test_containerd_listens_where_the_kubelet_looks() -> None:
    configuration = tomllib.loads(containerd_configuration(LAYOUT))
    assert kubelet_configuration(LAYOUT)["containerRuntimeEndpoint"] == f"unix://{configuration['grpc']['address']}"


def test_nothing_is_written_outside_the_state_folder_that_could_be_inside() -> None:
    texts = [containerd_configuration(LAYOUT), json.dumps(cni_configuration(LAYOUT))]
    assert all("/var/" not in text and "/run/" not in text for text in texts)


def test_pods_and_services_do_not_overlap_and_the_node_is_in_the_pods_network() -> None:
    assert POD_CIDR.rsplit(".", 1)[0] == NODE_ADDRESS.rsplit(".", 1)[0]
    assert POD_CIDR.split(".")[:2] != SERVICE_CIDR.split(".")[:2]


def test_the_first_audit_rules_silence_the_cluster_itself_and_the_last_hears_everyone_else() -> None:
    rules = audit_policy()["rules"]
    assert isinstance(rules, list)
    assert "component" in rules[0]["users"]
    assert rules[-1] == {"level": "Metadata"}


def test_a_kubeconfig_works_from_any_folder() -> None:
    clusters = kubeconfig(Path("/state/pki"), "admin", "https://127.0.0.1:6443")["clusters"]
    assert isinstance(clusters, list)
    assert clusters[0]["cluster"]["certificate-authority"] == "/state/pki/ca.crt"

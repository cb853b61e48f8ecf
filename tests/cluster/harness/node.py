"""The node: containerd and the six programs of Kubernetes, as plain processes of this machine.

Made for a test machine: no high availability, no upgrades, and a data store that is thrown away at every
start.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from harness import images, network, pki, processes
from harness.binaries import binary
from harness.configuration import (
    audit_policy,
    cni_configuration,
    containerd_configuration,
    kubelet_configuration,
)
from harness.layout import NODE, NODE_ADDRESS, POD_CIDR, SERVICE_CIDR, Layout
from harness.shell import run, step, succeeds, until

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def start(layout: Layout) -> None:
    """A clean machine becomes a cluster that has an API server, and no node yet."""
    network.create(layout)
    pki.create(layout.pki, layout.api_server)
    _start_control_plane(layout)


def join(layout: Layout) -> None:
    """This machine becomes the cluster's node, with the images that the cluster itself runs."""
    _start_containerd(layout)
    with step("images imported"):
        images.import_all(layout)  # the pause is needed at once: the kubelet starts no pod without it
    _start_kubelet(layout)
    until("node ready", lambda: _node_is_ready(layout))


def kubectl(layout: Layout, *arguments: str, stdin: str | None = None) -> str:
    """kubectl as a part of the cluster, not as a person: left out of the audit log."""
    kubeconfig = layout.pki / "component.kubeconfig"
    return run(binary(layout, "kubectl"), "--kubeconfig", kubeconfig, *arguments, stdin=stdin)


def is_serving(layout: Layout) -> bool:
    """Whether the API server answers at all."""
    if not layout.kubeconfig.exists():
        return False
    kubeconfig = layout.pki / "component.kubeconfig"
    return succeeds(
        *(binary(layout, "kubectl"), "--kubeconfig", kubeconfig),
        *("--request-timeout", "3s", "get", "--raw", "/readyz"),
    )


def restart_api_server(layout: Layout) -> None:
    """Killed and started again; etcd keeps its data."""
    processes.kill(processes.daemon(layout, "kube-apiserver"))
    until("the API server is gone", lambda: _is_free(6443))
    _start_api_server(layout)


def _is_free(port: int) -> bool:
    """A process that is killed may be gone from /proc before its sockets are."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError:
            return False
    return True


def _node_is_ready(layout: Layout) -> bool:
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    return kubectl(layout, "get", "nodes", "-o", path).strip() == "True"


def _start_containerd(layout: Layout) -> None:
    home = layout.containerd_socket.parent
    (home / "cni").mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(containerd_configuration(layout))
    (home / "cni" / "10-turnout.conflist").write_text(json.dumps(cni_configuration(layout), indent=1))
    processes.start(layout, "containerd", "containerd", "--config", home / "config.toml")
    until("containerd answers", lambda: succeeds("ctr", "-a", str(layout.containerd_socket), "version"))


def _start_control_plane(layout: Layout) -> None:
    keys, component = layout.pki, layout.pki / "component.kubeconfig"
    start_api_server(layout)
    _daemon(
        layout,
        "kube-controller-manager",
        kubeconfig=component,
        leader_elect="false",
        service_account_private_key_file=keys / "sa.key",
        root_ca_file=keys / "ca.crt",
    )
    _daemon(layout, "kube-scheduler", kubeconfig=component, leader_elect="false")


def _daemon(layout: Layout, program: str, **flags: str | Path) -> None:
    """One of the cluster's programs; `secure_port="6443"` becomes `--secure-port=6443`."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    processes.start(layout, program, binary(layout, program), *words)


def start_api_server(layout: Layout) -> None:
    """The API server and its store; what it needs of `pki` is there."""
    _start_etcd(layout)
    _start_api_server(layout)


def start_controllers(layout: Layout, *names: str) -> None:
    """Some of Kubernetes' own controllers, by name: for an API server without a node."""
    keys = layout.pki
    _daemon(
        layout,
        "kube-controller-manager",
        kubeconfig=keys / "component.kubeconfig",
        leader_elect="false",
        service_account_private_key_file=keys / "sa.key",
        controllers=",".join(names),
        secure_port="0",
    )


def _start_etcd(layout: Layout) -> None:
    client, peers = (f"http://127.0.0.1:{port}" for port in (layout.etcd_port, layout.etcd_port + 1))
    _daemon(
        layout,
        "etcd",
        data_dir=layout.state / "etcd",
        unsafe_no_fsync="true",
        listen_client_urls=client,
        advertise_client_urls=client,
        listen_peer_urls=peers,
    )


def _start_api_server(layout: Layout) -> None:
    keys, policy = layout.pki, layout.state / "audit-policy.json"
    policy.write_text(json.dumps(audit_policy(), indent=1))
    _daemon(
        layout,
        "kube-apiserver",
        etcd_servers=f"http://127.0.0.1:{layout.etcd_port}",
        secure_port=str(layout.api_port),
        advertise_address=NODE_ADDRESS,
        tls_cert_file=keys / "apiserver.crt",
        tls_private_key_file=keys / "apiserver.key",
        client_ca_file=keys / "ca.crt",
        authorization_mode="Node,RBAC",
        service_account_key_file=keys / "sa.pub",
        service_account_signing_key_file=keys / "sa.key",
        service_account_issuer="https://kubernetes.default.svc",
        service_cluster_ip_range=SERVICE_CIDR,
        allow_privileged="true",
        enable_aggregator_routing="true",  # webhooks by endpoint: the API server is in no pod network
        kubelet_preferred_address_types="InternalIP",
        kubelet_certificate_authority=keys / "ca.crt",
        kubelet_client_certificate=keys / "component.crt",
        kubelet_client_key=keys / "component.key",
        audit_policy_file=policy,
        audit_log_path=layout.audit_log,
        audit_log_mode="blocking",  # what was answered is in the log: tests read it right after
        audit_log_maxsize="500",
    )
    until("API server ready", lambda: is_serving(layout))


def _start_kubelet(layout: Layout) -> None:
    component, configuration = layout.pki / "component.kubeconfig", layout.state / "kubelet.json"
    configuration.write_text(json.dumps(kubelet_configuration(layout), indent=1))
    _daemon(
        layout,
        "kubelet",
        config=configuration,
        kubeconfig=layout.pki / "kubelet.kubeconfig",
        root_dir=layout.state / "kubelet",
        hostname_override=NODE,
        node_ip=NODE_ADDRESS,
    )
    _daemon(
        layout,
        "kube-proxy",
        proxy_mode="iptables",
        kubeconfig=component,
        cluster_cidr=POD_CIDR,
        hostname_override=NODE,
        conntrack_max_per_core="0",  # the kernel's limits are the machine's, not ours
        conntrack_tcp_timeout_established="0",
        conntrack_tcp_timeout_close_wait="0",
    )
    corefile = layout.state / "Corefile"
    zone = f"kubernetes cluster.local in-addr.arpa {{\n  kubeconfig {component}\n }}"
    corefile.write_text(f".:53 {{\n bind {NODE_ADDRESS}\n errors\n cache 5\n {zone}\n}}\n")
    processes.start(layout, "coredns", binary(layout, "coredns"), "-conf", corefile)


def describe_logs(folder: Path) -> str:
    """The last words of each daemon, for an error message."""
    tails = []
    for log in sorted(folder.glob("*.log")):
        if log.name != "audit.log":
            lines = log.read_text(errors="replace").splitlines()
            tails.append(f"{log.name}: {lines[-1][:200] if lines else '(empty)'}")
    return "\n".join(tails)

"""What containerd, its network and the kubelet are told, and what the API server writes down of its callers.

Each line that differs from a default is there because a sandboxed test machine does not start without it.
"""

from __future__ import annotations

from harness.images import REGISTRY
from harness.layout import BRIDGE, NODE, NODE_ADDRESS, POD_CIDR, Layout
from harness.machine import CNI_PLUGINS


def containerd_configuration(layout: Layout) -> str:
    """What differs from the defaults lets it run without AppArmor, hugetlb and an oom_score to lower."""
    home = layout.containerd_socket.parent
    return f"""version = 2
root = "{home}/root"
state = "{home}/state"
oom_score = 0
[grpc]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{REGISTRY}/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{home}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def cni_configuration(layout: Layout) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.state / "addresses"),
        "ranges": [[{"subnet": POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "turnout", "plugins": [bridge]}


def audit_policy() -> dict[str, object]:
    """Every request of anybody but the cluster's own parts; writes to our and KServe's kinds with bodies."""
    served = [{"group": group} for group in ("turnout.dev", "serving.kserve.io", "serving.knative.dev")]
    writes = ["create", "update", "patch", "delete", "deletecollection"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {"level": "None", "users": ["component", "system:apiserver", f"system:node:{NODE}"]},
            {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*", "/openapi*", "/api*"]},
            {"level": "Request", "verbs": writes, "resources": served},
            {"level": "Metadata"},
        ],
    }


def kubelet_configuration(layout: Layout) -> dict[str, object]:
    """A kubelet that starts where cgroups are version 1 and root may set no limits (a sandboxed machine)."""
    pressure = ("memory.available", "nodefs.available", "imagefs.available")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        "featureGates": {"KubeletInUserNamespace": True},
        "localStorageCapacityIsolation": False,
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "evictionHard": dict.fromkeys(pressure, "0%"),
        "imageGCHighThresholdPercent": 100,  # images come from nowhere else: never collect them
        "imageGCLowThresholdPercent": 99,
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "podLogsDir": str(layout.logs / "pods"),
        "volumePluginDir": str(layout.state / "volume-plugins"),
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": "cluster.local",
        "syncFrequency": "5s",
        "maxPods": 200,
    }

"""Where things lie: what is dear and shared by all clones (the cache), what one cluster makes (the state).

The state has one fixed place per machine, because so have the bridge, the iptables rules and the mounts: a
cluster whose starter was killed is found and cleared by whoever comes next, from any clone.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

STATE = Path("/var/lib/turnout-cluster")
LOCK = Path("/var/lock/turnout-cluster.lock")
NODE = "node1"
BRIDGE = "turnout0"
NODE_ADDRESS = "10.244.0.1"  # the bridge's own address is the node's
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"  # the first of SERVICE_CIDR, taken by the API server itself
GATEWAY_ADDRESS = "10.96.0.80"  # fixed, so that it survives the gateway's pods
INTERNAL_GATEWAY_ADDRESS = "10.96.0.81"


def cache_home() -> Path:
    """The folder that every clone of this user shares: binaries and images by version or content."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "turnout" / "cluster"


def architecture() -> str:
    """This machine's architecture in Go's and Debian's word for it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path the harness writes to, in one place."""

    cache: Path
    state: Path
    api_port: int = 6443
    etcd_port: int = 2379  # and the next one, for its peers

    @property
    def api_server(self) -> str:
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def binaries(self) -> Path:
        """One folder per component and version, never changed once it is there."""
        return self.cache / "bin"

    @property
    def builds(self) -> Path:
        return self.cache / "build"

    @property
    def images(self) -> Path:
        """Image archives, named by a digest of what is in them."""
        return self.cache / "images"

    @property
    def builds_of_images(self) -> Path:
        """Where image builds keep their layers."""
        return self.cache / "buildah"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd" / "containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        return self.pki / "admin.kubeconfig"

    @property
    def birth(self) -> Path:
        """Written last by a start that succeeded: who, where, when."""
        return self.state / "birth.json"


def here() -> Layout:
    return Layout(cache=cache_home(), state=STATE)

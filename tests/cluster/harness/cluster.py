"""The running cluster as tests and benchmarks see it: kubectl, helm, gateway, audit log, processes of pods.

Knows nothing of Turnout. Every call is synchronous: run it in a thread where an event loop must not stand
still.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness import builder, images, lifecycle, node, processes
from harness.audit import AuditLog
from harness.binaries import binary
from harness.builder import Recipe
from harness.errors import HarnessError
from harness.layout import GATEWAY_ADDRESS, INTERNAL_GATEWAY_ADDRESS, NODE, Layout, here
from harness.shell import run, step, until


class Cluster:
    """A cluster that is up (see `lifecycle` for how it comes to be)."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or here()
        self.audit = AuditLog(self.layout.audit_log)

    @property
    def kubeconfig(self) -> Path:
        """Of a cluster administrator."""
        return self.layout.kubeconfig

    @property
    def gateway(self) -> str:
        """Where requests from outside arrive, with the Host header `MODEL.NAMESPACE.example.com`."""
        return f"http://{GATEWAY_ADDRESS}"

    @property
    def internal_gateway(self) -> str:
        """Where requests from inside arrive, with the Host header `NAME.NAMESPACE.svc.cluster.local`."""
        return f"http://{INTERNAL_GATEWAY_ADDRESS}"

    @property
    def logs(self) -> Path:
        """Logs of the daemons, and below `pods/` those of every container."""
        return self.layout.logs

    def program(self, name: str) -> Path:
        """The path of `kubectl`, `helm`, `kubeconform` …"""
        return binary(self.layout, name)

    def exports(self) -> dict[str, str]:
        """What a shell or a subprocess needs to talk to the cluster."""
        folders = {str(self.program(name).parent) for name in ("kubectl", "helm", "kubeconform")}
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": os.pathsep.join([*sorted(folders), os.environ.get("PATH", "")]),
            "TURNOUT_GATEWAY": self.gateway,
            "TURNOUT_INTERNAL_GATEWAY": self.internal_gateway,
        }

    def instructions(self) -> str:
        """What a person does with it next."""
        return (
            f"gateway   curl -H 'Host: MODEL.NAMESPACE.example.com' {self.gateway}/v2/models/MODEL\n"
            f"inside    {self.internal_gateway}, with Host: NAME.NAMESPACE.svc.cluster.local\n"
            f"kubectl   export KUBECONFIG={self.kubeconfig}\n"
            f"          {self.program('kubectl')} get pods -A\n"
            f"logs      {self.logs}"
        )

    # ---- the API server

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """kubectl's standard output; CommandError with its error text."""
        kubectl = self.program("kubectl")
        return run(kubectl, "--kubeconfig", self.kubeconfig, *arguments, stdin=stdin, timeout=timeout)

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json` as Python data: an object, or a List for a kind."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, manifest: str | dict[str, Any], namespace: str = "default") -> None:
        """kubectl apply, of YAML text or of one object."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        self.kubectl("-n", namespace, "apply", "-f", "-", stdin=text)

    def helm(self, *arguments: str, timeout: float = 300) -> str:
        """helm's standard output; CommandError with its error text."""
        return run(self.program("helm"), "--kubeconfig", self.kubeconfig, *arguments, timeout=timeout)

    def wait(self, what: str, true: Callable[[], bool], seconds: float = 60) -> None:
        """Until a fact of the cluster holds; HarnessError names it if it does not within the time."""
        until(what, true, seconds, every=0.1)

    # ---- images

    def import_image(self, archive: Path) -> None:
        """Make an archive's images known to the node under the names they bear."""
        images.import_archive(self.layout, archive)

    def build_image(self, recipe: Recipe) -> str:
        """Build an image from its Dockerfile unless its inputs are old acquaintances; its name on the node."""
        name, archive = builder.build(self.layout, recipe)
        if not self.has_image(name):
            with step(f"import {name}"):
                self.import_image(archive)
        return name

    def has_image(self, name: str) -> bool:
        return images.present(self.layout, name)

    # ---- what happens to pods

    def pod_pids(self, namespace: str, pod: str, container: str = "kserve-container") -> list[int]:
        """The processes of a container on this machine, its first one first; [] while it has none.

        Found by the container's id in /proc/PID/cgroup.
        """
        statuses = self.get("-n", namespace, "pod", pod).get("status", {}).get("containerStatuses", [])
        ids = [one["containerID"].rsplit("/", 1)[-1] for one in statuses if one["name"] == container]
        ids = [one for one in ids if one]
        return sorted(pid for one in ids for pid in _pids_in_cgroup(one))

    def signal_pod(
        self, number: signal.Signals, namespace: str, pod: str, container: str = "kserve-container"
    ) -> list[int]:
        """Signal every process of a container, past Kubernetes: SIGSTOP hangs it, SIGKILL crashes it."""
        pids = self.pod_pids(namespace, pod, container)
        if not pids:
            raise HarnessError(f"container {container} of pod {namespace}/{pod} has no process to send {number.name}")
        for pid in pids:
            os.kill(pid, number)
        return pids

    def pods(self, namespace: str, selector: str) -> list[str]:
        """Names of the pods that a label selector finds, those being deleted left out."""
        found = self.get("-n", namespace, "pods", "-l", selector)["items"]
        return [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]

    def restarts(self, namespace: str, pod: str) -> int:
        """How often containers of a pod have been started again and are ready."""
        statuses = self.get("-n", namespace, "pod", pod).get("status", {}).get("containerStatuses", [])
        return sum(int(one["restartCount"]) for one in statuses if one["ready"])

    @contextlib.contextmanager
    def cordoned(self) -> Iterator[None]:
        """No new pod finds a node."""
        self.kubectl("cordon", NODE)
        try:
            yield
        finally:
            self.uncordon()

    def uncordon(self) -> None:
        self.kubectl("uncordon", NODE)

    @contextlib.contextmanager
    def without(self, namespace: str, deployment: str, seconds: float = 60) -> Iterator[None]:
        """A deployment is gone, with no time to say goodbye, and back afterwards."""
        replicas, selector = self._pods_of(namespace, deployment)
        running = self._processes_of(namespace, selector)
        scale = ("-n", namespace, "scale", "deployment", deployment)
        self.kubectl(*scale, "--replicas=0")
        try:
            self.kubectl("-n", namespace, "delete", "pod", "-l", selector, "--grace-period=0", "--force")
            _signal(running, signal.SIGKILL)  # what the API server holds open would be served to the end of its grace
            self.wait(f"{deployment} is gone", lambda: not self._available(namespace, deployment), seconds)
            yield
        finally:
            self.kubectl(*scale, f"--replicas={replicas}")
            self.wait(f"{deployment} is back", lambda: self._available(namespace, deployment) >= replicas, seconds)

    @contextlib.contextmanager
    def stopped(self, namespace: str, deployment: str) -> Iterator[None]:
        """A deployment's processes stand still, and go on afterwards: it hears and does nothing, and does not know."""
        _, selector = self._pods_of(namespace, deployment)
        running = self._processes_of(namespace, selector)
        _signal(running, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(running, signal.SIGCONT)

    def _processes_of(self, namespace: str, selector: str) -> list[int]:
        found = self.get("-n", namespace, "pods", "-l", selector)["items"]
        return [pid for one in found for pid in _pids_in_cgroup(one["metadata"]["uid"])]

    def _pods_of(self, namespace: str, deployment: str) -> tuple[int, str]:
        """How many pods a deployment wants, and the selector that finds them."""
        spec = self.get("-n", namespace, "deployment", deployment)["spec"]
        labels = spec["selector"]["matchLabels"]
        return int(spec.get("replicas", 1)), ",".join(f"{key}={value}" for key, value in labels.items())

    def _available(self, namespace: str, deployment: str) -> int:
        found = self.get("-n", namespace, "deployment", deployment)
        return int(found.get("status", {}).get("availableReplicas", 0))

    def restart_api_server(self) -> None:
        """Kill it as a crash would, and start it anew on the data that is there."""
        node.restart_api_server(self.layout)

    def is_healthy(self) -> bool:
        """Whether all of it works, webhooks included."""
        return lifecycle.is_healthy(self.layout)

    def kill_pods(self) -> None:
        """Kill every process of every pod of the node, whosever it is; the kubelet starts them all again."""
        processes.kill(processes.in_containers(self.layout))

    def restart_controller(self, namespace: str, deployment: str, seconds: float = 60) -> None:
        """Delete a deployment's pods at once, as a crash would, and wait until new ones are available."""
        wanted, selector = self._pods_of(namespace, deployment)
        old = set(self.pods(namespace, selector))
        self.kubectl("-n", namespace, "delete", "pod", "-l", selector, "--grace-period=0", "--force")

        def replaced() -> bool:
            fresh = set(self.pods(namespace, selector)) - old
            return len(fresh) >= wanted and self._available(namespace, deployment) >= wanted

        self.wait(f"{namespace}/{deployment} restarted", replaced, seconds)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _pids_in_cgroup(name: str) -> list[int]:
    """Of a container by its id, of a pod by its uid."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if name in folder.joinpath("cgroup").read_text():
                    found.append(int(folder.name))
            except OSError:  # ended meanwhile
                continue
    return found

"""The harness's own promises on the running cluster: images serve, pods can be hurt, writes are seen."""

from __future__ import annotations

import signal
import urllib.request
from pathlib import Path
from textwrap import dedent

import pytest

from harness import Cluster, Recipe
from harness.errors import InUseError
from harness.layout import LOCK
from harness.lock import exclusive

SERVER = dedent(
    """
    import http.server, os, cowsay

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"uid {os.getuid()}".encode())

    http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
    """
)
DOCKERFILE = dedent(
    """
    ARG BASE_IMAGE=python:3.13-slim
    FROM ${BASE_IMAGE} AS build
    RUN python3 -m venv /opt/server && /opt/server/bin/pip install --no-cache-dir cowsay
    FROM ${BASE_IMAGE}
    COPY --from=build /opt/server /opt/server
    COPY server.py /server.py
    USER 65532:65532
    ENTRYPOINT ["/opt/server/bin/python", "/server.py"]
    """
)


@pytest.fixture(scope="module")
def image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    context = tmp_path_factory.mktemp("context")
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "server.py").write_text(SERVER)
    return cluster.build_image(Recipe(context / "Dockerfile", context, "harness-test"))


@pytest.fixture
def pod(cluster: Cluster, namespace: str, image: str) -> str:
    """The pod of an InferenceService that answers."""
    resources = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    container = {"name": "kserve-container", "image": image, "resources": resources}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "probe", "annotations": {"serving.kserve.io/deploymentMode": "Knative"}},
        "spec": {"predictor": {"minReplicas": 1, "containers": [container]}},
    }
    cluster.apply(service, namespace)
    cluster.kubectl("-n", namespace, "wait", "isvc/probe", "--for=condition=Ready", "--timeout=110s")
    return cluster.pods(namespace, "serving.knative.dev/revision=probe-predictor-00001")[0]


def state(pid: int) -> str:
    """One letter, as ps has it."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def ask(address: str, host: str) -> str:
    request = urllib.request.Request(address, headers={"Host": host})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def test_an_image_from_a_dockerfile_serves_through_both_gateways(cluster: Cluster, namespace: str, pod: str) -> None:
    assert ask(cluster.gateway, f"probe-predictor.{namespace}.example.com") == "uid 65532"
    assert ask(cluster.internal_gateway, f"probe-predictor.{namespace}.svc.cluster.local") == "uid 65532"


def test_a_killed_container_is_seen_as_a_restart(cluster: Cluster, namespace: str, pod: str) -> None:
    killed = cluster.signal_pod(signal.SIGKILL, namespace, pod)
    assert killed

    def restarted() -> bool:
        statuses = cluster.get("-n", namespace, "pod", pod)["status"]["containerStatuses"]
        return any(one["name"] == "kserve-container" and one["restartCount"] == 1 for one in statuses)

    cluster.wait("the container restarted", restarted, 90)


def test_a_stopped_process_is_still_there_and_goes_on_when_told(cluster: Cluster, namespace: str, pod: str) -> None:
    pids = cluster.signal_pod(signal.SIGSTOP, namespace, pod)
    cluster.wait("the process stopped", lambda: {state(pid) for pid in pids} == {"T"}, 30)
    assert cluster.signal_pod(signal.SIGCONT, namespace, pod) == pids
    assert ask(cluster.gateway, f"probe-predictor.{namespace}.example.com") == "uid 65532"


def test_the_audit_log_names_who_wrote_what(cluster: Cluster, namespace: str) -> None:
    mark = cluster.audit.mark()
    cluster.kubectl("-n", namespace, "create", "configmap", "seen")
    cluster.kubectl("-n", namespace, "get", "configmap", "seen")
    written = [event for event in cluster.audit.writes("admin", mark) if event.namespace == namespace]
    assert [(event.verb, event.resource, event.name, event.code) for event in written] == [
        ("create", "configmaps", "seen", 201)
    ]


def test_nobody_takes_the_cluster_down_under_a_running_test(cluster: Cluster) -> None:
    with pytest.raises(InUseError, match="must wait"), exclusive(LOCK, "stopping the cluster"):
        pytest.fail("the lock was free")


def test_a_restarted_controller_comes_back(cluster: Cluster) -> None:
    cluster.restart_controller("knative-serving", "net-kourier-controller")


def test_names_of_services_resolve_inside(cluster: Cluster, namespace: str, pod: str) -> None:
    found = cluster.kubectl(
        *("-n", namespace, "exec", pod, "-c", "kserve-container", "--"),
        *("python3", "-c", "import socket; print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))"),
    )
    assert found.strip() == "10.96.0.1"

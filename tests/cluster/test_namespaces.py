"""An operator of two namespaces with rights in those two alone: it serves both, asks for nothing else, and names a
right that is missing. Without KServe: that it says so in the status of a version shows that it has seen it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import Cluster
from harness.shell import until
from tests.api.fragments import BASE, overlay
from tests.cluster.test_crd import install_crd

pytestmark = pytest.mark.cluster

SERVED, OTHER = ("ours-1", "ours-2"), "theirs"
VERSION = overlay(BASE, {"spec": {"predictor": {"settings": None}}})
GROUPS = ("turnout.dev", "serving.kserve.io", "serving.knative.dev", "autoscaling.internal.knative.dev")
EVERYTHING = ("--verb=*", "--resource=" + ",".join(f"*.{group}" for group in (*GROUPS, "coordination.k8s.io")))


@dataclass
class Operator:
    """A process with the account's rights; its page tells of it."""

    port: int

    def says(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as fault:
            return fault.read().decode()
        except OSError:
            return ""


@pytest.fixture(scope="module")
def served(api: Cluster) -> Iterator[Cluster]:
    """Three namespaces with a version each, and an account with rights in two of them."""
    install_crd(api)
    for namespace in (*SERVED, OTHER):
        api.kubectl("create", "namespace", namespace)
        version = overlay(VERSION, {"metadata": {"name": "tone-1", "namespace": namespace}})
        api.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(version))
    api.kubectl("create", "serviceaccount", "turnout", "-n", SERVED[0])
    for namespace in SERVED:
        grant(api, namespace, "turnout", *EVERYTHING)
        grant(api, namespace, "turnout-core", "--verb=list,watch,get,create", "--resource=pods,services,events")
    yield api
    for namespace in (*SERVED, OTHER):
        api.kubectl("delete", "namespace", namespace, "--wait=false")


def grant(cluster: Cluster, namespace: str, name: str, *rules: str) -> None:
    cluster.kubectl("create", "role", name, "-n", namespace, *rules)
    account = f"--serviceaccount={SERVED[0]}:turnout"
    cluster.kubectl("create", "rolebinding", name, "-n", namespace, f"--role={name}", account)


@contextlib.contextmanager
def operator(cluster: Cluster, folder: Path) -> Iterator[Operator]:
    token = cluster.kubectl("create", "token", "turnout", "-n", SERVED[0])
    authority = str(cluster.layout.pki / "ca.crt")
    server = {"server": cluster.layout.api_server, "certificate-authority": authority}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    named = {"clusters": [{"name": "c", "cluster": server}], "users": [{"name": "u", "user": {"token": token}}]}
    config = folder / "kubeconfig"
    config.write_text(json.dumps({"current-context": "c", "contexts": [context], **named}))
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        port = any_port.getsockname()[1]
    command = [sys.executable, "-m", "turnout.cli", "operator", f"--health-port={port}"]
    command += [f"--namespaces={','.join(SERVED)}", f"--lease-namespace={SERVED[0]}"]
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "KUBECONFIG": str(config)})
    try:
        yield Operator(port)
    finally:
        process.terminate()
        process.wait(30)
        print(log.read_text()[-4000:])


def reason(cluster: Cluster, namespace: str) -> str:
    path = "jsonpath={.status.reason}"
    return cluster.kubectl("get", "modelversion", "tone-1", "-n", namespace, "-o", path).strip()


def test_the_versions_of_both_are_seen_and_no_others(served: Cluster, tmp_path: Path) -> None:
    with operator(served, tmp_path) as running:
        until("both are seen", lambda: all(reason(served, each) == "KServeMissing" for each in SERVED), 120)
        assert running.says() == "ok: leader\n"
        second = overlay(VERSION, {"metadata": {"name": "tone-2", "namespace": SERVED[1]}, "spec": {"version": 2}})
        served.kubectl("apply", "-n", SERVED[1], "-f", "-", stdin=json.dumps(second))
        path = ("get", "modelversion", "tone-2", "-n", SERVED[1], "-o", "jsonpath={.status.reason}")
        until("its watch tells of a new one", lambda: bool(served.kubectl(*path).strip()), 60)
    assert reason(served, OTHER) == "Pending" or not reason(served, OTHER)


def test_a_right_that_is_missing_in_one_of_them_is_named_until_it_is_granted(served: Cluster, tmp_path: Path) -> None:
    served.kubectl("delete", "rolebinding", "turnout-core", "-n", SERVED[1])
    with operator(served, tmp_path) as running:
        missing = 'resource "{}" in API group "" in the namespace "ours-2"'
        until("it names the right", lambda: "is forbidden" in running.says() and "ours-2" in running.says(), 60)
        assert any(missing.format(kind) in running.says() for kind in ("pods", "services"))
        account = f"--serviceaccount={SERVED[0]}:turnout"
        served.kubectl("create", "rolebinding", "turnout-core", "-n", SERVED[1], "--role=turnout-core", account)
        until("it is ready", lambda: running.says().startswith("ok"), 60)

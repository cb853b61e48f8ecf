"""An operator of two namespaces with rights in those two alone: it serves both, asks for nothing else, and names a
right that is missing. Without KServe: that it says so in the status of a version shows that it has seen it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Cluster
from harness.shell import until
from tests.api.fragments import BASE, overlay
from tests.cluster.operators import Operator, operator
from tests.cluster.test_crd import install_crd

pytestmark = pytest.mark.cluster

SERVED, OTHER = ("ours-1", "ours-2"), "theirs"
VERSION = overlay(BASE, {"spec": {"predictor": {"settings": None}}})
GROUPS = ("turnout.dev", "serving.kserve.io", "serving.knative.dev", "autoscaling.internal.knative.dev")
EVERYTHING = ("--verb=*", "--resource=" + ",".join(f"*.{group}" for group in (*GROUPS, "coordination.k8s.io")))


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


def account(cluster: Cluster, folder: Path) -> Path:
    """A kubeconfig with the account's rights."""
    token = cluster.kubectl("create", "token", "turnout", "-n", SERVED[0])
    authority = str(cluster.layout.pki / "ca.crt")
    server = {"server": cluster.layout.api_server, "certificate-authority": authority}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    named = {"clusters": [{"name": "c", "cluster": server}], "users": [{"name": "u", "user": {"token": token}}]}
    config = folder / "kubeconfig"
    config.write_text(json.dumps({"current-context": "c", "contexts": [context], **named}))
    return config


@contextlib.contextmanager
def of_two(cluster: Cluster, folder: Path) -> Iterator[Operator]:
    flags = f"--namespaces={','.join(SERVED)}", f"--lease-namespace={SERVED[0]}"
    with operator(account(cluster, folder), folder, *flags) as running:
        yield running


def reason(cluster: Cluster, namespace: str) -> str:
    path = "jsonpath={.status.reason}"
    return cluster.kubectl("get", "modelversion", "tone-1", "-n", namespace, "-o", path).strip()


def test_the_versions_of_both_are_seen_and_no_others(served: Cluster, tmp_path: Path) -> None:
    with of_two(served, tmp_path) as running:
        until("both are seen", lambda: all(reason(served, each) == "KServeMissing" for each in SERVED), 120)
        assert running.says() == "ok: leader"
        second = overlay(VERSION, {"metadata": {"name": "tone-2", "namespace": SERVED[1]}, "spec": {"version": 2}})
        served.kubectl("apply", "-n", SERVED[1], "-f", "-", stdin=json.dumps(second))
        path = ("get", "modelversion", "tone-2", "-n", SERVED[1], "-o", "jsonpath={.status.reason}")
        until("its watch tells of a new one", lambda: bool(served.kubectl(*path).strip()), 120)
    assert reason(served, OTHER) == "Pending" or not reason(served, OTHER)


def test_a_right_that_is_missing_in_one_of_them_is_named_until_it_is_granted(served: Cluster, tmp_path: Path) -> None:
    served.kubectl("delete", "rolebinding", "turnout-core", "-n", SERVED[1])
    with of_two(served, tmp_path) as running:
        told = 'is forbidden: User "{}" cannot {} resource "{}" in API group "" in the namespace "ours-2"'
        who = f"system:serviceaccount:{SERVED[0]}:turnout"
        missing = [told.format(who, verb, kind) for verb in ("list", "watch") for kind in ("pods", "services")]
        until("it names the right", lambda: any(each in running.says() for each in missing), 120)
        account = f"--serviceaccount={SERVED[0]}:turnout"
        served.kubectl("create", "rolebinding", "turnout-core", "-n", SERVED[1], "--role=turnout-core", account)
        until("it is ready", lambda: running.says().startswith("ok"), 120)

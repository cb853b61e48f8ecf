"""An API server without a node: etcd, kube-apiserver and a few of Kubernetes' own controllers, on ports of its own.

For what needs Kubernetes' rules and no pod: schemas, CEL, admission policies, rights, thousands of objects. It stands
beside the machine's one cluster, needs no root, and nothing of it is left.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness import node, pki, processes
from harness.cluster import Cluster
from harness.layout import here

CONTROLLERS = (
    "namespace-controller",
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "validatingadmissionpolicy-status-controller",
)


@contextmanager
def api_server(*controllers: str) -> Iterator[Cluster]:
    """An empty one; of `Cluster` whatever speaks to an API server works."""
    state = Path(tempfile.mkdtemp(prefix="turnout-api-"))
    api_port, etcd_port = _free_ports()
    layout = replace(here(), state=state, api_port=api_port, etcd_port=etcd_port)
    try:
        pki.create(layout.pki, layout.api_server)
        node.start_api_server(layout)
        node.start_controllers(layout, *(controllers or CONTROLLERS))
        yield Cluster(layout)
    finally:
        processes.clear(layout)
        shutil.rmtree(state, ignore_errors=True)


def _free_ports() -> tuple[int, int]:
    """One, and another whose next is free too."""
    for port in range(23790, 24790, 2):
        if _is_free(port) and _is_free(port + 1) and _is_free(port + 20_000):
            return port + 20_000, port
    raise OSError("no free ports for an API server")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

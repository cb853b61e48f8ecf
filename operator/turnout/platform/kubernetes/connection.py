"""Connections to the API server: with the pod's own account, or with the kubeconfig at hand."""

import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from turnout import __version__
from turnout.platform.kubernetes.calls import Calls, unfenced

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def in_cluster() -> bool:
    """This process is a pod with an account."""
    return (ACCOUNT / "token").exists() and "KUBERNETES_SERVICE_HOST" in os.environ


def own_namespace() -> str:
    """Where this pod runs; for a process outside of the cluster the namespace that every cluster has."""
    return (ACCOUNT / "namespace").read_text().strip() if in_cluster() else "default"


def identity() -> str:
    """A name that no other living process has: a pod's, kept over its restarts, or one made up for this process."""
    name = socket.gethostname()
    return name if in_cluster() else f"{name}_{uuid.uuid4().hex[:8]}"


@asynccontextmanager
async def connect(who: str = "", fence: Callable[[], float] = unfenced) -> AsyncIterator[Calls]:
    """Calls that are good until the block ends. `who` tells the API server's log which process it was."""
    connection = Configuration()
    connection.disable_strict_ssl_verification = True  # as watch.Connection: many a cluster's authority is not strict
    connection.client_session_kwargs = {"request_class": fenced_by(fence)}
    if in_cluster():
        config.load_incluster_config(client_configuration=connection)
    else:
        await config.load_kube_config(client_configuration=connection)
    async with ApiClient(connection) as client:
        client.user_agent = f"turnout/{__version__} {who}".strip()
        yield Calls(client, fence)


def fenced_by(fence: Callable[[], float]) -> type[aiohttp.ClientRequest]:
    """Requests that look once more before their first byte: a process may be stopped while it waits to connect."""

    class Fenced(aiohttp.ClientRequest):
        async def send(self, conn: Any) -> aiohttp.ClientResponse:
            if self.method != "GET" and fence() <= 0:
                raise aiohttp.ClientConnectionError("not sent: this operator does not lead any more")
            return await super().send(conn)

    return Fenced

"""The one connection pool to the API server: with the pod's own account, or with the kubeconfig at hand."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from turnout.platform.kubernetes.calls import Calls

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def in_cluster() -> bool:
    """This process is a pod with an account."""
    return SERVICE_ACCOUNT.exists() and "KUBERNETES_SERVICE_HOST" in os.environ


@asynccontextmanager
async def connect() -> AsyncIterator[Calls]:
    """Calls that are good until the block ends."""
    connection = Configuration()
    connection.disable_strict_ssl_verification = True  # as watch.Connection: many a cluster's authority is not strict
    if in_cluster():
        config.load_incluster_config(client_configuration=connection)
    else:
        await config.load_kube_config(client_configuration=connection)
    async with ApiClient(connection) as client:
        yield Calls(client)

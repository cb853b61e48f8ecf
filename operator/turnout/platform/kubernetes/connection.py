"""Connections to the API server: with the pod's own account, or with the kubeconfig at hand.

A pod's needs an address, an authority and a token, and no client library: importing one costs a third of the
operator's memory and most of its start. A kubeconfig has plugins and proxies; the library reads it, once.
"""

import asyncio
import os
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from turnout import __version__
from turnout.platform.kubernetes.calls import Calls, unfenced

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS = 60.0  # the kubelet writes a new one long before the old one expires


async def nobody() -> str:
    """No header: a client certificate speaks, or nothing needs to."""
    return ""


@dataclass(frozen=True, slots=True)
class Way:
    """How the API server is reached. `authorization`: the header's value, asked for with each request."""

    server: str
    trust: ssl.SSLContext | bool = True
    authorization: Callable[[], Awaitable[str]] = nobody
    name: str | None = None  # that its certificate has, where it is not the address
    proxy: str | None = None


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


def way() -> Way:
    """The pod's own account inside of a cluster, else the kubeconfig."""
    return _by_account() if in_cluster() else _by_kubeconfig()


@asynccontextmanager
async def connect(to: Way, who: str = "", fence: Callable[[], float] = unfenced) -> AsyncIterator[Calls]:
    """Calls that are good until the block ends. `who` tells the API server's log which process it was."""
    connector = aiohttp.TCPConnector(ssl=to.trust, limit=0)  # a watch must not keep a write from its connection
    agent = {"User-Agent": f"turnout/{__version__} {who}".strip()}
    async with aiohttp.ClientSession(
        base_url=to.server, connector=connector, headers=agent, request_class=fenced_by(fence), proxy=to.proxy
    ) as session:
        yield Calls(session, to.authorization, fence, to.name)


def fenced_by(fence: Callable[[], float]) -> type[aiohttp.ClientRequest]:
    """Requests that look once more before their first byte: a process may be stopped while it waits to connect."""

    class Fenced(aiohttp.ClientRequest):
        async def send(self, conn: Any) -> aiohttp.ClientResponse:
            if self.method != "GET" and fence() <= 0:
                raise aiohttp.ClientConnectionError("not sent: this operator does not lead any more")
            return await super().send(conn)

    return Fenced


def _by_account() -> Way:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    return Way(f"https://{host}:{port}", _lenient(ssl.create_default_context(cafile=ACCOUNT / "ca.crt")), Token())


class Token:
    """The account's, read anew every minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._header = ""
        self._read_at = float("-inf")

    async def __call__(self) -> str:
        if self._clock() - self._read_at > TOKEN_SECONDS:
            self._header = f"Bearer {(ACCOUNT / 'token').read_text().strip()}"  # a few bytes, in memory
            self._read_at = self._clock()
        return self._header


def _by_kubeconfig() -> Way:
    from kubernetes import client, config

    found = client.Configuration()
    config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=found)

    async def authorization() -> str:
        """A plugin may be asked for it, a process of its own."""
        return await asyncio.to_thread(found.get_api_key_with_prefix, "BearerToken", "authorization") or ""

    trust = _lenient(ssl.create_default_context(cafile=found.ssl_ca_cert, cadata=found.ca_cert_data))
    if found.cert_file:
        trust.load_cert_chain(found.cert_file, found.key_file)
    if not found.verify_ssl:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    speaks = authorization if found.api_key else nobody
    return Way(found.host, trust, speaks, found.tls_server_name or None, found.proxy)


def _lenient(trust: ssl.SSLContext) -> ssl.SSLContext:
    """Takes an authority whose certificate names no key usage: many clusters have one, and Python 3.13 refuses it."""
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return trust

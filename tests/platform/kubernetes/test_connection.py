"""How the API server is found, and what each request carries."""

import ssl
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from harness import pki
from turnout.platform.kubernetes import connection
from turnout.platform.kubernetes.connection import TOKEN_SECONDS, Token, Way, connect
from turnout.platform.kubernetes.resources import VERSIONS


def a_kubeconfig(user: str = "token: t", cluster: str = "") -> str:
    return (
        "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
        f" clusters: [{{name: c, cluster: {{server: 'https://example.com:6443'{cluster}}}}}],"
        f" users: [{{name: u, user: {{{user}}}}}]}}"
    )


@pytest.fixture
def kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(a_kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return path


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A pod's, with a token and an authority of its own."""
    pki.create(tmp_path, "https://127.0.0.1:6443")
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("turnout-system")
    monkeypatch.setattr(connection, "ACCOUNT", tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "turnout-5d8f-x7k2p")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    return tmp_path


async def test_outside_of_a_cluster_by_the_kubeconfig_and_with_authorities_that_are_not_strict(
    kubeconfig: Path,
) -> None:
    way = connection.way()
    assert way.server == "https://example.com:6443"
    assert await way.authorization() == "Bearer t"
    assert isinstance(way.trust, ssl.SSLContext)
    assert not way.trust.verify_flags & ssl.VERIFY_X509_STRICT
    assert way.trust.verify_mode is ssl.CERT_REQUIRED


async def test_what_else_a_kubeconfig_says(kubeconfig: Path, tmp_path: Path) -> None:
    pki.create(tmp_path, "https://127.0.0.1:6443")
    files = f"client-certificate: {tmp_path}/component.crt, client-key: {tmp_path}/component.key"
    kubeconfig.write_text(a_kubeconfig(files, ", insecure-skip-tls-verify: true, tls-server-name: kubernetes"))
    way = connection.way()
    assert await way.authorization() == "", "the certificate speaks"
    assert isinstance(way.trust, ssl.SSLContext)
    assert way.trust.verify_mode is ssl.CERT_NONE
    assert way.name == "kubernetes"


async def test_inside_of_a_cluster_by_the_account_of_the_pod(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    way = connection.way()
    assert (way.server, await way.authorization()) == ("https://10.96.0.1:6443", "Bearer first")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert connection.way().server == "https://[fd00::1]:6443"


async def test_a_token_that_the_kubelet_has_renewed_is_used_within_a_minute(account: Path) -> None:
    now = 0.0
    token = Token(lambda: now)
    assert await token() == "Bearer first"
    (account / "token").write_text("second\n")
    assert await token() == "Bearer first"
    now += TOKEN_SECONDS + 1
    assert await token() == "Bearer second"


async def test_a_request_says_who_asks_and_with_what_right() -> None:
    heard: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request)
        return web.json_response({})

    async def authorization() -> str:
        return "Bearer t"

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    async with connect(Way(f"http://127.0.0.1:{server.port}", authorization=authorization), "pod-1") as calls:
        await calls.get(VERSIONS, "support", "signals-7")
    assert heard[0].headers["Authorization"] == "Bearer t"
    assert heard[0].headers["User-Agent"].startswith("turnout/")
    assert heard[0].headers["User-Agent"].endswith(" pod-1")
    assert heard[0].path == "/apis/turnout.dev/v1alpha1/namespaces/support/modelversions/signals-7"
    await server.close()


def test_a_pod_is_known_by_its_account(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection.in_cluster()
    assert connection.own_namespace() == "turnout-system"
    assert connection.identity() == connection.identity() == "turnout-5d8f-x7k2p"
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert not connection.in_cluster()
    assert connection.own_namespace() == "default"
    assert connection.identity() != connection.identity(), "two processes of one machine are two candidates"

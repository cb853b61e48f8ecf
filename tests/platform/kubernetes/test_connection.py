"""How the API server is found."""

from pathlib import Path

import pytest

from turnout.platform.kubernetes import connection

KUBECONFIG = (
    "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
    " clusters: [{name: c, cluster: {server: 'https://example.com:6443'}}], users: [{name: u, user: {token: t}}]}"
)


async def test_outside_of_a_cluster_by_the_kubeconfig_and_with_authorities_that_are_not_strict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(KUBECONFIG)
    monkeypatch.setattr(connection.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(config))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    async with connection.connect() as calls:
        found = calls._client.configuration
        assert found.host == "https://example.com:6443"
        assert found.disable_strict_ssl_verification


def test_a_pod_is_known_by_its_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("turnout-system")
    monkeypatch.setattr(connection, "ACCOUNT", tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "turnout-5d8f-x7k2p")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert connection.in_cluster()
    assert connection.own_namespace() == "turnout-system"
    assert connection.identity() == connection.identity() == "turnout-5d8f-x7k2p"
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert not connection.in_cluster()
    assert connection.own_namespace() == "default"
    assert connection.identity() != connection.identity(), "two processes of one machine are two candidates"

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
    token = tmp_path / "token"
    token.write_text("t")
    monkeypatch.setattr(connection, "SERVICE_ACCOUNT", token)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert connection.in_cluster()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert not connection.in_cluster()

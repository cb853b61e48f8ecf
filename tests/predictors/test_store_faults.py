"""What a store, a disk or a configuration does wrong: whether it is final, and which sentence says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.predictors.folders import Store, refuse, serving
from turnout_predictors.artifacts import manifest, open_artifact, push, write_artifact
from turnout_predictors.artifacts.storage.http import Http
from turnout_predictors.errors import StartError
from turnout_predictors.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "FP32", ("N",)),), (TensorSpec("y", "FP32", ("N",)),))
BASIC = 'Basic realm="tests"'


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "artifact", lambda to: (to / "weights").write_bytes(b"w") and None, SIGNATURE)
    return tmp_path / "artifact"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Asks for a password, which this machine has."""
    monkeypatch.setenv("TURNOUT_ARTIFACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving(tmp_path / "nothing", None) as served:
        auths = {urlsplit(served.url).netloc: {"username": "me", "password": "pass"}}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        yield served


def at(served: Store) -> str:
    return f"oci://{urlsplit(served.url).netloc}/m:1"


NO_CONFIGURATION = {
    "no JSON": b"{",
    "a list": b"[]",
    "a login that is no base64": b'{"auths": {"HOST": {"auth": "abc"}}}',
    "a login that is no text": b'{"auths": {"HOST": {"auth": "/w=="}}}',
    "a login that is a number": b'{"auths": {"HOST": {"auth": 7}}}',
}


@pytest.mark.parametrize("raw", NO_CONFIGURATION.values(), ids=NO_CONFIGURATION.keys())
def test_a_docker_configuration_that_is_none(registry: Store, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "config.json").write_bytes(raw.replace(b"HOST", urlsplit(registry.url).netloc.encode()))
    registry.misdeeds[""] = [refuse(401, WWW_Authenticate=BASIC)]
    with pytest.raises(StartError, match="is no Docker configuration") as caught:
        open_artifact(at(registry), None)
    assert caught.value.reason == "ArtifactDenied"


def test_who_hands_out_tokens_and_gives_none(registry: Store) -> None:
    challenge = f'Bearer realm="{registry.url}/token",service="s"'
    registry.misdeeds[""] = [refuse(401, WWW_Authenticate=challenge)]
    registry.misdeeds["token?scope=repository%3Am%3Apull&service=s"] = [refuse(200)]
    with pytest.raises(StartError, match=r"/token answers .* without a token") as caught:
        open_artifact(at(registry), None)
    assert caught.value.reason == "ArtifactDenied"


def test_where_an_upload_goes_gets_no_secret_of_another_host(registry: Store, artifact: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "nothing", None) as other:
        place = f"{other.url}/upload?of=m"
        registry.misdeeds[""] = [refuse(401, WWW_Authenticate=BASIC), refuse(202, Location=place)]
        with pytest.raises(StartError, match="upload answers 404"):
            push(artifact, at(registry))
        (asked,) = other.asked
    assert asked[0].startswith("/upload?of=m&digest=sha256")
    assert asked[2] == "", "what the registry named saw its password"
    assert registry.asked[-1] == ("/v2/m/blobs/uploads/", "", "Basic bWU6cGFzcw==")


def test_an_upload_in_the_clear_is_refused_where_the_store_is_asked_over_tls() -> None:
    secret = {"Authorization": "Basic bWU6cGFzcw=="}
    with (
        pytest.raises(StartError, match=r"http://registry/upload, named by the store, is in the clear") as caught,
        Http("https://registry/v2", secret).open("PUT", "http://registry/upload", body=b"model"),
    ):
        pytest.fail("it was asked")
    assert caught.value.reason == "ArtifactInvalid"


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "inf"])
def test_a_stall_that_is_no_time(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("TURNOUT_ARTIFACT_STALL_SECONDS", seconds)
    with pytest.raises(StartError, match="is no number of seconds above 0") as caught:
        open_artifact("https://host/m", None)
    assert caught.value.reason == "SettingsInvalid"


def test_an_endpoint_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "::nonsense")
    with pytest.raises(StartError, match="endpoint '::nonsense' must be http") as caught:
        open_artifact("s3://models/m/1", None)
    assert caught.value.reason == "SettingsInvalid"


@pytest.mark.parametrize(
    ("fault", "reason", "said"),
    [
        (PermissionError(13, "Permission denied", "weights"), "ArtifactDenied", "weights may not be read by user"),
        (OSError(5, "Input/output error", "weights"), "ArtifactUnreachable", "Input/output error: 'weights'"),
    ],
)
def test_a_disk_that_fails(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError, reason: str, said: str
) -> None:
    def fails(path: Path) -> str:
        raise fault

    monkeypatch.setattr(manifest, "sha256_of", fails)
    with pytest.raises(StartError, match=said) as caught:
        open_artifact(artifact.as_uri(), None)
    assert caught.value.reason == reason

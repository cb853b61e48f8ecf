"""What a store, a disk or a configuration does wrong: whether it is final, and which sentence says so."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.predictors.folders import Handler, Misdeed, Store, cut, refuse, serving
from turnout_predictors.artifacts import manifest, open_artifact, push, write_artifact
from turnout_predictors.artifacts.cache import Cache
from turnout_predictors.artifacts.pull import Patience, pull
from turnout_predictors.artifacts.storage import oci, open_source
from turnout_predictors.artifacts.storage.credentials import Credentials
from turnout_predictors.artifacts.storage.http import Http
from turnout_predictors.artifacts.storage.objects import _asked as asked_of
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


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An artifact whose address speaks of metadata, in what answers as an object store does."""
    with serving(tmp_path / "store", None) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        monkeypatch.setenv("AWS_REGION", "here")
        (tmp_path / "store/models").mkdir(parents=True)
        write_artifact(
            tmp_path / "store/models/metadata", lambda to: (to / "w").write_bytes(b"12345") and None, SIGNATURE
        )
        yield served


def take(uri: str, cache: Path, rests: list[float] | None = None) -> Path:
    patience = Patience(attempts=3, rest=(rests if rests is not None else []).append)
    return pull(uri, open_source(urlsplit(uri)), None, Cache(cache, 1 << 30), patience)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_what_an_object_store_lets_pass_is_waited_out(s3: Store, tmp_path: Path, status: int) -> None:
    s3.misdeeds["w"] = [refuse(status)] * 2
    rests: list[float] = []
    assert (take("s3://models/metadata", tmp_path / "cache", rests) / "w").read_bytes() == b"12345"
    assert rests, "the library's own single retry was not enough"


FINAL = {
    "a file that was uploaded in part": ([cut(2), refuse(416)], "ArtifactDigestMismatch", "w is shorter than its"),
    "a request that it does not understand": ([refuse(400)], "ArtifactUnreachable", "400 Bad Request"),
    "nothing there": ([refuse(404)], "ArtifactNotFound", "w does not exist"),
    "no leave": ([refuse(403)], "ArtifactDenied", "leave to read, and to list the bucket"),
    "one fault again and again": ([refuse(503)] * 6, "ArtifactUnreachable", "tried 3 times"),
}


@pytest.mark.parametrize(("misdeeds", "reason", "said"), FINAL.values(), ids=FINAL.keys())
def test_what_an_object_store_says_for_good(
    s3: Store, tmp_path: Path, misdeeds: list[Misdeed | None], reason: str, said: str
) -> None:
    s3.misdeeds["w"] = list(misdeeds)
    with pytest.raises(StartError, match=said) as caught:
        take("s3://models/metadata", tmp_path / "cache")
    assert caught.value.reason == reason


ASKED = {
    "metadata of a machine": (
        "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 2ms - Server returned "
        "non-2xx status code: 403 Forbidden: no",
        ("169.254.169.254", 403),
    ),
    "a token, by way of them": (
        "Generic GCS error: Error performing token request: Error performing GET http://169.254.169.254/x in 5ms - "
        "Server returned non-2xx status code: 404 Not Found",
        ("169.254.169.254", 404),
    ),
    "a body that has a number of its own": (
        "Error performing GET http://host/status code: 404/169.254.169.254 in 2ms, after 1 retries - "
        "Server returned non-2xx status code: 503 Service Unavailable: status code: 404",
        ("", 0),
    ),
    "a body that speaks of another": (
        "Error performing GET http://host/169.254.169.254/metadata in 2ms, after 1 retries, max_retries: 1  - "
        "Server returned non-2xx status code: 503 Service Unavailable: status code: 404",
        ("host", 503),
    ),
    "no answer": ("Error performing GET http://host/m in 3s - HTTP error: error sending request", ("host", 0)),
    "nothing of the kind": ("Content-Range header not present in partial response", ("", 0)),
}


@pytest.mark.parametrize(("said", "expected"), ASKED.values(), ids=ASKED.keys())
def test_reads_of_the_librarys_sentence(said: str, expected: tuple[str, int]) -> None:
    assert asked_of(said) == expected


def test_of_two_who_publish_at_once_one_does(s3: Store, tmp_path: Path) -> None:
    """The other came between our look and our manifest."""
    write_artifact(tmp_path / "ours", lambda to: (to / "w").write_bytes(b"other") and None, SIGNATURE)
    s3.misdeeds["manifest.json"] = [refuse(404), refuse(412)]
    with pytest.raises(FileExistsError, match="was published by another meanwhile"):
        push(tmp_path / "ours", "s3://models/metadata")
    assert s3.conditions == ["*"]
    s3.misdeeds["manifest.json"] = [refuse(404), refuse(412)]
    push(s3.folder / "models/metadata", "s3://models/metadata")


def test_a_handshake_that_breaks_off_is_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        came: list[int] = []

        def close() -> None:
            for _ in range(3):
                connection, _ = listener.accept()
                came.append(len(connection.recv(1)))
                connection.close()

        thread = threading.Thread(target=close, daemon=True)
        thread.start()
        with pytest.raises(StartError, match="tried 3 times without a byte") as caught:
            take(f"https://127.0.0.1:{listener.getsockname()[1]}/m", tmp_path / "cache")
        thread.join()
    assert (caught.value.reason, came) == ("ArtifactUnreachable", [1, 1, 1])


def test_a_server_without_tls_is_said_to_be_one(tmp_path: Path) -> None:
    with serving(tmp_path, None) as served, pytest.raises(StartError, match="does not speak TLS") as caught:
        take(f"https://{urlsplit(served.url).netloc}/m", tmp_path / "cache")
    assert caught.value.reason == "ArtifactUnreachable"


def test_a_tag_of_something_else_is_left_alone(registry: Store, artifact: Path, tmp_path: Path) -> None:
    """Another tool's artifact: its layers have titles, but none of ours."""
    layer = {"annotations": {"org.opencontainers.image.title": "report.pdf"}, "digest": "sha256:0", "size": 1}
    (tmp_path / "nothing/v2/m/manifests").mkdir(parents=True)
    (tmp_path / "nothing/v2/m/manifests/1").write_text(json.dumps({"layers": [layer]}))
    registry.misdeeds[""] = [refuse(200)]
    with pytest.raises(StartError, match=r"is something else: it has no layer titled manifest.json"):
        push(artifact, at(registry))
    assert [path for path, _, _ in registry.asked] == ["/v2/", "/v2/m/manifests/1"]


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


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_is_known_by_its_names(tmp_path: Path, host: str) -> None:
    """As `kubectl create secret docker-registry` and `docker login` write them."""
    (tmp_path / ".dockerconfigjson").write_text('{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6cGFzcw=="}}}')
    credentials = Credentials(tmp_path, {})
    opened = oci.open_source(urlsplit(f"oci://{host}/acme/m:1"), credentials)
    assert str(opened) == "oci://registry-1.docker.io/acme/m:1"
    assert oci._login("registry-1.docker.io", credentials) == ("me", "pass")


def test_a_proxy_is_shown_its_own_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str, str]] = []

    def pass_on(handler: Handler, content: bytes) -> bool:
        headers = handler.headers
        seen.append((handler.path, headers.get("Proxy-Authorization", ""), headers.get("Authorization", "")))
        handler.answer(200, b"model")
        return True

    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(tmp_path, None) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:p%40ss@"))
        proxy.misdeeds["m"] = [pass_on]
        http = Http("http://registry.test/v2", {"Authorization": "Bearer t"})
        assert b"".join(http.read("http://registry.test/v2/m")) == b"model"
    assert seen == [("http://registry.test/v2/m", "Basic bWU6cEBzcw==", "Bearer t")]


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

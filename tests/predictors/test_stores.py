"""Publishing to real stores, and reading back from them: an S3 server, a Cloud Storage server, an OCI registry."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.predictors import stores
from tests.predictors.stores import RealStore
from turnout_predictors import publish
from turnout_predictors.artifacts import Example, open_artifact, push, write_artifact
from turnout_predictors.artifacts.pull import Patience
from turnout_predictors.artifacts.storage import open_target
from turnout_predictors.errors import StartError
from turnout_predictors.signature import Signature, TensorSpec

pytestmark = pytest.mark.slow
KINDS: dict[str, Callable[[Path], contextlib.AbstractContextManager[RealStore]]] = {
    "s3": stores.s3,
    "oci": stores.oci,
}
SIGNATURE = Signature((TensorSpec("x", "FP32", ("N",)),), (TensorSpec("y", "FP32", ("N",)),))
EXAMPLE = Example("one", {"inputs": []}, {"outputs": []})
WEIGHTS = os.urandom(3_000_000)


@pytest.fixture(scope="module", params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStore]:
    with KINDS[request.param](tmp_path_factory.mktemp(request.param) / "store") as store:
        yield store


@pytest.fixture
def store(running: RealStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealStore:
    monkeypatch.setenv("TURNOUT_ARTIFACT_CACHE", str(tmp_path / "cache"))
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "weights").write_bytes(WEIGHTS)
    (tmp_path / "model" / "sub" / "a file").write_bytes(b"m")
    (tmp_path / "model" / "empty").write_bytes(b"")
    return tmp_path / "model"


def at(store: RealStore, name: str) -> str:
    return f"{store.base}/{name}:1" if store.base.startswith("oci") else f"{store.base}/{name}/1"


def test_what_is_published_is_read_back(store: RealStore, folder: Path) -> None:
    uri = at(store, "whole")
    published = publish(folder, to=uri, signature=SIGNATURE, examples=[EXAMPLE])
    assert published.uri == uri
    opened = open_artifact(uri, published.digest)
    assert (opened.path / "weights").read_bytes() == WEIGHTS
    assert (opened.path / "sub" / "a file").read_bytes() == b"m"
    assert (opened.path / "empty").read_bytes() == b""
    assert (opened.signature, opened.examples) == (SIGNATURE, (EXAMPLE,))


def test_publishing_equal_bytes_again_writes_nothing(
    store: RealStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = at(store, "again")
    digest = publish(folder, to=uri, signature=SIGNATURE).digest
    kind = type(open_target(urlsplit(uri)))
    monkeypatch.setattr(kind, "put", lambda *_: pytest.fail("it was written again"))
    assert publish(folder, to=uri, signature=SIGNATURE).digest == digest


def test_publishing_over_something_else_is_refused(store: RealStore, folder: Path) -> None:
    uri = at(store, "over")
    digest = publish(folder, to=uri, signature=SIGNATURE).digest
    (folder / "weights").write_bytes(b"others")
    with pytest.raises(FileExistsError, match="an address of its own"):
        publish(folder, to=uri, signature=SIGNATURE)
    assert open_artifact(uri, None).digest == digest


def test_what_broke_off_is_published_by_the_next_try(
    store: RealStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the manifest is there, nothing is."""
    uri = at(store, "broken")
    write_artifact(tmp_path / "artifact", lambda to: (to / "weights").write_bytes(WEIGHTS) and None, SIGNATURE)
    kind = type(open_target(urlsplit(uri)))
    put = kind.put

    def dies(self: object, name: str, path: Path, sha256: str) -> None:
        if name == "manifest.json":
            raise KeyboardInterrupt
        put(self, name, path, sha256)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "put", dies)
        with pytest.raises(KeyboardInterrupt):
            push(tmp_path / "artifact", uri)
    with pytest.raises(StartError) as caught:
        open_artifact(uri, None)
    assert caught.value.reason == "ArtifactNotFound"
    digest = push(tmp_path / "artifact", uri)
    assert open_artifact(uri, None).digest == digest


def test_a_transfer_goes_on_from_any_byte(store: RealStore, folder: Path) -> None:
    uri = at(store, "ranges")
    publish(folder, to=uri, signature=SIGNATURE)
    source = open_target(urlsplit(uri))
    assert b"".join(source.read("weights", 1_234_567)) == WEIGHTS[1_234_567:]


def test_what_is_not_there_is_said(store: RealStore) -> None:
    with pytest.raises(StartError) as caught:
        open_artifact(at(store, "nothing"), None)
    assert caught.value.reason == "ArtifactNotFound"
    assert "nothing" in caught.value.message


def test_bytes_that_were_changed_in_the_store_are_refused(store: RealStore, folder: Path) -> None:
    uri = at(store, "tampered")
    content = os.urandom(1000)
    (folder / "weights").write_bytes(content)
    digest = publish(folder, to=uri, signature=SIGNATURE).digest
    (kept,) = (path for path in store.folder.rglob("*") if path.is_file() and path.read_bytes() == content)
    kept.write_bytes(b"x" + content[1:])
    with pytest.raises(StartError, match="weights differs from its manifest") as caught:
        open_artifact(uri, digest)
    assert caught.value.reason == "ArtifactDigestMismatch"


def test_the_keys_of_a_secret_open_it_and_others_do_not(
    store: RealStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = at(store, "secret")
    digest = publish(folder, to=uri, signature=SIGNATURE).digest
    for name in store.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TURNOUT_ARTIFACT_AUTH", str(tmp_path / "secret"))
    (tmp_path / "secret").mkdir()
    endpoint = {name: value for name, value in store.secret.items() if "ENDPOINT" in name or "REGION" in name}
    for name, value in endpoint.items():
        (tmp_path / "secret" / name).write_text(value)
    with pytest.raises(StartError, match=r"credentials") as caught:
        open_artifact(uri, digest)
    assert caught.value.reason == "ArtifactDenied"
    for name, value in store.secret.items():
        wrong = value.replace("not-a-secret", "guessed").replace(json_login("not-a-secret"), json_login("guessed"))
        (tmp_path / "secret" / name).write_text(wrong)
    with pytest.raises(StartError) as caught:
        open_artifact(uri, digest)
    assert caught.value.reason == "ArtifactDenied"
    assert "guessed" not in caught.value.message
    for name, value in store.secret.items():
        (tmp_path / "secret" / name).write_text(value)
    assert open_artifact(uri, digest).digest == digest


def json_login(password: str) -> str:
    import base64

    return base64.b64encode(f"publisher:{password}".encode()).decode()


def test_what_lies_in_cloud_storage_is_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploaded as Google's own tools do it: the server that runs here does not know the other way, which is ours."""
    monkeypatch.setenv("TURNOUT_ARTIFACT_CACHE", str(tmp_path / "cache"))
    written = publish(folder, to=tmp_path / "artifact", signature=SIGNATURE)
    with stores.gs(tmp_path / "store") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.environment["STORAGE_EMULATOR_HOST"])
        for path in written.path.rglob("*"):
            if path.is_file():
                stores.upload(store, f"signals/7/{path.relative_to(written.path)}", path.read_bytes())
        uri = f"{store.base}/signals/7"
        assert (open_artifact(uri, written.digest).path / "weights").read_bytes() == WEIGHTS
        assert b"".join(open_target(urlsplit(uri)).read("weights", 1_234_567)) == WEIGHTS[1_234_567:]
        stores.upload(store, "signals/7/manifest.json", b"{}")
        with pytest.raises(StartError, match="is no manifest") as caught:
            open_artifact(uri, None)
        assert caught.value.reason == "ArtifactInvalid"
        with pytest.raises(StartError, match="does not exist") as caught:
            open_artifact(f"{store.base}/nothing", None)
        assert caught.value.reason == "ArtifactNotFound"


def test_cloud_storage_without_credentials_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    with pytest.raises(StartError, match="is no key of a service account") as caught:
        open_artifact("gs://models/signals/7", None)
    assert caught.value.reason == "ArtifactDenied"


def test_a_store_that_is_down_is_said_to_be(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{stores.free_port()}")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    write_artifact(tmp_path / "artifact", lambda to: None, SIGNATURE)
    with pytest.raises(StartError, match="tried 2 times without a byte") as caught:
        push(tmp_path / "artifact", "s3://models/down/1", Patience(attempts=2, rest=lambda seconds: None))
    assert caught.value.reason == "ArtifactUnreachable"


@pytest.mark.parametrize("uri", ["https://host/models/1", "hf://owner/name"])
def test_what_is_only_read_is_not_published_to(tmp_path: Path, uri: str) -> None:
    write_artifact(tmp_path / "artifact", lambda to: None, SIGNATURE)
    with pytest.raises(ValueError, match="is only read"):
        push(tmp_path / "artifact", uri)


def test_a_manifest_is_never_put_over_another(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store itself refuses, whatever we saw before."""
    with stores.s3(tmp_path / "store") as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TURNOUT_ARTIFACT_CACHE", str(tmp_path / "cache"))
        digest = publish(folder, to=f"{store.base}/once/1", signature=SIGNATURE).digest
        target, other = open_target(urlsplit(f"{store.base}/once/1")), tmp_path / "other"
        other.write_bytes(b"{}")
        with pytest.raises(FileExistsError, match="was published by another meanwhile"):
            target.put("manifest.json", other, stores.sha256_of(b"{}"))
        assert open_artifact(f"{store.base}/once/1", None).digest == digest


def test_a_registry_holds_what_other_tools_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file a layer, with its name as title, as the image specification has it."""
    with stores.oci(tmp_path / "store") as store:
        monkeypatch.setenv("DOCKER_CONFIG", store.environment["DOCKER_CONFIG"])
        publish(folder, to=f"{store.base}/seen:1", signature=SIGNATURE)
        files = (tmp_path / "store/files/docker/registry/v2/blobs/sha256").rglob("data")
        (manifest,) = (json.loads(raw) for path in files if b"schemaVersion" in (raw := path.read_bytes()))
    assert manifest["artifactType"] == "application/vnd.turnout.model.v1"
    titles = {layer["annotations"]["org.opencontainers.image.title"]: layer["digest"] for layer in manifest["layers"]}
    assert sorted(titles) == ["empty", "manifest.json", "signature.json", "sub/a file", "weights"]
    assert titles["weights"] == f"sha256:{stores.sha256_of(WEIGHTS)}"

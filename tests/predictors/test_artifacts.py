"""Artifacts: what is published comes back, and no byte that differs is ever loaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from turnout_predictors import publish
from turnout_predictors.artifacts import Example, digest_of, fetch, open_artifact, write_artifact
from turnout_predictors.artifacts.manifest import compute
from turnout_predictors.errors import StartError
from turnout_predictors.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "FP32", ("N", 2), missing=True), TensorSpec("t", "BYTES", ("N",), text=True, optional=True)),
    (TensorSpec("y", "FP32", ("N", "K")),),
    {"y": ("a", "b")},
    "space",
)
EXAMPLE = Example("one", {"inputs": []}, {"outputs": []}, 0.5)


def fill(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "weights").write_bytes(b"w" * 10)
    (folder / "sub" / "more").write_bytes(b"m")


@pytest.fixture
def artifact(tmp_path: Path) -> tuple[Path, str]:
    target = tmp_path / "models" / "m" / "1"
    return target, write_artifact(target, fill, SIGNATURE, [EXAMPLE])


def test_what_was_written_is_opened(artifact: tuple[Path, str]) -> None:
    path, digest = artifact
    opened = open_artifact(path.as_uri(), digest)
    assert opened.signature == SIGNATURE
    assert opened.examples == (EXAMPLE,)
    assert (opened.digest, opened.pinned) == (digest, True)
    assert opened.file("nothing", "weights") == path / "weights"


def test_the_digest_is_the_manifests_sha256(artifact: tuple[Path, str]) -> None:
    path, digest = artifact
    assert digest == f"sha256:{hashlib.sha256((path / 'manifest.json').read_bytes()).hexdigest()}"
    files = json.loads((path / "manifest.json").read_text())["files"]
    assert sorted(files) == ["examples/000-one.json", "signature.json", "sub/more", "weights"]
    assert files["weights"] == {"sha256": hashlib.sha256(b"w" * 10).hexdigest(), "size": 10}


def test_without_a_digest_files_are_verified_but_nothing_is_pinned(artifact: tuple[Path, str]) -> None:
    opened = open_artifact(artifact[0].as_uri(), None)
    assert (opened.digest, opened.pinned) == (artifact[1], False)


def test_publishing_equal_bytes_again_changes_nothing(artifact: tuple[Path, str]) -> None:
    path, digest = artifact
    before = path.stat().st_ino
    assert write_artifact(path, fill, SIGNATURE, [EXAMPLE]) == digest
    assert path.stat().st_ino == before
    assert [child.name for child in path.parent.iterdir()] == ["1"], "no temporary folder is left"


def test_publishing_over_something_else_is_refused(artifact: tuple[Path, str]) -> None:
    path, digest = artifact
    with pytest.raises(FileExistsError, match="folder of its own"):
        write_artifact(path, fill, SIGNATURE)
    assert digest_of(path) == digest


def test_publishing_into_an_empty_folder_works(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write_artifact(tmp_path / "empty", fill, SIGNATURE) == digest_of(tmp_path / "empty")


def test_a_fill_that_raises_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_artifact(tmp_path / "m" / "1", broken, SIGNATURE)
    assert list((tmp_path / "m").iterdir()) == []


def retouch(path: Path, change: Callable[[Any], None]) -> None:
    """Changes the manifest itself; its own digest is then another."""
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def rename(path: Path, name: str) -> None:
    def change(manifest: Any) -> None:
        manifest["files"][name] = manifest["files"].pop("weights")

    retouch(path, change)


def flip(path: Path) -> None:
    (path / "weights").write_bytes(b"w" * 9 + b"v")


def link(path: Path) -> None:
    shutil.move(path / "weights", path.parent / "outside")
    (path / "weights").symlink_to(path.parent / "outside")


def link_folder(path: Path) -> None:
    shutil.move(path / "sub", path.parent / "outside")
    (path / "sub").symlink_to(path.parent / "outside")


def link_manifest(path: Path) -> None:
    shutil.move(path / "manifest.json", path.parent / "outside")
    (path / "manifest.json").symlink_to(path.parent / "outside")


TAMPERED: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "a changed byte": (flip, "ArtifactDigestMismatch", "weights differs"),
    "a truncated file": (
        lambda path: (path / "weights").write_bytes(b"w"),
        "ArtifactDigestMismatch",
        "weights has 1 bytes, its manifest says 10",
    ),
    "a missing file": (lambda path: (path / "weights").unlink(), "ArtifactDigestMismatch", "weights is missing"),
    "a file more": (lambda path: (path / "extra").write_bytes(b""), "ArtifactInvalid", "extra is not in its"),
    "a link": (link, "ArtifactInvalid", "weights is a link"),
    "a link to a folder": (link_folder, "ArtifactInvalid", "sub is a link"),
    "a pipe": (lambda path: os.mkfifo(path / "pipe"), "ArtifactInvalid", "pipe is a link or a device"),
    "a manifest that is a link": (link_manifest, "ArtifactInvalid", "manifest.json"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "ArtifactInvalid", "has no manifest.json"),
    "a manifest that is no JSON": (
        lambda path: (path / "manifest.json").write_text("{"),
        "ArtifactInvalid",
        "is no manifest",
    ),
    "a manifest without files": (
        lambda path: (path / "manifest.json").write_text("{}"),
        "ArtifactInvalid",
        "is no manifest",
    ),
    "an absolute name": (lambda path: rename(path, "/etc/passwd"), "ArtifactInvalid", "unsafe file name"),
    "a name that climbs": (lambda path: rename(path, "../weights"), "ArtifactInvalid", "unsafe file name"),
    "a name that climbs inside": (lambda path: rename(path, "sub/../weights"), "ArtifactInvalid", "unsafe"),
    "a name with a backslash": (lambda path: rename(path, "..\\weights"), "ArtifactInvalid", "unsafe file name"),
    "a size that is no number": (
        lambda path: retouch(path, lambda manifest: manifest["files"]["weights"].update(size="10")),
        "ArtifactInvalid",
        "'10' is no size",
    ),
    "a sum that is none": (
        lambda path: retouch(path, lambda manifest: manifest["files"]["weights"].update(sha256="../x")),
        "ArtifactInvalid",
        "is no sha256",
    ),
    "a file that is a folder too": (lambda path: rename(path, "sub"), "ArtifactInvalid", "'sub' is no file in it"),
    "a manifest that names itself": (lambda path: rename(path, "manifest.json"), "ArtifactInvalid", "is no file in it"),
    "an empty name": (lambda path: rename(path, ""), "ArtifactInvalid", "unsafe file name"),
    "no folder": (shutil.rmtree, "ArtifactNotFound", "no folder at"),
}


@pytest.mark.parametrize(("tamper", "reason", "said"), TAMPERED.values(), ids=TAMPERED.keys())
def test_refuses(artifact: tuple[Path, str], tamper: Callable[[Path], Any], reason: str, said: str) -> None:
    path, _ = artifact
    tamper(path)
    with pytest.raises(StartError, match=said) as caught:
        open_artifact(path.as_uri(), None)
    assert caught.value.reason == reason


def test_a_manifest_rewritten_to_match_the_tampered_bytes_has_another_digest(artifact: tuple[Path, str]) -> None:
    path, digest = artifact
    flip(path)
    (path / "manifest.json").write_bytes(compute(path))
    with pytest.raises(StartError, match=f"wanted {digest}") as caught:
        open_artifact(path.as_uri(), digest)
    assert caught.value.reason == "ArtifactDigestMismatch"


SIGNATURES = {
    "no JSON": ("{", "Expecting"),
    "an array": ("[]", "not an object"),
    "no inputs": ('{"outputs": []}', "inputs is not a list"),
    "a tensor twice": (
        json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": []}] * 2}),
        "names a tensor twice",
    ),
    "an unknown datatype": (
        '{"inputs": [{"name": "x", "datatype": "F32", "shape": []}]}',
        r"inputs\[0\].datatype 'F32'",
    ),
    "a wrong dimension": (
        '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1.5]}]}',
        r"inputs\[0\].shape\[0\]",
    ),
    "labels that are a list": ('{"labels": []}', "labels"),
}


@pytest.mark.parametrize(("text", "said"), SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature_that_cannot_be_read_says_where(artifact: tuple[Path, str], text: str, said: str) -> None:
    path, _ = artifact
    (path / "signature.json").write_text(text)
    (path / "manifest.json").write_bytes(compute(path))
    with pytest.raises(StartError, match=said) as caught:
        open_artifact(path.as_uri(), None)
    assert caught.value.reason == "ArtifactInvalid"


@pytest.mark.parametrize("text", ["{", "{}", '{"request": 1, "response": {"outputs": []}}', "[]"])
def test_an_example_that_cannot_be_read_is_named(artifact: tuple[Path, str], text: str) -> None:
    path, _ = artifact
    (path / "examples" / "000-one.json").write_text(text)
    (path / "manifest.json").write_bytes(compute(path))
    with pytest.raises(StartError, match=r"000-one.json cannot be read"):
        open_artifact(path.as_uri(), None)


URIS = {
    "an unknown scheme": ("ftp://models/m/1", "ArtifactInvalid", "scheme 'ftp'; served: file, pvc, https, hf, oci"),
    "a port that is none": ("https://models:port/m", "ArtifactInvalid", "correct it"),
    "https without a host": ("https:///m", "ArtifactInvalid", "https://host/folder"),
    "a password in the address": ("https://me:pass@models/m", "ArtifactInvalid", "https://models/m must be"),
    "a model of nobody": ("hf://models", "ArtifactInvalid", "hf://owner/name"),
    "a repository in capitals": ("oci://registry/Models/M", "ArtifactInvalid", "oci://host/repository"),
    "no bucket": ("s3:///models", "ArtifactInvalid", "s3://bucket/folder"),
    "a bare path": ("/models/m", "ArtifactInvalid", "scheme 'none'"),
    "a host in a file URI": ("file://models/m", "ArtifactInvalid", "file:///absolute/path"),
    "a claim that climbs": ("pvc://../etc", "ArtifactInvalid", "pvc://claim/path"),
    "a path that climbs out of its claim": ("pvc://claim/../../etc", "ArtifactInvalid", "pvc://claim/path"),
    "an encoded climb": ("pvc://claim/%2e%2e/etc", "ArtifactInvalid", "pvc://claim/path"),
    "no claim": ("pvc:///models", "ArtifactInvalid", "pvc://claim/path"),
    "a claim that is not mounted": ("pvc://claim/models", "ArtifactNotFound", "no folder at"),
    "a file that is no folder": ("file:///etc/hostname", "ArtifactNotFound", "no folder at"),
}


@pytest.mark.parametrize(("uri", "reason", "said"), URIS.values(), ids=URIS.keys())
def test_refuses_the_uri(uri: str, reason: str, said: str) -> None:
    with pytest.raises(StartError, match=said) as caught:
        fetch(uri)
    assert caught.value.reason == reason


def test_a_claim_is_a_folder_under_its_mount(artifact: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    path, digest = artifact
    monkeypatch.setenv("TURNOUT_PVC_ROOT", str(path.parents[1]))
    assert open_artifact("pvc://m/1", digest).path == path


def test_a_folder_is_published_with_what_its_links_point_at(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (tmp_path / "real").write_bytes(b"x")
    (source / "linked").symlink_to(tmp_path / "real")
    published = publish(source, to=tmp_path / "target", signature=SIGNATURE, examples=[EXAMPLE])
    assert (open_artifact(published.uri, published.digest).path / "linked").read_bytes() == b"x"


def test_a_folder_without_a_signature_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="signature="):
        publish(tmp_path, to=tmp_path / "target")

"""The archives that containerd takes: one layer, exact digests, the same bytes for the same files."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from harness.images import archive, write_archive
from harness.layout import Layout


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n")
    return path


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        found = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        return {name: file.read() for name, file in found.items() if file}


def test_an_archive_is_what_the_image_specification_asks_for(tmp_path: Path, program: Path) -> None:
    write_archive(tmp_path / "image.tar", "dev.local/x:1", {"/bin/x": program}, "/bin/x")
    files = members(tmp_path / "image.tar")
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == ["dev.local/x:1"]
    configuration = json.loads(files[manifest["Config"]])
    (layer,) = (files[name] for name in manifest["Layers"])
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert configuration["config"]["Entrypoint"] == ["/bin/x"]
    assert configuration["config"]["User"] == "65532"
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert {member.name: member.mode for member in tar.getmembers()} == {
            "bin/x": 0o755,
            "tmp": 0o1777,
            "etc/passwd": 0o644,
        }


def test_the_same_files_are_packed_once_and_changed_ones_anew(tmp_path: Path, program: Path) -> None:
    layout = Layout(cache=tmp_path / "cache", state=tmp_path / "state")
    first = archive(layout, "dev.local/x:1", {"/x": program}, "/x")
    assert archive(layout, "dev.local/x:1", {"/x": program}, "/x") == first
    program.write_text("#!/bin/sh\nexit 1\n")
    assert archive(layout, "dev.local/x:1", {"/x": program}, "/x") != first

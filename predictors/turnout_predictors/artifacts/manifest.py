"""manifest.json: sha256 and size of every other file of the artifact. Its own sha256 is the artifact's
digest.

`{"schema": 1, "files": {"model.skops": {"sha256": "…", "size": 123}, …}}`, paths relative and with `/`.
Links, absolute names, `..` and files that the manifest does not name are refused: what is not verified is
not loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from turnout_predictors.errors import (
    ARTIFACT_DIGEST_MISMATCH,
    ARTIFACT_INVALID,
    ARTIFACT_NOT_FOUND,
    StartError,
)

NAME: Final = "manifest.json"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    sha256: str
    size: int


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def digest_of(folder: Path) -> str:
    """`sha256:…` of the folder's manifest."""
    return f"sha256:{sha256_of(folder / NAME)}"


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below `folder` but the manifest, by relative name, sorted. StartError on links and
    devices.
    """
    for root, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        for name in sorted([*names, *(sub for sub in folders if (Path(root) / sub).is_symlink())]):
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            if not stat.S_ISREG(path.lstat().st_mode):
                raise StartError(
                    ARTIFACT_INVALID,
                    f"artifact {folder}: {relative} is a link or a device; publish plain files",
                )
            if relative != NAME:
                yield relative, path


def _raise(fault: OSError) -> None:
    raise StartError(ARTIFACT_INVALID, f"artifact folder {fault.filename} cannot be read: {fault.strerror}")


def compute(folder: Path) -> bytes:
    """The manifest of the folder as it is now: sorted, so equal content has an equal digest."""
    files = {name: {"sha256": sha256_of(path), "size": path.stat().st_size} for name, path in files_of(folder)}
    return json.dumps({"schema": 1, "files": files}, indent=1, sort_keys=True).encode() + b"\n"


def verify(folder: Path, digest: str | None) -> None:
    """Every byte is what was published, and nothing else is there; StartError names the first file that is
    not.
    """
    raw = _read(folder)
    found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if digest is not None and found != digest:
        raise StartError(
            ARTIFACT_DIGEST_MISMATCH,
            f"artifact {folder} has digest {found}, wanted {digest}; set artifact.digest to what was published",
        )
    entries = parse(raw, folder)
    present = dict(files_of(folder))
    for name in present.keys() - entries.keys():
        raise StartError(ARTIFACT_INVALID, f"artifact {folder}: {name} is not in its manifest; publish it again")
    for name, entry in entries.items():
        _verify_file(folder, name, entry, present.get(name))


def _verify_file(folder: Path, name: str, entry: Entry, path: Path | None) -> None:
    where = f"artifact {folder}: {name}"
    if path is None:
        raise StartError(ARTIFACT_DIGEST_MISMATCH, f"{where} is missing; publish or copy it again")
    size = path.stat().st_size
    if size != entry.size:
        raise StartError(
            ARTIFACT_DIGEST_MISMATCH,
            f"{where} has {size} bytes, its manifest says {entry.size}; publish or copy it again",
        )
    if sha256_of(path) != entry.sha256:
        raise StartError(ARTIFACT_DIGEST_MISMATCH, f"{where} differs from its manifest; publish or copy it again")


def _read(folder: Path) -> bytes:
    if not folder.is_dir():
        raise StartError(ARTIFACT_NOT_FOUND, f"artifact folder {folder} does not exist; check artifact.uri")
    path = folder / NAME
    if path.is_symlink() or not path.is_file():
        raise StartError(
            ARTIFACT_INVALID,
            f"artifact {folder} has no {NAME}; publish the model with turnout_predictors.publish",
        )
    try:
        return path.read_bytes()
    except OSError as fault:
        raise StartError(ARTIFACT_INVALID, f"{path} cannot be read: {fault.strerror}") from None


def parse(raw: bytes, where: Path | str) -> Mapping[str, Entry]:
    """The files that a manifest names; StartError if it is none, or has a name that may not be written."""
    try:
        files = json.loads(raw)["files"]
        entries = {safe_name(name): _entry(entry) for name, entry in files.items()}
        folders = {parent.as_posix() for name in entries for parent in PurePosixPath(name).parents}
        if NAME in entries or folders & entries.keys():
            raise ValueError(
                f"{next(iter([NAME] if NAME in entries else folders & entries.keys()))!r} is no file in it"
            )
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise StartError(ARTIFACT_INVALID, f"{where}/{NAME} is no manifest ({fault}); publish it again") from None
    return entries


def _entry(document: Mapping[str, object]) -> Entry:
    sha256, size = document["sha256"], document["size"]
    if not isinstance(sha256, str) or re.fullmatch("[0-9a-f]{64}", sha256) is None:
        raise ValueError(f"{sha256!r} is no sha256")
    if type(size) is not int or size < 0:
        raise ValueError(f"{size!r} is no size")
    return Entry(sha256, size)


def safe_name(name: str) -> str:
    """A relative path inside the artifact; ValueError otherwise."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or path.as_posix() != name:
        raise ValueError(f"unsafe file name {name!r}")
    return name

"""Writes an artifact: whole or not at all, and never over another one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from turnout_predictors.signature import Signature

from .artifact import SIGNATURE
from .examples import FOLDER, Example
from .manifest import NAME, compute, digest_of
from .reference import FILE, Reference, document_of


def write_artifact(
    target: Path,
    fill: Callable[[Path], None],
    signature: Signature,
    examples: Iterable[Example] = (),
    references: Sequence[Reference] = (),
) -> str:
    """Publishes into `target` and returns the digest. `fill` writes the weights into the folder it is given.

    FileExistsError if `target` holds something else; publishing equal bytes again changes nothing.
    """

    def whole(folder: Path) -> None:
        fill(folder)
        _write_json(folder / SIGNATURE, signature.to_json())
        for index, example in enumerate(examples):
            _write_json(folder / FOLDER / f"{index:03d}-{example.name}.json", example.to_json())
        if references:
            _write_json(folder / FILE, document_of(references))
        (folder / NAME).write_bytes(compute(folder))

    return put_in_place(target, whole)


def put_in_place(target: Path, fill: Callable[[Path], None]) -> str:
    """`fill` writes an artifact into the folder it is given, which then becomes `target`; returns its digest."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        folder = Path(temporary) / "artifact"
        folder.mkdir()
        fill(folder)
        digest = digest_of(folder)
        if refuse_another(target, digest):
            return digest
        os.rename(folder, target)  # fails on a folder that is not empty
    return digest


def refuse_another(target: Path, digest: str) -> bool:
    """Whether it lies there already; FileExistsError if something else does."""
    if not target.exists():
        return False
    if (target / NAME).is_file() and digest_of(target) == digest:
        return True
    if any(target.iterdir()):
        raise FileExistsError(f"{target} holds something else; publish each version into a folder of its own")
    return False


def copy_into(source: Path) -> Callable[[Path], None]:
    """A `fill` that copies a folder's files; links in it are followed, since what they point at is
    published.
    """

    def fill(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True, symlinks=False)

    return fill


def _write_json(path: Path, document: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")

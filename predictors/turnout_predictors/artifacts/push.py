"""From a folder into a store: every file, then the manifest. Until the manifest is there, nothing is published.

What is published is never changed: equal bytes again are nothing to do, others are refused.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from turnout_predictors.errors import ARTIFACT_NOT_FOUND, Interrupted, StartError

from .fetch import local_path, split
from .manifest import NAME, digest_of, parse, verify
from .pull import Patience, read_manifest
from .storage import WRITABLE, Target, open_target
from .write import copy_into, put_in_place, refuse_another

log = logging.getLogger(__name__)
_MIB: Final = 1 << 20


def push(folder: Path, uri: str, patience: Patience | None = None, *, dry_run: bool = False) -> str:
    """Publishes an artifact's folder at `uri` as it is, and returns its digest. A dry run only asks what lies there.

    FileExistsError if something else is published there; ValueError if the scheme is only read; StartError for what
    the store says.
    """
    verify(folder, None)
    parts, digest = split(uri), digest_of(folder)
    if parts.scheme == "file":
        if dry_run:
            refuse_another(local_path(parts), digest)
        else:
            put_in_place(local_path(parts), copy_into(folder))
        return digest
    if parts.scheme not in WRITABLE:
        raise ValueError(
            f"{parts.scheme}:// is only read; publish into a folder and copy it there, or into one of "
            f"file, {', '.join(WRITABLE)}"
        )
    target, patience = open_target(parts), patience or Patience()
    there = _published(uri, target, patience)
    if there not in (None, digest):
        raise FileExistsError(f"{uri} holds {there}; publish each version at an address of its own")
    if there == digest:
        log.info("%s holds it already: nothing to do", uri)
    elif not dry_run:
        _push(folder, uri, target, patience)
    return digest


def _push(folder: Path, uri: str, target: Target, patience: Patience) -> None:
    raw = (folder / NAME).read_bytes()
    files = {name: entry.sha256 for name, entry in parse(raw, folder).items()}
    for name, sha256 in [*files.items(), (NAME, hashlib.sha256(raw).hexdigest())]:
        begun, size = time.monotonic(), (folder / name).stat().st_size
        _patiently(uri, patience, partial(target.put, name, folder / name, sha256))
        log.info("put %s: %.1f MiB in %.1f s", name, size / _MIB, time.monotonic() - begun)


def _published(uri: str, target: Target, patience: Patience) -> str | None:
    """The digest of what lies there; None if nothing does."""
    try:
        return f"sha256:{hashlib.sha256(read_manifest(uri, target, patience)).hexdigest()}"
    except StartError as fault:
        if fault.reason == ARTIFACT_NOT_FOUND:
            return None
        raise


def _patiently(uri: str, patience: Patience, put: Callable[[], None]) -> None:
    failures = 0
    while True:
        try:
            return put()
        except Interrupted as fault:
            failures += 1
            patience.after(uri, failures, fault)

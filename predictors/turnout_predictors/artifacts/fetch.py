"""From a URI to a local folder, every byte of which is verified. `file` and `pvc` are folders already; other schemes
are pulled into the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from turnout_predictors.errors import (
    ARTIFACT_DENIED,
    ARTIFACT_INVALID,
    ARTIFACT_NOT_FOUND,
    ARTIFACT_UNREACHABLE,
    StartError,
)

from .manifest import verify
from .storage import MODULES

Folder = Callable[[SplitResult], Path]
PVC_ROOT: Final = "/mnt/pvc"


def fetch(uri: str, digest: str | None = None) -> Path:
    """The folder the URI means; StartError if its scheme is not served, nothing lies there, or a byte differs."""
    try:
        return _fetch(uri, split(uri), digest)
    except PermissionError as fault:
        raise StartError(
            ARTIFACT_DENIED, f"artifact.uri {uri!r}: {fault.filename} may not be read by user {os.geteuid()}; let it"
        ) from fault
    except OSError as fault:  # a disk that fails, a file that goes away beneath us: another start may find it well
        raise StartError(ARTIFACT_UNREACHABLE, f"artifact.uri {uri!r}: {fault}; look after its disk") from fault


def _fetch(uri: str, parts: SplitResult, digest: str | None) -> Path:
    if parts.scheme not in FOLDERS:
        return _pulled(parts, digest)
    folder = FOLDERS[parts.scheme](parts)
    if not folder.is_dir():
        raise StartError(ARTIFACT_NOT_FOUND, f"artifact.uri {uri!r}: no folder at {folder}; check the path")
    verify(folder, digest)
    return folder


def split(uri: str) -> SplitResult:
    """StartError if the URI cannot be one, or is of a scheme that is not served."""
    try:
        parts = urlsplit(uri)
        _ = parts.port  # looked at late otherwise
    except ValueError as fault:
        raise StartError(ARTIFACT_INVALID, f"artifact.uri {uri!r}: {fault}; correct it") from None
    if parts.scheme not in SCHEMES:
        raise StartError(
            ARTIFACT_INVALID,
            f"artifact.uri {uri!r} has scheme {parts.scheme or 'none'!r}; served: {', '.join(SCHEMES)}",
        )
    return parts


def _pulled(parts: SplitResult, digest: str | None) -> Path:
    from .cache import Cache
    from .pull import pull
    from .storage import open_source

    return pull(parts.geturl(), open_source(parts), digest, Cache.here())


def local_path(parts: SplitResult) -> Path:
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise StartError(ARTIFACT_INVALID, f"artifact.uri {parts.geturl()!r} must be file:///absolute/path")
    return path


def _pvc(parts: SplitResult) -> Path:
    inside = Path(unquote(parts.path).lstrip("/"))
    if not parts.netloc or parts.netloc in (".", "..") or ".." in inside.parts:
        raise StartError(ARTIFACT_INVALID, f"artifact.uri {parts.geturl()!r} must be pvc://claim/path")
    return Path(os.environ.get("TURNOUT_PVC_ROOT", PVC_ROOT)) / parts.netloc / inside


FOLDERS: Final[Mapping[str, Folder]] = {"file": local_path, "pvc": _pvc}
SCHEMES: Final = (*FOLDERS, *MODULES)

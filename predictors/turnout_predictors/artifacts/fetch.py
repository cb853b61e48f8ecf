"""From a URI to a local folder. One fetcher per scheme; `file` and `pvc` are folders already.

Fetchers of remote schemes will download into a cache by digest; what they return is verified like the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from turnout_predictors.errors import ARTIFACT_INVALID, ARTIFACT_NOT_FOUND, StartError

Fetcher = Callable[[SplitResult], Path]
PVC_ROOT: Final = "/mnt/pvc"


def fetch(uri: str, fetchers: Mapping[str, Fetcher] | None = None) -> Path:
    """The folder the URI means; StartError if its scheme is not served or nothing lies there."""
    fetchers = FETCHERS if fetchers is None else fetchers
    parts = urlsplit(uri)
    fetcher = fetchers.get(parts.scheme)
    if fetcher is None:
        raise StartError(
            ARTIFACT_INVALID,
            f"artifact.uri {uri!r} has scheme {parts.scheme or 'none'!r}; served: {', '.join(sorted(fetchers))}",
        )
    folder = fetcher(parts)
    if not folder.is_dir():
        raise StartError(ARTIFACT_NOT_FOUND, f"artifact.uri {uri!r}: no folder at {folder}; check the path")
    return folder


def _file(parts: SplitResult) -> Path:
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise StartError(ARTIFACT_INVALID, f"artifact.uri {parts.geturl()!r} must be file:///absolute/path")
    return path


def _pvc(parts: SplitResult) -> Path:
    inside = Path(unquote(parts.path).lstrip("/"))
    if not parts.netloc or parts.netloc in (".", "..") or ".." in inside.parts:
        raise StartError(ARTIFACT_INVALID, f"artifact.uri {parts.geturl()!r} must be pvc://claim/path")
    return Path(os.environ.get("TURNOUT_PVC_ROOT", PVC_ROOT)) / parts.netloc / inside


FETCHERS: Final[Mapping[str, Fetcher]] = {"file": _file, "pvc": _pvc}

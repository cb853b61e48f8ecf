"""Where published artifacts lie beyond this machine: one module per protocol, opened by the scheme of a URI.

Nothing here lists a folder or believes a name: the manifest names every file, and whoever reads checks every byte.
A module is imported when its scheme is asked for, since each brings a client of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol, cast
from urllib.parse import SplitResult

from turnout_predictors.errors import DEPENDENCY_MISSING, StartError

from .credentials import Credentials

MODULES: Final[Mapping[str, str]] = {"https": "https", "hf": "https", "oci": "oci", "s3": "objects", "gs": "objects"}
WRITABLE: Final = ("s3", "gs", "oci")


class Source(Protocol):
    """Files of one published artifact, by the names in its manifest."""

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """The file's bytes from `start` on, in blocks; closing the iterator ends the transfer.

        Interrupted for what may pass: the caller asks again from where it was. StartError for what will not.
        """
        ...


class Target(Source, Protocol):
    """A place that can be published to; a file of the manifest is put before the manifest."""

    def put(self, name: str, path: Path, sha256: str) -> None:
        """The file as it is now lies there under `name`, whole or not at all."""
        ...


class _Module(Protocol):
    def open_source(self, uri: SplitResult, credentials: Credentials) -> Source: ...

    def open_target(self, uri: SplitResult, credentials: Credentials) -> Target: ...


def open_source(uri: SplitResult) -> Source:
    """StartError if the URI has no such form, or its client is not in this image."""
    return _module(uri.scheme).open_source(uri, Credentials.here())


def open_target(uri: SplitResult) -> Target:
    """As `open_source`, of a scheme in WRITABLE."""
    return _module(uri.scheme).open_target(uri, Credentials.here())


def _module(scheme: str) -> _Module:
    try:
        return cast(_Module, importlib.import_module(f".{MODULES[scheme]}", __name__))
    except ModuleNotFoundError as fault:
        extra = "storage" if MODULES[scheme] == "objects" else "predictor"
        raise StartError(
            DEPENDENCY_MISSING, f"artifacts of {scheme}:// need {fault.name}; install turnout[{extra}]"
        ) from None

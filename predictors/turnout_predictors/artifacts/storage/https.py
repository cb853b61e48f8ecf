"""Folders behind HTTPS: `https://host/folder`, and repositories of the Hugging Face hub: `hf://owner/name[@revision]`.

Both are files below one address, so no client of the hub is needed to read them. Neither is published to from here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from urllib.parse import SplitResult, quote

from turnout_predictors.errors import ARTIFACT_INVALID, StartError

from .credentials import Credentials
from .http import Headers, Http

HUB = "https://huggingface.co"


class Folder:
    """Source: every file below one URL."""

    def __init__(self, url: str, secret: Headers) -> None:
        self._url = url.rstrip("/")
        self._http = Http(url, secret)

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        return self._http.read(f"{self._url}/{quote(name)}", start)


def open_source(uri: SplitResult, credentials: Credentials) -> Folder:
    if uri.scheme == "hf":
        token = credentials.value("token", "HF_TOKEN")
        return Folder(_hub_url(uri, credentials), {"Authorization": f"Bearer {token}"} if token else {})
    if not uri.hostname or uri.query or uri.fragment or uri.username:
        raise StartError(ARTIFACT_INVALID, f"artifact.uri https://{uri.hostname}{uri.path} must be https://host/folder")
    return Folder(uri.geturl(), _authorization(credentials))


def open_target(uri: SplitResult, credentials: Credentials) -> Folder:
    raise StartError(ARTIFACT_INVALID, f"{uri.scheme}:// is read only; publish into a folder and copy it there")


def _authorization(credentials: Credentials) -> dict[str, str]:
    if token := credentials.value("token", "TURNOUT_ARTIFACT_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    name = credentials.value("username", "TURNOUT_ARTIFACT_USERNAME")
    password = credentials.value("password", "TURNOUT_ARTIFACT_PASSWORD")
    return {"Authorization": basic(name, password)} if name else {}


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def _hub_url(uri: SplitResult, credentials: Credentials) -> str:
    """`hf://owner/name@revision/folder`: the revision is main unless named."""
    first, _, below = uri.path.strip("/").partition("/")
    name, _, revision = first.partition("@")
    if not uri.netloc or not name:
        raise StartError(ARTIFACT_INVALID, f"artifact.uri {uri.geturl()!r} must be hf://owner/name[@revision][/folder]")
    hub = credentials.environment.get("HF_ENDPOINT", HUB).rstrip("/")
    return "/".join(filter(None, [hub, uri.netloc, name, "resolve", quote(revision or "main", safe=""), quote(below)]))

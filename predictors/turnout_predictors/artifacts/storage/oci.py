"""OCI registries: `oci://host/repository[:tag|@sha256:…]`, an image manifest whose layers are the artifact's files.

A layer's title is the file's name and its digest the sha256 that our own manifest names, so a registry stores equal
files of many versions once, and tools such as oras read what is published here. The distribution protocol is three
kinds of requests and a token, so no client library is needed. Credentials are `auths` of a Docker configuration.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlencode, urljoin

from turnout_predictors.artifacts.manifest import NAME as MANIFEST
from turnout_predictors.errors import (
    ARTIFACT_DENIED,
    ARTIFACT_DIGEST_MISMATCH,
    ARTIFACT_INVALID,
    StartError,
)

from .credentials import Credentials
from .http import Http, raise_for_status, shown
from .https import basic

TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE: Final = "application/vnd.turnout.model.v1"
LAYER_TYPE: Final = "application/octet-stream"
EMPTY: Final = b"{}"
TITLE: Final = "org.opencontainers.image.title"
LARGEST_MANIFEST: Final = 16 << 20
TOKEN_SECONDS: Final = 60.0  # the shortest life that the protocol lets a token have
HUB: Final = "registry-1.docker.io"  # Docker Hub, under the names that people and `docker login` have for it
HUB_NAMES: Final = ("docker.io", "index.docker.io")
HUB_KEYS: Final = ("https://index.docker.io/v1/", *HUB_NAMES)
LOCAL: Final = ("localhost", "127.0.0.1", "::1")  # registries on this machine speak plain HTTP, as for Docker

Layers = dict[str, tuple[str, int]]


class Repository:
    """Source and Target: one tag of a repository."""

    def __init__(self, host: str, name: str, reference: str, credentials: Credentials, scope: str) -> None:
        self._base = f"{_protocol(host, credentials)}://{host}/v2"
        self._host, self._name, self._reference = host, name, reference
        self._credentials, self._scope = credentials, f"repository:{name}:{scope}"
        self._http = Http(self._base)
        self._asked_at = -TOKEN_SECONDS
        self._found: Layers | None = None
        self._put: Layers = {}

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        self._authenticate()
        if self._found is None:
            self._found = self._layers()
        if name not in self._found:
            raise StartError(
                ARTIFACT_INVALID, f"{self} is something else: it has no layer titled {name}; check the address"
            )
        return self._http.read(self._url(f"blobs/{self._found[name][0]}"), start)

    def put(self, name: str, path: Path, sha256: str) -> None:
        self._authenticate()
        self._upload(path, f"sha256:{sha256}")
        self._put[name] = (f"sha256:{sha256}", path.stat().st_size)
        if name == MANIFEST:
            self._tag()

    def __str__(self) -> str:
        return f"oci://{self._host}/{self._name}{'@' if ':' in self._reference else ':'}{self._reference}"

    def _url(self, path: str) -> str:
        return f"{self._base}/{self._name}/{path}"

    def _layers(self) -> Layers:
        url = self._url(f"manifests/{self._reference}")
        raw = b"".join(_at_most(self._http.read(url, 0, {"Accept": TYPE}), LARGEST_MANIFEST, url))
        found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if ":" in self._reference and found != self._reference:
            raise StartError(ARTIFACT_DIGEST_MISMATCH, f"{self} is answered with {found}; the registry is not sound")
        try:
            layers = json.loads(raw)["layers"]
            return {layer["annotations"][TITLE]: (layer["digest"], layer["size"]) for layer in layers}
        except (ValueError, KeyError, TypeError):
            raise StartError(
                ARTIFACT_INVALID, f"{self} is no artifact, whose layers have titles; `turnout publish` writes one"
            ) from None

    def _upload(self, path: Path, digest: str) -> None:
        """One blob, unless the registry has it."""
        with self._http.open("HEAD", self._url(f"blobs/{digest}")) as response:
            if response.status == 200:
                return
        with self._http.open("POST", self._url("blobs/uploads/"), {"Content-Length": "0"}) as response:
            raise_for_status(response, self._url("blobs/uploads/"))
            place = urljoin(self._url("blobs/uploads/"), response.headers["Location"])
        place += ("&" if "?" in place else "?") + urlencode({"digest": digest})
        headers = {"Content-Type": LAYER_TYPE, "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as file, self._http.open("PUT", place, headers, file) as response:
            raise_for_status(response, place)

    def _tag(self) -> None:
        empty = hashlib.sha256(EMPTY).hexdigest()
        url = self._url(f"blobs/uploads/?{urlencode({'digest': f'sha256:{empty}'})}")
        with self._http.open("POST", self._url("blobs/uploads/"), {"Content-Length": "0"}) as response:
            raise_for_status(response, url)
            place = urljoin(url, response.headers["Location"])
        place += ("&" if "?" in place else "?") + urlencode({"digest": f"sha256:{empty}"})
        with self._http.open("PUT", place, {"Content-Type": LAYER_TYPE}, EMPTY) as response:
            raise_for_status(response, place)
        manifest = _image_manifest(self._put, f"sha256:{empty}")
        with self._http.open(
            "PUT", self._url(f"manifests/{self._reference}"), {"Content-Type": TYPE}, manifest
        ) as response:
            raise_for_status(response, self._url(f"manifests/{self._reference}"))

    def _authenticate(self) -> None:
        """As the registry asks: nothing, a password, or a token from whom it names."""
        if time.monotonic() - self._asked_at < TOKEN_SECONDS:
            return
        self._http.secret = {}
        with self._http.open("GET", f"{self._base}/") as response:
            challenge = response.headers.get("WWW-Authenticate", "") if response.status == 401 else ""
            if not challenge:
                raise_for_status(response, f"{self._base}/")
        if challenge:
            self._http.secret = self._answer_to(challenge)
        self._asked_at = time.monotonic()

    def _answer_to(self, challenge: str) -> dict[str, str]:
        kind, _, rest = challenge.partition(" ")
        asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        known = _login(self._host, self._credentials)
        login = {"Authorization": basic(*known)} if known else {}
        if kind.lower() == "basic":
            if not known:
                raise StartError(
                    ARTIFACT_DENIED, f"{self} wants credentials; name a Secret with .dockerconfigjson in authRef"
                )
            return login
        wanted = {"scope": self._scope} | ({"service": asked["service"]} if "service" in asked else {})
        realm = asked.get("realm", "")
        if not realm.startswith("https://" if self._base.startswith("https") else "http"):
            raise StartError(ARTIFACT_DENIED, f"{self} sends its callers to {realm!r}, which cannot be trusted")
        raw = b"".join(_at_most(Http(realm, login).read(f"{realm}?{urlencode(wanted)}"), LARGEST_MANIFEST, realm))
        try:
            answer = json.loads(raw)
            token = answer.get("token") or answer["access_token"]
        except (ValueError, AttributeError, KeyError):
            raise StartError(ARTIFACT_DENIED, f"{shown(realm)} answers {self} without a token") from None
        return {"Authorization": f"Bearer {token}"}


def _image_manifest(layers: Mapping[str, tuple[str, int]], empty: str) -> bytes:
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": len(EMPTY)}
    described = [
        {"mediaType": LAYER_TYPE, "digest": digest, "size": size, "annotations": {TITLE: name}}
        for name, (digest, size) in sorted(layers.items())
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": config,
        "layers": described,
    }
    return json.dumps(document, indent=1).encode()


def _at_most(blocks: Iterator[bytes], most: int, where: str) -> Iterator[bytes]:
    had = 0
    for block in blocks:
        had += len(block)
        if had > most:
            raise StartError(ARTIFACT_INVALID, f"{where} has more than {most} bytes, which is no manifest")
        yield block


def _protocol(host: str, credentials: Credentials) -> str:
    plain = credentials.environment.get("TURNOUT_PLAIN_HTTP_REGISTRIES", "").split(",")
    return "http" if host in plain or SplitResult("", host, "", "", "").hostname in LOCAL else "https"


def _login(host: str, credentials: Credentials) -> tuple[str, str] | None:
    """Name and password that a Docker configuration has for the host."""
    folder = credentials.environment.get("DOCKER_CONFIG", "")
    path = credentials.file(".dockerconfigjson", "config.json") or (Path(folder) / "config.json" if folder else None)
    if path is None or not path.is_file():
        return None
    try:
        auths = json.loads(path.read_bytes()).get("auths", {})
        keys = (host, f"https://{host}", f"https://{host}/v1/", *(HUB_KEYS if host == HUB else ()))
        entry = next((auths[key] for key in keys if key in auths), None)
        if entry is None:
            return None
        if entry.get("auth"):
            name, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            return name, password
        return entry.get("username", ""), entry.get("password", "")
    except (ValueError, AttributeError, TypeError):  # said without a word of what is in it
        raise StartError(ARTIFACT_DENIED, f"{path} is no Docker configuration; write it with docker login") from None


def open_source(uri: SplitResult, credentials: Credentials) -> Repository:
    return _repository(uri, credentials, "pull")


def open_target(uri: SplitResult, credentials: Credentials) -> Repository:
    return _repository(uri, credentials, "pull,push")


def _repository(uri: SplitResult, credentials: Credentials, scope: str) -> Repository:
    path, _, digest = uri.path.strip("/").partition("@")
    name, _, tag = path.partition(":")
    if not uri.netloc or not re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", name):
        raise StartError(
            ARTIFACT_INVALID, f"artifact.uri {uri.geturl()!r} must be oci://host/repository[:tag], in small letters"
        )
    host = HUB if uri.netloc in HUB_NAMES else uri.netloc
    return Repository(host, name, digest or tag or "latest", credentials, scope)

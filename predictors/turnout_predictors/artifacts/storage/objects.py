"""Object stores: `s3://bucket/folder` and `gs://bucket/folder`.

obstore, one Rust library of 15 MB without dependencies, knows the ways clouds hand out credentials (keys, web
identity, instance metadata); imports in a tenth of boto3's and google-cloud-storage's modules; and speaks to any
store of these protocols by its endpoint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import SplitResult, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import GCSStore, S3Store

from turnout_predictors.artifacts.manifest import NAME as MANIFEST
from turnout_predictors.errors import (
    ARTIFACT_DENIED,
    ARTIFACT_DIGEST_MISMATCH,
    ARTIFACT_INVALID,
    ARTIFACT_NOT_FOUND,
    ARTIFACT_UNREACHABLE,
    SETTINGS_INVALID,
    Interrupted,
    StartError,
)

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, GCSConfig, RetryConfig, S3Config

from .credentials import Credentials
from .http import BLOCK, CONNECT_SECONDS, PASSING, TOO_SHORT, stall_seconds

AWS_IDENTITIES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
GOOGLE_KEYS: Final = ("gcloud-application-credentials.json", "key.json")  # of the Secret; the first is KServe's name
METADATA_HOSTS: Final = ("169.254.169.254", "metadata.google.internal", "169.254.170.2", "169.254.170.23")
RETRIES: Final[RetryConfig] = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}  # who asks does more


class Bucket:
    """Source and Target: objects below one prefix of a bucket. `who`: what a refusal says of who asked."""

    def __init__(self, store: Any, uri: SplitResult, who: str) -> None:
        self._store = store
        self._uri = f"{uri.scheme}://{uri.netloc}{uri.path.rstrip('/')}"
        self._prefix = uri.path.strip("/")
        self._who = who

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        options: GetOptions = {"range": {"offset": start}} if start else {}
        with self._translated(name):
            for block in obstore.get(self._store, self._key(name), options=options).stream(min_chunk_size=BLOCK):
                yield bytes(block)

    def put(self, name: str, path: Path, sha256: str) -> None:
        if name != MANIFEST:
            with self._translated(name):
                obstore.put(self._store, self._key(name), path)
        elif not self._create(name, path) and hashlib.sha256(b"".join(self.read(name))).hexdigest() != sha256:
            raise FileExistsError(f"{self._uri} was published by another meanwhile; take an address of its own")

    def _create(self, name: str, path: Path) -> bool:
        """Whether it was put; False if something lies there. Of two who publish at once, one publishes."""
        with self._translated(name):
            try:
                obstore.put(self._store, self._key(name), path, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        where = f"{self._uri}/{name}"
        try:
            yield
        except FileNotFoundError:
            raise StartError(ARTIFACT_NOT_FOUND, f"{where} does not exist; check artifact.uri") from None
        except (PermissionDeniedError, UnauthenticatedError):
            raise StartError(
                ARTIFACT_DENIED,
                f"{where} is refused to {self._who}; it needs leave to read, and to list the bucket: without that a "
                "store refuses also what does not exist",
            ) from None
        except BaseError as fault:
            raise self._meaning(where, _sentence(fault)) from None

    def _meaning(self, where: str, said: str) -> Exception:
        host, status = _asked(said)
        if host in METADATA_HOSTS:  # the last resort of both clouds, on no machine of theirs
            return StartError(
                ARTIFACT_DENIED, f"{where}: there are no credentials for the store; name a Secret in artifact.authRef"
            )
        if status == 416:
            return StartError(ARTIFACT_DIGEST_MISMATCH, f"{where} {TOO_SHORT}")
        if 400 <= status < 500 and status not in PASSING:
            return StartError(ARTIFACT_UNREACHABLE, f"{where}: {said}")
        return Interrupted(f"{where}: {said}")


def open_source(uri: SplitResult, credentials: Credentials) -> Bucket:
    if not uri.netloc:
        raise StartError(ARTIFACT_INVALID, f"artifact.uri {uri.geturl()!r} must be {uri.scheme}://bucket/folder")
    return (_s3 if uri.scheme == "s3" else _gs)(uri, credentials)


open_target = open_source


def _s3(uri: SplitResult, credentials: Credentials) -> Bucket:
    given = credentials.of_prefix("AWS_")
    known = {name: value for name, value in given.items() if name not in ("AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE")}
    endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        known["AWS_ENDPOINT_URL"] = endpoint
    config = {name.lower(): value for name, value in known.items() if name in S3_SETTINGS}
    store = S3Store(uri.netloc, config=cast("S3Config", config), client_options=_client(endpoint), retry_config=RETRIES)
    identity = given.get("AWS_ACCESS_KEY_ID") or next((name for name in AWS_IDENTITIES if given.get(name)), "nobody")
    return Bucket(store, uri, identity)


S3_SETTINGS: Final = frozenset(
    {
        *AWS_IDENTITIES,
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    }
)


def _gs(uri: SplitResult, credentials: Credentials) -> Bucket:
    key = credentials.file(*GOOGLE_KEYS)
    path = str(key) if key else credentials.environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    endpoint = credentials.environment.get("STORAGE_EMULATOR_HOST", "")
    config: GCSConfig = {"service_account": path} if path else {}
    if endpoint:  # Google's own variable: a server that asks for no credentials
        nobody = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": ""}
        config = {"service_account_key": json.dumps({**nobody, "private_key_id": ""})}
    try:
        store = GCSStore(uri.netloc, config=config, client_options=_client(endpoint), retry_config=RETRIES)
    except BaseError as fault:
        raise StartError(ARTIFACT_DENIED, f"{path} is no key of a service account: {_sentence(fault)}") from None
    return Bucket(store, uri, f"the account of {path}" if path else "this machine's account")


def _client(endpoint: str) -> ClientConfig:
    """A stall is no byte for a while; however long the whole takes is nobody's business."""
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        raise StartError(SETTINGS_INVALID, f"the store's endpoint {endpoint!r} must be http://host or https://host")
    return {
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=stall_seconds()),
        "timeout": timedelta(days=1),
        "allow_http": endpoint.startswith("http://"),
    }


def _asked(said: str) -> tuple[str, int]:
    """Host that the library asked, and the status it was answered with; 0 without one. Names in URLs have no spaces."""
    url = re.search(r"Error performing [A-Z]+ (\S+) in ", said)
    status = re.search(r"Error performing [A-Z]+ \S+ in .*? - Server returned non-2xx status code: (\d{3})", said)
    return urlsplit(url[1]).hostname or "" if url else "", int(status[1]) if status else 0


def _sentence(fault: BaseException) -> str:
    """The first line: below it stands Rust's own account of the same."""
    return str(fault).strip().partition("\n")[0][:300]

"""Requests to the API server, and the translation of every way in which they fail into one of three words.

Plain HTTP: of the seven verbs that the engine needs, a client library would make thousands of models, none of them
read here. It builds no bodies and keeps no state.
"""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic_core import from_json

from turnout.api.base import JsonObject
from turnout.platform.kubernetes.resources import Resource
from turnout.platform.protocol import Conflict, Refused, Unavailable

FIELD_MANAGER = "turnout"
TIMEOUT = 15.0  # seconds
LIST_TIMEOUT = 60.0  # of one page, from an API server that may be starting itself
PAGE = 250  # objects of a list in one answer: some 3 MB of a fleet's versions
STREAMED_AT_ONCE = 20  # objects of a streamed list that are read together
WATCH = 300  # seconds, after which the server ends a watch and it is begun anew
QUIET = 75.0  # seconds without a word; the server sends a bookmark each minute, so the connection is dead
CONNECT = 10.0

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"

NOT_THE_OBJECTS_FAULT = ('forbidden: User "', "being terminated")
"""Words of a 403 that speaks of the operator's rights or of a namespace that goes, not of what was written."""

BOOKMARK = "BOOKMARK"
_INITIAL_END = "k8s.io/initial-events-end"

Raw = dict[str, Any]


class NotFound(Conflict):
    """It is gone, or was never there: look again."""


class NotServed(Unavailable):
    """The cluster does not know the kind at all."""


class Expired(Unavailable):
    """The API server remembers that moment no more (410): a list must be begun anew."""


@dataclass(frozen=True)
class Page:
    """A part of a list; the last one says at which moment all of it was so. `gone`: went while it was told."""

    items: tuple[Raw, ...]
    resource_version: str
    gone: Raw | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch: ADDED, MODIFIED, DELETED, or BOOKMARK, which tells nothing but the moment."""

    kind: str
    raw: Raw

    @property
    def resource_version(self) -> str:
        return str(self.raw["metadata"]["resourceVersion"])


class NotLeading(Unavailable):
    """Another operator writes, or may by now: this one may only read."""


def unfenced() -> float:
    """For a process that writes alone."""
    return TIMEOUT


def seconds_for(method: str, what: str, patience: float, fence: Callable[[], float]) -> float:
    """How long a request may be under way: a write no longer than this operator surely leads, and else not at all."""
    seconds = patience if method == "GET" else min(patience, fence())
    if seconds <= 0:
        raise NotLeading(f"{method} {what}: this operator does not lead")
    return seconds


class Calls:
    """Typed requests over one connection pool. `fence`: for how many seconds a write may be under way; 0: none may."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        authorization: Callable[[], Awaitable[str]],
        fence: Callable[[], float] = unfenced,
        server_name: str | None = None,
    ) -> None:
        self._session = session
        self._authorization = authorization
        self._fence = fence
        self._server_name = server_name
        self._streams = True  # the server tells a list object by object, until it refuses

    async def get(self, resource: Resource, namespace: str, name: str) -> Raw:
        return await self._request("GET", resource.path(namespace, name))

    async def pages(self, resource: Resource, namespace: str = "") -> AsyncIterator[Page]:
        """The list, part by part; may end in `Expired`.

        Streamed where the API server can do that: it tells its cache object by object, for a tenth of the work that
        pages are, which it reads from its store.
        """
        if self._streams:
            try:
                async for page in self._streamed(resource, namespace):
                    yield page
                return
            except Refused:  # Kubernetes before 1.32, or the feature is switched off
                self._streams = False
        query = {"limit": str(PAGE), **_selected(resource)}
        while True:
            raw = await self._request("GET", resource.path(namespace), query=query, patience=LIST_TIMEOUT)
            metadata = raw["metadata"]
            yield Page(tuple(raw.pop("items") or ()), str(metadata["resourceVersion"]))
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def _streamed(self, resource: Resource, namespace: str) -> AsyncIterator[Page]:
        items: list[Raw] = []
        asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        async for change in self._changes(resource, namespace, asked):
            if change.kind == BOOKMARK:
                if _INITIAL_END in (change.raw["metadata"].get("annotations") or {}):
                    yield Page(tuple(items), change.resource_version)
                    return
            elif change.kind == "DELETED":
                yield Page(tuple(items), change.resource_version, change.raw)
                items = []
            else:
                items.append(change.raw)
            if len(items) >= STREAMED_AT_ONCE:
                yield Page(tuple(items), "")
                items = []
        raise Unavailable(f"list {resource.path(namespace)}: the API server broke off half-way")

    async def watch(self, resource: Resource, namespace: str, since: str) -> AsyncIterator[Change]:
        """What has changed since that moment, until the server ends the request; may end in `Expired`.

        The first is a bookmark of that very moment: it is connected.
        """
        connected = Change(BOOKMARK, {"metadata": {"resourceVersion": since}})
        async for change in self._changes(resource, namespace, {"resourceVersion": since}, connected):
            yield change

    async def _changes(
        self, resource: Resource, namespace: str, asked: Mapping[str, str], connected: Change | None = None
    ) -> AsyncIterator[Change]:
        path = resource.path(namespace)
        ever = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH)}
        timeout = aiohttp.ClientTimeout(total=WATCH + QUIET, sock_connect=CONNECT, sock_read=QUIET)
        query = {**ever, **asked, **_selected(resource)}
        try:
            async with self._session.get(path, params=query, **await self._given(timeout)) as answer:
                if answer.status != 200:
                    raise classify(answer.status, answer.reason or "", await answer.read(), f"watch {path}")
                if connected:
                    yield connected
                async for line in _lines(answer.content):
                    yield _change(line, f"watch {path}")
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as fault:  # OSError: timeouts too
            raise Unavailable(f"watch {path}: {str(fault) or type(fault).__name__}") from fault

    async def create(self, resource: Resource, namespace: str, body: JsonObject) -> Raw:
        return await self._request("POST", resource.path(namespace), body, JSON, _strict())

    async def apply(self, resource: Resource, body: JsonObject, *, sub: str = "", force: bool = True) -> Raw:
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        path = resource.path(str(metadata["namespace"]), str(metadata["name"]), sub)
        return await self._request("PATCH", path, body, APPLY, {**_strict(), "force": str(force).lower()})

    async def merge(self, resource: Resource, namespace: str, name: str, body: JsonObject, *, sub: str = "") -> Raw:
        return await self._request("PATCH", resource.path(namespace, name, sub), body, MERGE, _strict())

    async def patch(self, resource: Resource, namespace: str, name: str, body: list[JsonObject]) -> Raw:
        return await self._request("PATCH", resource.path(namespace, name), body, JSON_PATCH, _strict())

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> Raw:
        body: JsonObject = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        return await self._request("DELETE", resource.path(namespace, name), body, JSON)

    async def _request(
        self,
        method: str,
        path: str,
        body: JsonObject | list[JsonObject] | None = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
        patience: float = TIMEOUT,
    ) -> Raw:
        timeout = seconds_for(method, path, patience, self._fence)
        given = await self._given(aiohttp.ClientTimeout(total=timeout))
        given["headers"]["Content-Type"] = content_type
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        try:
            async with self._session.request(method, path, params=query, data=data, **given) as answer:
                told = await answer.read()
            if not 200 <= answer.status <= 299:
                raise classify(answer.status, answer.reason or "", told, f"{method} {path}")
            raw: Raw = from_json(told, cache_strings="all")
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as fault:  # OSError: timeouts too
            raise Unavailable(f"{method} {path}: {str(fault) or type(fault).__name__}") from fault
        return raw

    async def _given(self, timeout: aiohttp.ClientTimeout) -> dict[str, Any]:
        """What every request has: its time, who asks, and whose certificate is expected."""
        headers = {"Accept": JSON, "Accept-Encoding": "identity"}  # to pack and unpack costs more than the bytes
        if authorization := await self._authorization():
            headers["Authorization"] = authorization
        return {"headers": headers, "timeout": timeout, "server_hostname": self._server_name}


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """One event each, however long."""
    rest = b""
    async for data in content.iter_any():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line


def _change(line: bytes, call: str) -> Change:
    event: Raw = from_json(line, cache_strings="all")
    if event["type"] == "ERROR":
        status = event["object"]
        raise classify(status.get("code"), "", json.dumps(status), call)
    return Change(str(event["type"]), event["object"])


def _selected(resource: Resource) -> dict[str, str]:
    return {"labelSelector": resource.selector} if resource.selector else {}


def _strict() -> dict[str, str]:
    """An older KServe that would drop a field in silence refuses it instead."""
    return {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


def classify(status: int | None, reason: str, body: str | bytes, call: str) -> Exception:
    """What an answer of the API server means for the loop; the sentence is the server's own."""
    sentence, missing = _sentence(body) or reason or f"HTTP {status}", _missing(body)
    if status == 404 and missing == "namespaces":  # what outlived its namespace is nobody's to mend: no hurry
        return Unavailable(f"{call}: {sentence}")
    if status == 404:
        return NotFound(f"{call}: {sentence}") if missing else NotServed(f"{call}: {sentence}")
    if status == 409:
        return Conflict(f"{call}: {sentence}")
    if status == 410:
        return Expired(f"{call}: {sentence}")
    if status == 403 and any(words in sentence for words in NOT_THE_OBJECTS_FAULT):
        return Unavailable(f"{call}: {sentence}")
    if status in {400, 403, 405, 406, 413, 415, 422}:
        return Refused(sentence)
    return Unavailable(f"{call}: {sentence}")  # 401 with a stale token, 429, 5xx, no answer at all


def _status(body: str | bytes) -> Raw:
    try:
        raw = json.loads(body)
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _sentence(body: str | bytes) -> str:
    return str(_status(body).get("message") or "")


def _missing(body: str | bytes) -> str:
    """The kind of the object that a 404 names; one that names none is about the kind itself: empty."""
    details = _status(body).get("details")
    if not isinstance(details, dict) or not details.get("name"):
        return ""
    return str(details.get("kind") or "object")

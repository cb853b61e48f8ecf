"""Requests to the API server, and the translation of every way in which they fail into one of three words.

The only module that knows the client library. It builds no bodies and keeps no state.
"""

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException

from turnout.api.base import JsonObject
from turnout.platform.kubernetes.resources import Resource
from turnout.platform.protocol import Conflict, Refused, Unavailable

FIELD_MANAGER = "turnout"
TIMEOUT = 15.0  # seconds; the library's own is five minutes
PAGE = 500

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"

NOT_THE_OBJECTS_FAULT = ('forbidden: User "', "being terminated")
"""Words of a 403 that speaks of the operator's rights or of a namespace that goes, not of what was written."""

Raw = dict[str, Any]


class NotFound(Conflict):
    """It is gone, or was never there: look again."""


class NotServed(Unavailable):
    """The cluster does not know the kind at all."""


@dataclass(frozen=True)
class Page:
    """One whole list, and the moment at which it was true."""

    items: tuple[Raw, ...]
    resource_version: str


class NotLeading(Unavailable):
    """Another operator writes, or may by now: this one may only read."""


def unfenced() -> float:
    """For a process that writes alone."""
    return TIMEOUT


class Calls:
    """Typed requests over one connection pool. `fence`: for how many seconds a write may be under way; 0: none may."""

    def __init__(self, client: ApiClient, fence: Callable[[], float] = unfenced) -> None:
        self._client = client
        self._fence = fence

    async def get(self, resource: Resource, namespace: str, name: str) -> Raw:
        return await self._request("GET", resource.path(namespace, name))

    async def list_all(self, resource: Resource, namespace: str = "") -> Page:
        """All pages. A list that expires half-way (410) is read again by whoever asked."""
        items: list[Raw] = []
        query: dict[str, str] = {"limit": str(PAGE)}
        if resource.selector:
            query["labelSelector"] = resource.selector
        while True:
            raw = await self._request("GET", resource.path(namespace), query=query)
            items += raw["items"]
            metadata = raw["metadata"]
            if not metadata.get("continue"):
                return Page(tuple(items), str(metadata["resourceVersion"]))
            query["continue"] = metadata["continue"]

    async def create(self, resource: Resource, namespace: str, body: JsonObject) -> Raw:
        return await self._request("POST", resource.path(namespace), body, JSON, _strict())

    async def apply(self, resource: Resource, body: JsonObject, *, sub: str = "", force: bool = True) -> Raw:
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        path = resource.path(str(metadata["namespace"]), str(metadata["name"]), sub)
        return await self._request("PATCH", path, body, APPLY, {**_strict(), "force": str(force).lower()})

    async def merge(self, resource: Resource, namespace: str, name: str, body: JsonObject) -> Raw:
        return await self._request("PATCH", resource.path(namespace, name), body, MERGE, _strict())

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
    ) -> Raw:
        url = path + (f"?{urlencode(query)}" if query else "")
        try:
            return await self._send(method, url, body, content_type)
        except ApiException as fault:
            raise classify(fault.status, str(fault.reason or ""), str(fault.body or ""), f"{method} {path}") from fault
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as fault:  # OSError: timeouts too
            raise Unavailable(f"{method} {path}: {str(fault) or type(fault).__name__}") from fault

    async def _send(self, method: str, url: str, body: object, content_type: str) -> Raw:
        headers = {"Accept": JSON, "Content-Type": content_type}
        prepared = await self._client.param_serialize(
            method, url, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        timeout = TIMEOUT if method == "GET" else min(TIMEOUT, self._fence())
        if timeout <= 0:
            raise NotLeading(f"{method} {url}: this operator does not lead")
        response = await self._client.call_api(*prepared, _request_timeout=timeout)
        data = await response.read()
        if not 200 <= response.status <= 299:
            raise ApiException(response.status, response.reason, body=data.decode(errors="replace"))
        answer: Raw = json.loads(data)
        return answer


def _strict() -> dict[str, str]:
    """An older KServe that would drop a field in silence refuses it instead."""
    return {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


def classify(status: int | None, reason: str, body: str, call: str) -> Exception:
    """What an answer of the API server means for the loop; the sentence is the server's own."""
    sentence, missing = _sentence(body) or reason or f"HTTP {status}", _missing(body)
    if status == 404 and missing == "namespaces":  # what outlived its namespace is nobody's to mend: no hurry
        return Unavailable(f"{call}: {sentence}")
    if status == 404:
        return NotFound(f"{call}: {sentence}") if missing else NotServed(f"{call}: {sentence}")
    if status == 409:
        return Conflict(f"{call}: {sentence}")
    if status == 410:  # a list that has expired
        return Unavailable(f"{call}: {sentence}")
    if status == 403 and any(words in sentence for words in NOT_THE_OBJECTS_FAULT):
        return Unavailable(f"{call}: {sentence}")
    if status in {400, 403, 405, 406, 413, 415, 422}:
        return Refused(sentence)
    return Unavailable(f"{call}: {sentence}")  # 401 with a stale token, 429, 5xx, no answer at all


def _status(body: str) -> Raw:
    try:
        raw = json.loads(body)
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _sentence(body: str) -> str:
    return str(_status(body).get("message") or "")


def _missing(body: str) -> str:
    """The kind of the object that a 404 names; one that names none is about the kind itself: empty."""
    details = _status(body).get("details")
    if not isinstance(details, dict) or not details.get("name"):
        return ""
    return str(details.get("kind") or "object")

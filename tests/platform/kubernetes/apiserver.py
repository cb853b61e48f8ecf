"""An API server in memory, as far as the engine uses one: over real HTTP, so that the real client is tested with it.

Knows: resourceVersion, generation, uid, LIST with pages and label selectors, POST, merge and JSON patch, server-side
apply by manager with conflicts, /status apart, delete with preconditions, watches that can be cut and forget their
past, faults on demand. Knows no schema and no admission; what it says of server-side apply was compared with a real
one (Kubernetes 1.34).
"""

import asyncio
import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Object = dict[str, Any]


@dataclass
class Fault:
    """The next request of this method and path part is answered so instead."""

    method: str
    part: str
    status: int
    message: str = "on demand"


@dataclass
class ApiServer:
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)  # path of the kind, namespace, name
    missing: set[str] = field(default_factory=set)  # plurals that are not served
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, query
    page: int = 500
    streams: bool = True  # lists, for who asks so
    meanwhile: list[tuple[str, Object]] = field(default_factory=list)  # events that a streamed list tells at its end
    events: list[tuple[int, str, str, Object]] = field(default_factory=list)  # moment, path of the kind, type, object
    compacted: int = 0  # a watch that asks for this moment or an earlier one is told 410
    _clock: Iterator[int] = field(default_factory=lambda: itertools.count(100))
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _watches: set[asyncio.Event] = field(default_factory=set)  # set to end one

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    def put(self, kind: str, body: Object, manager: str = "") -> Object:
        """Place an object as somebody else would; `kind` is the path of its plural."""
        metadata = body.setdefault("metadata", {})
        old = self.objects.get((kind, metadata["namespace"], metadata["name"]))
        metadata.setdefault("uid", old["metadata"]["uid"] if old else f"uid-{next(self._clock)}")
        metadata["resourceVersion"] = str(next(self._clock))
        metadata.setdefault("generation", 1)
        if manager:
            metadata["managedFields"] = [{"manager": manager, "operation": "Update"}]
        self.objects[kind, metadata["namespace"], metadata["name"]] = body
        self._tell(kind, "MODIFIED" if old else "ADDED", body)
        return body

    def remove(self, kind: str, namespace: str, name: str) -> None:
        raw = copy.deepcopy(self.objects.pop((kind, namespace, name)))
        raw["metadata"]["resourceVersion"] = str(next(self._clock))
        self._tell(kind, "DELETED", raw)

    def bookmark(self, kind: str) -> None:
        """Tell those who watch the kind how late it is."""
        self._tell(kind, "BOOKMARK", {"metadata": {"resourceVersion": str(next(self._clock))}})

    def repeat(self) -> None:
        """Tell the last event once more."""
        self.events.append((next(self._clock), *self.events[-1][1:]))
        self._happened()

    def cut(self) -> None:
        """End every watch, as a load balancer does."""
        for watch in self._watches:
            watch.set()
        self._happened()

    def forget(self) -> None:
        """Compact: nobody learns what has happened until now but from a list."""
        self.compacted = next(self._clock)
        self.events.clear()

    @property
    def watches(self) -> int:
        return len(self._watches)

    def _tell(self, kind: str, event: str, body: Object) -> None:
        self.events.append((int(body["metadata"]["resourceVersion"]), kind, event, copy.deepcopy(body)))
        self._happened()

    def get(self, kind: str, namespace: str, name: str) -> Object:
        return self.objects[kind, namespace, name]

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.requests if method != "GET"]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path, method = request.path, request.method
        self.requests.append((method, path, request.query_string))
        for fault in self.faults:
            if fault.method == method and fault.part in path:
                self.faults.remove(fault)
                return _status(fault.status, fault.message)
        kind, namespace, name, sub = _parse(path)
        if kind.rsplit("/", 1)[-1] in self.missing:
            return web.Response(status=404, text="404 page not found")
        if request.query.get("watch"):
            return await self._watch(kind, namespace, request)
        if method == "GET" and not name:
            return self._list(kind, namespace, request)
        body = json.loads(await request.read() or b"null")
        if method == "POST":
            return self._create(kind, namespace, body, request.query["fieldManager"])
        live = self.objects.get((kind, namespace, name))
        if request.content_type == "application/apply-patch+yaml":
            return self._apply(kind, live, body, sub, request)
        if live is None:
            return _status(404, f"{name} not found", name)
        if method == "GET":
            return web.json_response(live)
        if method == "DELETE":
            return self._delete(kind, live, body)
        return self._patch(kind, live, body, request)

    def _items(self, kind: str, namespace: str, request: web.Request) -> list[Object]:
        return [
            item
            for (of, within, _), item in sorted(self.objects.items())
            if of == kind and namespace in ("", within) and _selected(item, request.query.get("labelSelector", ""))
        ]

    def _list(self, kind: str, namespace: str, request: web.Request) -> web.Response:
        every = self._items(kind, namespace, request)
        start = int(request.query.get("continue", "0"))
        items = every[start : start + self.page]
        rest = str(start + self.page) if len(every) > start + self.page else ""
        return web.json_response(
            {"metadata": {"resourceVersion": str(next(self._clock)), "continue": rest}, "items": items}
        )

    async def _watch(self, kind: str, namespace: str, request: web.Request) -> web.StreamResponse:
        if request.query.get("sendInitialEvents"):
            return await self._stream(kind, namespace, request)
        answer = web.StreamResponse()
        await answer.prepare(request)
        since = int(request.query["resourceVersion"])
        if since <= self.compacted:
            gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
            await answer.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return answer
        self._watches.add(ended := asyncio.Event())
        selector = request.query.get("labelSelector", "")
        try:
            while not ended.is_set():
                news = self._news  # of this moment: what happens while it writes is heard, too
                for moment, of, event, raw in list(self.events):
                    within = event == "BOOKMARK" or namespace in ("", raw["metadata"]["namespace"])
                    if moment > since and of == kind and within and _selected(raw, selector):
                        since = moment
                        await answer.write(json.dumps({"type": event, "object": raw}).encode() + b"\n")
                await news.wait()
        finally:
            self._watches.discard(ended)
        return answer

    async def _stream(self, kind: str, namespace: str, request: web.Request) -> web.StreamResponse:
        """A list as a watch begins with it."""
        if not self.streams:
            return _status(422, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        answer = web.StreamResponse()
        await answer.prepare(request)
        events = [("ADDED", item) for item in self._items(kind, namespace, request)]
        end = {"resourceVersion": str(next(self._clock)), "annotations": {"k8s.io/initial-events-end": "true"}}
        moments = [("BOOKMARK", {"metadata": {"resourceVersion": "1"}}), *events, *self.meanwhile]
        for event, raw in (*moments, ("BOOKMARK", {"metadata": end})):
            await answer.write(json.dumps({"type": event, "object": raw}).encode() + b"\n")
        return answer

    def _happened(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _create(self, kind: str, namespace: str, body: Object, manager: str) -> web.Response:
        name = body["metadata"]["name"]
        if (kind, namespace, name) in self.objects:
            return _status(409, f"{name} already exists", name)
        return web.json_response(self.put(kind, body, manager), status=201)

    def _patch(self, kind: str, live: Object, body: Any, request: web.Request) -> web.Response:
        after = copy.deepcopy(live)
        if isinstance(body, list):
            for change in body:
                *parents, last = change["path"].strip("/").split("/")
                place = after
                for parent in parents:
                    place = place[parent]
                if change["op"] == "remove":
                    del place[last]
                else:
                    place[last] = change["value"]
        else:
            _merge(after, body)
        before, wish = live["metadata"], after["metadata"]
        if wish["resourceVersion"] != before["resourceVersion"] or wish["uid"] != before["uid"]:
            return _status(409, "the object has been modified", before["name"])
        return web.json_response(self.put(kind, after))

    def _apply(self, kind: str, live: Object | None, body: Object, sub: str, request: web.Request) -> web.Response:
        metadata = body["metadata"]
        if live is None:
            if "resourceVersion" in metadata or sub:
                return _status(404 if sub else 409, "not found", metadata["name"])
            live = {"metadata": {"namespace": metadata["namespace"], "name": metadata["name"], "generation": 0}}
        elif (
            metadata.get("resourceVersion", live["metadata"]["resourceVersion"]) != live["metadata"]["resourceVersion"]
        ):
            return _status(409, "the object has been modified", metadata["name"])
        manager, after = request.query["fieldManager"], copy.deepcopy(live)
        entries = after["metadata"].get("managedFields", [])
        if sub:
            after[sub] = body[sub]
        else:
            theirs = [each for each in entries if each["manager"] != manager and "fieldsV1" in each]
            if theirs and after.get("spec") != body["spec"]:
                if request.query["force"] != "true":
                    return _status(409, f'conflict with "{theirs[0]["manager"]}": .spec.traffic', metadata["name"])
                entries = [each for each in entries if each not in theirs]
            if after.get("spec") != body["spec"]:
                after["metadata"]["generation"] += 1
            after["spec"] = body["spec"]
            _merge(after["metadata"], {key: metadata[key] for key in ("labels", "ownerReferences") if key in metadata})
            fields = {"f:spec": {"f:traffic": {}}}
            ours = {"manager": manager, "operation": "Apply", "time": "2026-11-21T10:00:00Z", "fieldsV1": fields}
            entries = [each for each in entries if each["manager"] != manager] + [ours]
            after["metadata"]["managedFields"] = entries
        if after == live:
            return web.json_response(live)
        return web.json_response(self.put(kind, after))

    def _delete(self, kind: str, live: Object, body: Object) -> web.Response:
        metadata = live["metadata"]
        if body["preconditions"]["uid"] != metadata["uid"]:
            return _status(409, "the uid in the precondition differs", metadata["name"])
        if metadata.get("finalizers"):
            metadata["deletionTimestamp"] = "2026-11-21T10:00:00Z"
            return web.json_response(self.put(kind, live))
        self.remove(kind, metadata["namespace"], metadata["name"])
        return web.json_response({"kind": "Status", "status": "Success"})


def _parse(path: str) -> tuple[str, str, str, str]:
    """Path of the kind, namespace, name, subresource."""
    parts = path.strip("/").split("/")
    root, rest = (parts[:3], parts[3:]) if parts[0] == "apis" else (parts[:2], parts[2:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = (*rest, "", "")[:3]
    return "/".join((*root, plural)), namespace, name, sub


def _selected(item: Object, selector: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    wishes = [wish for wish in selector.split(",") if wish]
    return all((wish.lstrip("!") in labels) != wish.startswith("!") for wish in wishes)


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _status(code: int, message: str, name: str = "it") -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message, "details": {"name": name}}
    return web.json_response(body, status=code)

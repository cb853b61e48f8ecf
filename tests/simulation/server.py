"""An API server in memory under virtual time: objects, watches, and one line to it for each operator.

It knows what the engine relies on: resourceVersion, generation, uid, server-side apply of a Route and of a status,
JSON and merge patches bound to a version or a uid, managedFields of the split, garbage collection by references.
An object is never changed in place: whoever has read it keeps what it has read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from turnout.platform.kubernetes.calls import FIELD_MANAGER, NotFound, NotServed, Page, Raw
from turnout.platform.kubernetes.resources import Resource
from turnout.platform.protocol import Conflict, Refused

Name = tuple[Resource, str, str]
Watcher = Callable[[Resource, str, Raw], None]
SPLIT = {"f:spec": {"f:traffic": {}}}


def stamp(moment: datetime) -> str:
    """Kubernetes' times have whole seconds."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


class Server:
    """The truth. `watchers` hear each change at once; delay and loss are theirs."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.objects: dict[Name, Raw] = {}
        self.watchers: list[Watcher] = []
        self.missing: set[Resource] = set()
        self.refuses: set[tuple[Resource, str]] = set()  # names that admission does not let be made
        self.writer = ""  # "operator" while a call of its own takes effect
        self._count = itertools.count(1)

    # -- for whoever is not the operator

    def find(self, resource: Resource, name: str, namespace: str = "support") -> Raw | None:
        return self.objects.get((resource, namespace, name))

    def of(self, resource: Resource) -> Iterator[Raw]:
        return (raw for (kind, _, _), raw in sorted(self.objects.items(), key=_by_name) if kind is resource)

    def put(self, resource: Resource, raw: Raw) -> Raw:
        """Store a state of an object; its generation rises with its spec."""
        metadata = raw["metadata"]
        place = resource, metadata["namespace"], metadata["name"]
        before = self.objects.get(place)
        count = next(self._count)
        known = before["metadata"] if before else {"generation": 0, "uid": f"uid-{metadata['name']}-{count}"}
        raised = before is None or before.get("spec") != raw.get("spec")
        fixed = {
            "uid": known["uid"],
            "generation": known["generation"] + raised,
            "creationTimestamp": known.get("creationTimestamp") or stamp(self.now()),
            "resourceVersion": str(count),
        }
        stored: Raw = {**raw, "metadata": {**metadata, **fixed}}
        self.objects[place] = stored
        self._tell(resource, "MODIFIED" if before else "ADDED", stored)
        return stored

    def remove(self, resource: Resource, name: str, namespace: str = "support") -> None:
        raw = self.objects.pop((resource, namespace, name), None)
        if raw is not None:
            last = {**raw["metadata"], "resourceVersion": str(next(self._count))}
            self._tell(resource, "DELETED", {**raw, "metadata": last})

    def collect_garbage(self) -> None:
        """What refers to owners goes when none of them is left."""
        uids = {raw["metadata"]["uid"] for raw in self.objects.values()}
        for (resource, namespace, name), raw in list(self.objects.items()):
            owners = raw["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners):
                self.remove(resource, name, namespace)

    def _tell(self, resource: Resource, event: str, raw: Raw) -> None:
        for watcher in tuple(self.watchers):
            watcher(resource, event, raw)

    # -- requests, as `Calls` makes them

    def get(self, resource: Resource, namespace: str, name: str) -> Raw:
        self._served(resource)
        found = self.objects.get((resource, namespace, name))
        if found is None:
            raise NotFound(f"{resource} {name} not found")
        return found

    def list_all(self, resource: Resource, namespace: str = "") -> Page:
        self._served(resource)
        items = tuple(raw for raw in self.of(resource) if namespace in ("", raw["metadata"]["namespace"]))
        return Page(items, str(next(self._count)))

    def create(self, resource: Resource, namespace: str, body: Raw) -> Raw:
        self._served(resource)
        if (resource, namespace, body["metadata"]["name"]) in self.objects:
            raise Conflict(f"{resource} {body['metadata']['name']} already exists")
        if (resource, body["metadata"]["name"]) in self.refuses:
            raise Refused(f"admission webhook denied the request: {body['metadata']['name']}")
        if resource.plural == "events":
            return body  # told; kept nowhere
        return self.put(resource, _managed(body, [_entry("Update", self.now())]))

    def apply(self, resource: Resource, body: Raw, *, sub: str = "", force: bool = True) -> Raw:
        self._served(resource)
        metadata = body["metadata"]
        live = self.objects.get((resource, metadata["namespace"], metadata["name"]))
        if live is None and (sub or "resourceVersion" in metadata):
            raise NotFound(f"{metadata['name']} not found")
        if live is not None:
            _must_agree(live, metadata)
        if sub:
            assert live is not None
            return live if live.get(sub) == body[sub] else self.put(resource, {**live, sub: body[sub]})
        return self._apply_route(resource, live, body, force)

    def _apply_route(self, resource: Resource, live: Raw | None, body: Raw, force: bool) -> Raw:
        metadata = body["metadata"]
        if live is None:
            return self.put(resource, _managed(body, [_entry("Apply", self.now(), splits=True)]))
        entries = live["metadata"].get("managedFields", [])
        theirs = [entry for entry in entries if entry["manager"] != FIELD_MANAGER and "fieldsV1" in entry]
        differs = live["spec"] != body["spec"]
        if differs and theirs and not force:
            raise Conflict(f"conflict with {theirs[0]['manager']}: .spec.traffic")
        if differs:
            entries = [entry for entry in entries if "fieldsV1" not in entry]
        owners = metadata.get("ownerReferences", [])
        if not differs and live["metadata"].get("ownerReferences", []) == owners and _holds(entries):
            return live
        ours = [*(entry for entry in entries if not _is_ours(entry)), _entry("Apply", self.now(), splits=True)]
        after = {**live["metadata"], "labels": metadata["labels"], "ownerReferences": owners, "managedFields": ours}
        return self.put(resource, {**live, "metadata": after, "spec": body["spec"]})

    def merge(self, resource: Resource, namespace: str, name: str, body: Raw) -> Raw:
        """Annotations only, as the engine patches them; of a Lease its whole spec."""
        live = self.get(resource, namespace, name)
        _must_agree(live, body["metadata"])
        if "spec" in body:
            return self.put(resource, {**live, "spec": body["spec"]})
        annotations = {**live["metadata"].get("annotations", {}), **body["metadata"]["annotations"]}
        kept = {key: text for key, text in annotations.items() if text is not None}
        return self.put(resource, {**live, "metadata": {**live["metadata"], "annotations": kept}})

    def patch(self, resource: Resource, namespace: str, name: str, body: list[Raw]) -> Raw:
        """References only, bound to what was read."""
        live = self.get(resource, namespace, name)
        bound, change = body
        if bound["value"] != live["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        references = change.get("value", [])
        if change["op"] == "remove" and "ownerReferences" not in live["metadata"]:
            raise Refused("the path to remove does not exist")
        metadata = {**live["metadata"], "ownerReferences": references}
        if not references:
            del metadata["ownerReferences"]
        return self.put(resource, {**live, "metadata": metadata})

    def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> Raw:
        live = self.get(resource, namespace, name)
        if live["metadata"]["uid"] != uid:
            raise Conflict("the uid in the precondition differs")
        self.remove(resource, name, namespace)
        return {"kind": "Status"}

    def _served(self, resource: Resource) -> None:
        if resource in self.missing:
            raise NotServed(f"{resource} is not served")


def _by_name(item: tuple[Name, Raw]) -> tuple[str, str]:
    (_, namespace, name), _ = item
    return namespace, name


def _must_agree(live: Raw, metadata: Raw) -> None:
    for key in ("resourceVersion", "uid"):
        if metadata.get(key, live["metadata"][key]) != live["metadata"][key]:
            raise Conflict(f"{live['metadata']['name']}: the object has been modified")


def _entry(operation: str, at: datetime, *, splits: bool = False, manager: str = FIELD_MANAGER) -> dict[str, Any]:
    entry: dict[str, Any] = {"manager": manager, "operation": operation, "time": stamp(at)}
    return {**entry, "fieldsV1": SPLIT} if splits else entry


def _is_ours(entry: Raw) -> bool:
    return entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply"


def _holds(entries: Iterable[Raw]) -> bool:
    return any(_is_ours(entry) and "fieldsV1" in entry for entry in entries)


def _managed(raw: Raw, entries: list[dict[str, Any]]) -> Raw:
    return {**raw, "metadata": {**raw["metadata"], "managedFields": entries}}


def edited_split(live: Raw, traffic: list[Raw], at: datetime, manager: str = "kubectl-edit") -> Raw:
    """The Route as it is after somebody has changed its split by hand: the field is theirs now."""
    entries = [{k: v for k, v in entry.items() if k != "fieldsV1"} for entry in live["metadata"]["managedFields"]]
    others = [entry for entry in entries if entry["manager"] != manager]
    mine = _entry("Update", at, splits=True, manager=manager)
    return _managed({**live, "spec": {**live["spec"], "traffic": traffic}}, [*others, mine])

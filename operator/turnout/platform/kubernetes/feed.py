"""How the cache is fed: by watch events, by full lists, and by the answers to our own writes.

Every change marks the models it concerns dirty, at once: nothing is collected, nothing waits. A list that follows a
gap of a watch finds what it has lost, deletions too.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from turnout.api.reasons import Reason
from turnout.api.version import ModelVersion
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.cache import Cache, Name, key_of, needed_names, order
from turnout.platform.kubernetes.calls import Calls, Expired, NotServed, Raw
from turnout.platform.kubernetes.objects import AnyObject, Pod, Revision, Route, read
from turnout.platform.kubernetes.observation import Memory
from turnout.platform.kubernetes.resources import Resource
from turnout.platform.kubernetes.unread import UnreadVersion, unread_version
from turnout.rollout.snapshot import ModelKey, Problem

PARSED_AT_ONCE = 20  # objects of a list between two turns of the event loop: some 10 ms
LIST_TRIES = 3  # of one that expires before its last page

log = logging.getLogger(__name__)

_NAME_TAKERS = frozenset(
    {resources.INFERENCE_SERVICES, resources.ROUTES, resources.KNATIVE_SERVICES, resources.SERVICES}
)


class Feed:
    """Keeps `cache` and `memory` as the cluster is; `dirty` hears which models a change concerns."""

    def __init__(
        self,
        calls: Calls,
        dirty: Callable[[ModelKey], None],
        now: Callable[[], datetime],
        namespaces: tuple[str, ...] = (),
    ) -> None:
        self.cache = Cache()
        self.memory = Memory(self.cache)
        self.missing: frozenset[Resource] = frozenset()
        self._complete = True  # False within the first lists: half a world says nothing about readiness
        self._listed = False
        self._listed_at: dict[tuple[Resource, str], str] = {}
        self._parsing = asyncio.Lock()
        self._calls = calls
        self._dirty = dirty
        self._now = now
        self.places = namespaces or ("",)  # what is listed and watched, each by itself; "": all namespaces

    def observe(self, resource: Resource, event: str | None, raw: dict[str, Any]) -> None:
        """Take in one event of a watch, or (event None or "MODIFIED") the answer to a write."""
        item = self._read(resource, raw)
        if item is not None:
            self._take_in(resource, item, gone=event == "DELETED")
        elif resource is resources.VERSIONS:
            self._unread(raw["metadata"], gone=event == "DELETED")

    def _unread(self, metadata: dict[str, Any], *, gone: bool) -> None:
        """What was read of it before would only be written onto in vain; whose deployment it has is told."""
        name = metadata["namespace"], metadata["name"]
        self.gone(resources.VERSIONS, *name)
        if gone and (unread := self.cache.unread.pop(name, None)):
            self._dirty(unread.key)
        deployed = self.cache.inference_services.get(*name)
        if deployed and deployed.key:
            self._dirty(deployed.key)

    def gone(self, resource: Resource, namespace: str, name: str) -> None:
        """Take in that nothing of this name exists any more."""
        item = self.cache.store(resource).get(namespace, name)
        if item is not None:
            self._take_in(resource, item, gone=True)

    async def refresh(self) -> None:
        """Take in full lists of everything; raises `Unavailable` or `Refused` and then has changed nothing wrongly."""
        self._complete = self._listed
        try:
            missing = await self._list_all()
            self._listed = True
        finally:
            self._complete = True
        if self.missing != missing:
            self.missing = frozenset(missing)
            for key in self.cache.keys():  # noqa: SIM118 – a method, not a dict
                self._dirty(key)
        self.memory.forget_all_but(
            {revision.uid for revision in self.cache.revisions.everything()},
            {route.uid for route in self.cache.routes.everything()},
        )

    async def _list_all(self) -> set[Resource]:
        """Which kinds are not served. All at once: the API server has more processors than this process."""
        places = [(resource, namespace) for resource in resources.WATCHED for namespace in self.places]
        ends = await asyncio.gather(*(self.relist(*place) for place in places), return_exceptions=True)
        missing = {resource for (resource, _), end in zip(places, ends, strict=True) if isinstance(end, NotServed)}
        faults = [end for end in ends if isinstance(end, BaseException) and not isinstance(end, NotServed)]
        if faults:
            raise faults[0]
        return missing

    def listed_at(self, resource: Resource, namespace: str) -> str:
        """The moment from which a watch goes on where the last list ended."""
        return self._listed_at[resource, namespace]

    @property
    def trouble(self) -> Problem | None:
        """What the cluster lacks, in a sentence; None if nothing."""
        lacking = sorted(str(resource) for resource in self.missing if resource is not resources.VERSIONS)
        if not lacking:
            return None
        sentence = f"the cluster does not serve {', '.join(lacking)}; install KServe 0.20 or newer in Knative mode"
        return Problem(Reason.KServeMissing, sentence)

    async def relist(self, resource: Resource, namespace: str) -> None:
        """One kind, of one namespace or of all: what is not in the list is gone."""
        items, names, moment = await self._list(resource, namespace)
        if order(moment) < order(self._listed_at.get((resource, namespace), "")):
            return  # another was faster; what was deleted between the two is not remembered any more
        if resource is resources.VERSIONS:
            self._forget_unread(namespace, names)
        store = self.cache.store(resource)
        primed = len(store) > 0
        changed = store.replace(items, moment, frozenset({namespace} if namespace else ()))
        self._listed_at[resource, namespace] = moment
        for item in changed:
            self._changed(resource, None, item)
        if changed and primed:
            log.info("the list of %s differs from what was known in %d objects", resource, len(changed))

    async def _list(self, resource: Resource, namespace: str) -> tuple[list[AnyObject], set[Name], str]:
        """What could be read, the names of all, and the moment at which it was so."""
        for tries_left in reversed(range(LIST_TRIES)):
            items: list[AnyObject] = []
            names: set[Name] = set()
            moment = ""
            try:
                async for page in self._calls.pages(resource, namespace):
                    moment = page.resource_version
                    names.update((raw["metadata"]["namespace"], raw["metadata"]["name"]) for raw in page.items)
                    items += await self._parse(resource, page.items)
                    if page.gone:
                        name = page.gone["metadata"]["namespace"], page.gone["metadata"]["name"]
                        items = [item for item in items if (item.namespace, item.name) != name]
                        names.discard(name)
            except Expired:
                if not tries_left:
                    raise
            else:
                break
        return items, names, moment

    async def _parse(self, resource: Resource, page: tuple[Raw, ...]) -> list[AnyObject]:
        """One page at a time of all lists, for its raw objects weigh much more than what is kept of them."""
        items = []
        async with self._parsing:
            for at, raw in enumerate(page):
                if item := self._known(resource, raw) or self._read(resource, raw):
                    items.append(item)
                if at % PARSED_AT_ONCE == 0:
                    await asyncio.sleep(0)
        return items

    def _known(self, resource: Resource, raw: dict[str, Any]) -> AnyObject | None:
        """What the cache has in this very state: reading it again is most of what a list costs."""
        metadata = raw.get("metadata", {})
        item = self.cache.store(resource).get(metadata.get("namespace", ""), metadata.get("name", ""))
        same = item is not None and item.uid == metadata.get("uid")
        return item if item and same and item.metadata.resource_version == metadata.get("resourceVersion") else None

    def _forget_unread(self, namespace: str, present: set[Name]) -> None:
        for name in tuple(self.cache.unread):
            if namespace in ("", name[0]) and name not in present:
                self._dirty(self.cache.unread.pop(name).key)

    def _read(self, resource: Resource, raw: dict[str, Any]) -> AnyObject | None:
        metadata = raw.get("metadata", {})
        name = metadata.get("namespace", ""), metadata.get("name", "")
        try:
            item = read(resource, raw)
        except ValidationError as fault:
            if resource is resources.VERSIONS:
                self._cannot_read(name, unread_version(raw, fault))
            else:
                why = fault.errors()[0]["msg"]
                log.error("%s %s cannot be read and is left alone: %s", resource.kind, "/".join(name), why)
            return None
        if resource is resources.VERSIONS:
            self.cache.unread.pop(name, None)
        return item

    def _cannot_read(self, name: tuple[str, str], unread: UnreadVersion) -> None:
        before = self.cache.unread.get(name)
        self.cache.unread[name] = unread
        if before != unread:
            self._dirty(unread.key)
        if before is None or before.seen.why != unread.seen.why:
            log.error("ModelVersion %s cannot be read and is left alone: %s", "/".join(name), unread.seen.why)

    def _take_in(self, resource: Resource, item: AnyObject, *, gone: bool) -> None:
        store = self.cache.store(resource)
        before = store.get(item.namespace, item.name)
        self._look(item)  # until this very moment it stood as it was known
        if store.drop(item) if gone else store.put(item):
            self._changed(resource, before, item)

    def _changed(self, resource: Resource, before: AnyObject | None, item: AnyObject) -> None:
        self._look(item)
        if isinstance(item, Route) and item.metadata.is_ours:
            self.memory.noticed(item)
        for key in set(self._concerned(resource, before, item)):
            self._dirty(key)

    def _look(self, item: AnyObject) -> None:
        """A revision that is listed before its pods would seem to be coming up from zero, and a dead one to live."""
        revision = self._revision_of(item)
        if revision is not None and self._complete:
            self.memory.look(revision, self._now())

    def _revision_of(self, item: AnyObject) -> Revision | None:
        """The revision whose readiness an object has to do with, as the cache knows it."""
        if isinstance(item, Pod):
            return self.cache.revisions.get(item.namespace, item.revision)
        if isinstance(item, ModelVersion):
            return None
        return self.cache.revisions.get(item.namespace, item.name)  # an autoscaler has its revision's name

    def _concerned(self, resource: Resource, before: AnyObject | None, item: AnyObject) -> Iterator[ModelKey]:
        for state in (before, item):
            if state is not None and (key := key_of(state)):
                yield key
        if resource in _NAME_TAKERS:
            yield from self.cache.needing(item.namespace, item.name)
        if isinstance(item, ModelVersion) and (before is None or before.uid != item.uid or self._is_gone(item)):
            for name in needed_names(item):  # what it reserves, others may be waiting for
                yield from self.cache.needing(item.namespace, name)

    def _is_gone(self, item: ModelVersion) -> bool:
        return self.cache.versions.get(item.namespace, item.name) is None

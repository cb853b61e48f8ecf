"""The cluster as last seen: one store per kind, of models, by name and by the ModelKey they belong to.

It is fed by watches, by full lists and by the answers to our own writes, in any order: the resourceVersion decides
what is newer. It does no I/O and decides nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from turnout.api.version import ModelVersion
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.objects import (
    AnyObject,
    Autoscaler,
    InferenceService,
    Pod,
    Revision,
    Route,
    Seen,
)
from turnout.platform.kubernetes.resources import Resource
from turnout.platform.kubernetes.unread import UnreadVersion
from turnout.rollout.snapshot import ModelKey

T = TypeVar("T", bound=AnyObject)
Name = tuple[str, str]
"""Namespace and name."""


def order(resource_version: str) -> int:
    """resourceVersions of one kind compare as numbers; what is no number counts as oldest."""
    return int(resource_version) if resource_version.isdigit() else 0


def key_of(item: AnyObject) -> ModelKey | None:
    if isinstance(item, ModelVersion):
        return ModelKey(item.namespace, item.model)
    return item.key


class Store(Generic[T]):
    """The objects of one kind."""

    def __init__(self) -> None:
        self._items: dict[Name, T] = {}
        self._by_key: dict[ModelKey, dict[str, T]] = {}
        self._deleted: dict[Name, int] = {}  # at which resourceVersion, since the last list: older news come late

    def get(self, namespace: str, name: str) -> T | None:
        return self._items.get((namespace, name))

    def of(self, key: ModelKey) -> tuple[T, ...]:
        """All that belongs to a model, by name."""
        return tuple(item for _, item in sorted(self._by_key.get(key, {}).items()))

    def keys(self) -> Iterator[ModelKey]:
        yield from self._by_key

    def everything(self) -> Iterable[T]:
        return self._items.values()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Take in a state of an object; False if this or a newer one is known."""
        name = (item.namespace, item.name)
        before = self._items.get(name)
        known = order(before.metadata.resource_version) if before else self._deleted.get(name, -1)
        if order(item.metadata.resource_version) <= known:
            return False
        if before is not None:
            self._forget(before)
        self._deleted.pop(name, None)
        self._items[name] = item
        if key := key_of(item):
            self._by_key.setdefault(key, {})[item.name] = item
        return True

    def drop(self, item: T) -> bool:
        """Take in a deletion; False if the name belongs to a younger object by now."""
        before = self._items.get((item.namespace, item.name))
        if before is None or before.uid != item.uid:
            return False
        self._forget(before)
        del self._items[item.namespace, item.name]
        self._deleted[item.namespace, item.name] = order(item.metadata.resource_version)
        return True

    def replace(self, items: Iterable[T], listed_at: str, namespaces: frozenset[str] = frozenset()) -> list[T]:
        """Take in a whole list (of some namespaces, or of all); returns what appeared, changed or is gone."""
        present = {(item.namespace, item.name): item for item in items}
        missed = [
            item
            for name, item in self._items.items()
            if name not in present
            and (not namespaces or item.namespace in namespaces)
            and order(item.metadata.resource_version) <= order(listed_at)  # else made after the list
        ]
        gone = [item for item in missed if self.drop(item)]
        changed = gone + [item for item in present.values() if self.put(item)]
        self._deleted = {name: at for name, at in self._deleted.items() if at > order(listed_at)}
        return changed

    def _forget(self, item: T) -> None:
        key = key_of(item)
        if key and key in self._by_key:
            self._by_key[key].pop(item.name, None)
            if not self._by_key[key]:
                del self._by_key[key]


class Versions(Store[ModelVersion]):
    """ModelVersions, also by the names that they need: a namespace may hold thousands."""

    def __init__(self) -> None:
        super().__init__()
        self._needing: dict[Name, dict[str, ModelVersion]] = {}

    def needing(self, namespace: str, name: str) -> tuple[ModelVersion, ...]:
        """Every version that needs this name for an object of ours."""
        return tuple(self._needing.get((namespace, name), {}).values())

    def put(self, item: ModelVersion) -> bool:
        taken_in = super().put(item)
        if taken_in:
            for name in needed_names(item):
                self._needing.setdefault((item.namespace, name), {})[item.name] = item
        return taken_in

    def _forget(self, item: ModelVersion) -> None:
        super()._forget(item)
        for name in needed_names(item):
            holders = self._needing.get((item.namespace, name), {})
            holders.pop(item.name, None)
            if not holders:
                self._needing.pop((item.namespace, name), None)


class Cache:
    """All stores."""

    def __init__(self) -> None:
        self.versions = Versions()
        self.unread: dict[Name, UnreadVersion] = {}  # unknown, not deleted
        self.inference_services: Store[InferenceService] = Store()
        self.routes: Store[Route] = Store()
        self.revisions: Store[Revision] = Store()
        self.autoscalers: Store[Autoscaler] = Store()
        self.pods: Store[Pod] = Store()
        self.knative_services: Store[Seen] = Store()
        self.services: Store[Seen] = Store()
        self._stores: dict[Resource, Store[AnyObject]] = dict(  # the one place that forgets which is which
            zip(resources.WATCHED, self._in_order(), strict=True)
        )

    def _in_order(self) -> Iterator[Store[AnyObject]]:
        stores: tuple[object, ...] = (
            self.versions,
            self.inference_services,
            self.routes,
            self.revisions,
            self.autoscalers,
            self.pods,
            self.knative_services,
            self.services,
        )
        return (store for store in stores if isinstance(store, Store))

    def store(self, resource: Resource) -> Store[AnyObject]:
        return self._stores[resource]

    def keys(self) -> set[ModelKey]:
        """Every model with a version, readable or not, an InferenceService or a Route of ours."""
        made: tuple[Seen, ...] = (*self.inference_services.everything(), *self.routes.everything())
        ours = (item.key for item in made if item.metadata.is_ours)
        unread = (each.key for each in self.unread.values())
        return {*self.versions.keys(), *unread, *(key for key in ours if key)}

    def unread_of(self, key: ModelKey) -> tuple[UnreadVersion, ...]:
        """The model's versions that cannot be read, by name."""
        return tuple(each for _, each in sorted(self.unread.items()) if each.key == key)

    def needing(self, namespace: str, name: str) -> set[ModelKey]:
        """The models of which some version needs this name for an object of ours."""
        return {ModelKey(namespace, version.model) for version in self.versions.needing(namespace, name)}


def needed_names(version: ModelVersion) -> tuple[str, str, str]:
    """The InferenceService (and Service), what KServe makes of it, and the model's Route."""
    return version.name, f"{version.name}-predictor", version.model

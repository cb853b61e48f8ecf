"""Names that a model needs and cannot have, each with a sentence that says by whom it is taken.

An object is ours by label and field manager together. A version also reserves its own names against other models'.
"""

from collections.abc import Iterator, Mapping

from turnout.api.reasons import Reason
from turnout.api.version import ModelVersion
from turnout.platform.kubernetes.cache import Cache, needed_names
from turnout.platform.kubernetes.objects import Seen
from turnout.rollout.snapshot import ModelKey, Problem

_OWN_MAKERS = frozenset({"InferenceService", "Route", "Service", "Revision", "ModelVersion"})


def taken(cache: Cache, key: ModelKey) -> Mapping[str, Problem]:
    """By whom, for the names that the versions of this model need and others have."""
    needed = {name for version in cache.versions.of(key) for name in needed_names(version)}
    found = ((name, next(_holders(cache, key, name), None)) for name in sorted(needed))
    return {name: problem for name, problem in found if problem}


def _holders(cache: Cache, key: ModelKey, name: str) -> Iterator[Problem]:
    """Who holds a name; of a foreign object that made others of its name, the others are not told."""
    for kind, store in (
        ("InferenceService", cache.inference_services),
        ("Knative Service", cache.knative_services),
        ("Route", cache.routes),
        ("Service", cache.services),
    ):
        item = store.get(key.namespace, name)
        if item is not None and not _may_stand(item, key):
            text = f"{kind} {name} exists and is not Turnout's; rename the one or the other"
            yield Problem(Reason.NameTaken, text, permanent=True)
    yield from _reservations(cache, key, name)


def _may_stand(item: Seen, key: ModelKey) -> bool:
    """Ours, or made by Knative or KServe for what is ours."""
    if item.metadata.is_ours:
        return item.key == key
    made_for = (owner for owner in item.metadata.owner_references if owner.controller)
    return any(owner.kind in _OWN_MAKERS for owner in made_for) and item.key == key


def _reservations(cache: Cache, key: ModelKey, name: str) -> Iterator[Problem]:
    """An older ModelVersion of another model that needs the same name: the later creation gives way."""
    needing = cache.versions.needing(key.namespace, name)
    ours = [version for version in needing if version.model == key.model]
    for other in needing:
        if other.model != key.model and all(_age(other) < _age(version) for version in ours):
            text = f"the name {name} is reserved by ModelVersion {other.name} of model {other.model}; rename this one"
            yield Problem(Reason.NameReserved, text, permanent=True)


def _age(version: ModelVersion) -> tuple[str, str]:
    created = version.metadata.creation_timestamp
    return (created.isoformat() if created else "", version.uid)

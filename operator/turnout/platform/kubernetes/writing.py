"""The engine's writes: each one whole, each one bound to what was observed, each answer taken into the cache at once.

A refusal is remembered here, so that the next Snapshot tells it. Nothing here decides whether a write is due.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from turnout.api.base import JsonObject
from turnout.api.reasons import Reason
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.platform.kubernetes.calls import Calls, NotFound, Raw
from turnout.platform.kubernetes.feed import Feed
from turnout.platform.kubernetes.objects import InferenceService
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, REVISIONS, ROUTES, VERSIONS, Resource
from turnout.platform.kubernetes.unread import UnreadVersion, told
from turnout.platform.protocol import Conflict, Refused, Unavailable
from turnout.rollout import rendering
from turnout.rollout.plan import Complaint, Deploy, Own, Retire, RouteChange, Scale
from turnout.rollout.snapshot import Deployment, ModelKey, Problem

log = logging.getLogger(__name__)

FOREIGN = "exists and is not Turnout's"


@dataclass(frozen=True, slots=True)
class _Place:
    resource: Resource
    namespace: str
    name: str


class Writer:
    """Writes InferenceServices, Routes, floors and statuses, and nothing else in the serving path.

    Routes, references and statuses are bound to the resourceVersion that was decided upon, so that a write of a leader
    that hangs meets a conflict. Deletions and floors are bound to a uid alone, for others write those objects all the
    time, and need no more. Each write is fenced in `connection`: none begins, and none is sent, when the lease could be
    another's. What passes that and is slow on its way does what is undone or would be done: a floor is set anew in the
    next pass of whoever leads, and what is deleted was recorded before as gone, bound to that record, so the next
    leader deletes it as well.
    """

    def __init__(self, calls: Calls, feed: Feed) -> None:
        self._calls = calls
        self._feed = feed
        self._refused: dict[tuple[ModelKey, str], Deployment] = {}
        self._unwritable: dict[ModelKey, Problem] = {}
        self._silent: deque[UnreadVersion] = deque(maxlen=100)  # those that did not take a complaint

    def refused(self, key: ModelKey) -> tuple[Deployment, ...]:
        """Deployments that could not be made: without a uid, with a problem; as long as there is their version."""
        mine = [name for owner, name in self._refused if owner == key]
        for name in mine:
            if self._feed.cache.versions.get(key.namespace, name) is None:
                del self._refused[key, name]
        return tuple(self._refused[key, name] for name in mine if (key, name) in self._refused)

    def unwritable(self, key: ModelKey) -> Problem | None:
        """Why the last write of the Route failed; None if it did not."""
        return self._unwritable.get(key)

    async def route(self, key: ModelKey, change: RouteChange) -> None:
        """Server-side apply onto what was read. Forced: who else holds the split is told by managedFields, and a
        dead version must not stay in it for a conflict of managers; only a Route that should not exist yet is not
        taken over.
        """
        live = self._feed.cache.routes.get(key.namespace, key.model)
        if live is not None and not live.metadata.is_ours:
            raise Refused(f"Route {key.model} {FOREIGN}; rename the model or remove the Route")
        body = rendering.route(key, change, live.metadata.resource_version if live else "")
        place = _Place(ROUTES, key.namespace, key.model)
        try:
            await self._write(place, lambda: self._calls.apply(ROUTES, body, force=live is not None))
        except Refused as fault:
            self._unwritable[key] = Problem(Reason.AdmissionDenied, str(fault), permanent=True)
            raise
        except Unavailable as fault:
            self._unwritable[key] = Problem(Reason.TrafficUnwritable, str(fault))
            raise
        self._unwritable.pop(key, None)

    async def scale(self, key: ModelKey, scale: Scale) -> None:
        """All floors in one merge patch, bound to the revision's uid: another of its name is another version."""
        revision = scale.deployment.revision
        if revision is None:
            raise Conflict(f"{scale.deployment.name} has no revision to set floors on")
        annotations: JsonObject = {**rendering.autoscaling_annotations(scale.autoscaling)}
        body: JsonObject = {"metadata": {"uid": revision.uid, "annotations": annotations}}
        place = _Place(REVISIONS, key.namespace, revision.name)
        await self._write(place, lambda: self._calls.merge(REVISIONS, key.namespace, revision.name, body))

    async def deploy(self, key: ModelKey, deploy: Deploy) -> None:
        """POST, never apply: what exists already is looked at again."""
        name = deploy.version.name
        place = _Place(INFERENCE_SERVICES, key.namespace, name)
        try:
            if not deploy.image:
                runtime = deploy.version.spec.predictor.runtime.value
                raise Refused(f"runtime {runtime} has no image; set spec.predictor.image or the operator's --image")
            body = rendering.inference_service(key.namespace, deploy)
            try:
                await self._write(place, lambda: self._calls.create(INFERENCE_SERVICES, key.namespace, body))
            except Conflict:
                there = self._feed.cache.inference_services.get(key.namespace, name)
                if there is None or there.metadata.is_ours:
                    raise
                raise Refused(f"InferenceService {name} {FOREIGN}; rename the version or remove the other") from None
        except Refused as fault:
            self._refused[key, name] = _undeployed(deploy, fault)
            raise
        self._refused.pop((key, name), None)

    async def retire(self, key: ModelKey, retire: Retire) -> None:
        """Delete exactly this InferenceService; one that is gone, or another of its name, is let be."""
        deployment = retire.deployment
        if not deployment.uid:
            self._refused.pop((key, deployment.name), None)
            return
        namespace, name = key.namespace, deployment.name
        try:
            await self._calls.delete(INFERENCE_SERVICES, namespace, name, deployment.uid)
        except NotFound:
            pass
        except Conflict:
            await self._look_again(_Place(INFERENCE_SERVICES, namespace, name))
            raise
        await self._look_again(_Place(INFERENCE_SERVICES, namespace, name))

    async def own(self, key: ModelKey, own: Own) -> None:
        """JSON patch of the references alone, onto what was read; references of other kinds stay."""
        deployment = own.deployment
        if not deployment.uid:
            before = self._refused.get((key, deployment.name))
            if before:
                owners = frozenset(uid for _, uid in own.owners)
                self._refused[key, deployment.name] = replace(before, owners=owners)
            return
        live = self._feed.cache.inference_services.get(key.namespace, deployment.name)
        if live is None or live.uid != deployment.uid:
            raise Conflict(f"InferenceService {deployment.name} was replaced")
        body = _reference_patch(live, own)
        place = _Place(INFERENCE_SERVICES, key.namespace, deployment.name)
        await self._write(place, lambda: self._calls.patch(INFERENCE_SERVICES, key.namespace, live.name, body))

    async def record(self, version: ModelVersion, status: Status) -> None:
        """Server-side apply of the whole status, onto the very object and spec that were decided upon."""
        place = _Place(VERSIONS, version.namespace, version.name)
        body: JsonObject = {
            "apiVersion": VERSIONS.api_version,
            "kind": VERSIONS.kind,
            "metadata": {
                "name": place.name,
                "namespace": place.namespace,
                "uid": version.uid,
                "resourceVersion": version.metadata.resource_version,
            },
            "status": status.body(),
        }
        await self._write(place, lambda: self._calls.apply(VERSIONS, body, sub="status"))

    async def complain(self, key: ModelKey, complaint: Complaint) -> UnreadVersion | None:
        """Onto a status of another release: all of it stays that is not of the complaint.

        A merge patch: the API server applies nothing onto an object whose fields have other types than its schema.
        One that is refused for good, as by a rule of the CRD that cannot be evaluated, holds up nobody. Whom to tell by
        an Event, too; None where that was done before.
        """
        name, unread = complaint.unread.name, self._feed.cache.unread.get((key.namespace, complaint.unread.name))
        if unread is None or unread.uid != complaint.unread.uid:
            raise Conflict(f"ModelVersion {name} was changed")
        if unread in self._silent:
            return None
        try:
            place = _Place(VERSIONS, key.namespace, name)
            metadata: JsonObject = {"uid": unread.uid, "resourceVersion": unread.resource_version}
            body: JsonObject = {"metadata": metadata, "status": told(unread.status, complaint)}
            await self._write(place, lambda: self._calls.merge(VERSIONS, key.namespace, name, body, sub="status"))
        except Refused as fault:
            self._silent.append(unread)
            log.error("ModelVersion %s/%s cannot be told that it cannot be read: %s", key.namespace, name, fault)
        return unread

    async def _write(self, place: _Place, call: Callable[[], Awaitable[Raw]]) -> None:
        """Take the answer in at once; after a conflict, what is there now."""
        try:
            answer = await call()
        except Conflict:
            await self._look_again(place)
            raise
        self._feed.observe(place.resource, "MODIFIED", answer)

    async def _look_again(self, place: _Place) -> None:
        try:
            raw = await self._calls.get(place.resource, place.namespace, place.name)
        except NotFound:
            self._feed.gone(place.resource, place.namespace, place.name)
        else:
            self._feed.observe(place.resource, "MODIFIED", raw)


def _undeployed(deploy: Deploy, fault: Refused) -> Deployment:
    return Deployment(
        name=deploy.version.name,
        uid="",
        version=deploy.version.version,
        spec_hash=deploy.spec_hash,
        owners=frozenset(uid for _, uid in deploy.owners),
        problem=Problem(_why(str(fault)), str(fault), permanent=True),
    )


def _why(sentence: str) -> Reason:
    if FOREIGN in sentence:
        return Reason.NameTaken
    return Reason.QuotaExceeded if "exceeded quota" in sentence else Reason.AdmissionDenied


def _reference_patch(live: InferenceService, own: Own) -> list[JsonObject]:
    others = [owner.body() for owner in live.metadata.owner_references if owner.kind != VERSIONS.kind]
    references = [*others, *rendering.owner_references(own.owners)]
    path = "/metadata/ownerReferences"
    change: JsonObject = {"op": "add", "path": path, "value": [*references]}
    if not references:
        change = {"op": "remove", "path": path}
    version: JsonObject = {
        "op": "replace",
        "path": "/metadata/resourceVersion",
        "value": live.metadata.resource_version,
    }
    return [version, change]

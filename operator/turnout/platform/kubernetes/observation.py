"""From the cache to a frozen Snapshot: what runs, who is ready, which split holds. Pure but for what it remembers.

It remembers only what no object carries: when a revision was last seen ready, which ends of containers came before
that, when others changed a Route, and since when by our clock one is out of step. All of it may be lost with the
process; the pods' own facts stand in, and a Route is waited for anew.
"""

from datetime import datetime, timedelta

from turnout.api.moments import moment
from turnout.api.reasons import Reason
from turnout.evidence.pods import Target
from turnout.platform.kubernetes import pods as reading
from turnout.platform.kubernetes.cache import Cache
from turnout.platform.kubernetes.objects import InferenceService, Pod, Revision, Route, Seen, Terminated
from turnout.platform.readiness import Readiness, ReadinessMemory
from turnout.rollout import snapshot
from turnout.rollout.rendering import HASH_LABEL, LINGER, VERSION_LABEL, read_autoscaling
from turnout.rollout.snapshot import Deployment, ModelKey, Problem

UNTOUCHED_AFTER = timedelta(seconds=25)
FOREIGN_WINDOW = timedelta(minutes=5)
ISVC_LABEL = "serving.kserve.io/inferenceservice"


class Memory:
    """Fed with each change of a pod or an autoscaler, before and after it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._readiness = ReadinessMemory()
        self._survived: dict[str, frozenset[str]] = {}
        self._foreign: dict[str, dict[int, datetime]] = {}  # by generation: the API server's times are whole seconds
        self._unsynced: dict[str, tuple[datetime, datetime]] = {}  # since when by the cluster's clock, and by ours

    def look(self, revision: Revision, now: datetime) -> Readiness:
        """Take in how a revision stands now."""
        pods = pods_of(self._cache, revision)
        ready = frozenset(pod.name for pod in pods if reading.is_ready(pod))
        if ready:
            self._survived[revision.uid] = frozenset(ended.container_id for ended in _endings(pods))
        return self._readiness.observe(
            revision.uid,
            wanted=wanted(self._cache, revision),
            ready_pods=ready,
            were_ready=frozenset(pod.name for pod in pods if reading.was_ready(pod)),
            now=now,
        )

    def noticed(self, route: Route) -> None:
        """Take in a Route as it is: somebody else may have changed its split."""
        edit = route.foreign_edit
        if edit is not None:
            self._foreign.setdefault(route.uid, {}).setdefault(route.metadata.generation, edit)

    def unsynced_since(self, route: Route, now: datetime) -> datetime | None:
        """When this process first saw the Route out of step as it is now: the cluster's clock may not be ours."""
        told = route.unsynced_since
        if told is None:
            self._unsynced.pop(route.uid, None)
            return None
        known = self._unsynced.get(route.uid)
        if known is None or known[0] != told:
            known = self._unsynced[route.uid] = (told, now)
        return known[1]

    def foreign_edits(self, route: Route, now: datetime) -> tuple[datetime, ...]:
        edits = self._foreign.pop(route.uid, {})
        recent = {generation: edit for generation, edit in edits.items() if now - edit < FOREIGN_WINDOW}
        if recent:
            self._foreign[route.uid] = recent
        return tuple(recent.values())

    def revision(self, revision: Revision, now: datetime) -> snapshot.Revision:
        """A revision as a decision sees it, with what is remembered of it."""
        pods = pods_of(self._cache, revision)
        readiness = self.look(revision, now)
        return snapshot.Revision(
            name=revision.name,
            uid=revision.uid,
            servable=revision.is_servable,
            wanted=wanted(self._cache, revision),
            autoscaling=read_autoscaling(revision.metadata.annotations),
            pods=tuple(reading.as_pod(pod) for pod in pods),
            starting=readiness.starting,
            starting_since=readiness.since,
            ready_at=readiness.ready_at,
            ready_with=readiness.ready_pods,
            crash=self._crash(revision, pods),
            image=revision.image,
            lingers=LINGER in revision.metadata.annotations,
        )

    def _crash(self, revision: Revision, pods: tuple[Pod, ...]) -> snapshot.Crash | None:
        """The last container that ended by itself since the revision was last ready.

        By the containers' identities, not by clocks: those of a node and of this process may differ.
        """
        survived = self._survived.get(revision.uid, frozenset())
        since = [ended for ended in _endings(pods) if ended.container_id not in survived]
        crashes = [crash for ended in since if (crash := reading.crash(ended))]
        return max(crashes, key=lambda crash: crash.at, default=None)

    def forget_all_but(self, revisions: set[str], routes: set[str]) -> None:
        """Drop what no longer exists."""
        self._readiness.forget_all_but(revisions)
        self._survived = {uid: ids for uid, ids in self._survived.items() if uid in revisions}
        self._foreign = {uid: edits for uid, edits in self._foreign.items() if uid in routes}
        self._unsynced = {uid: since for uid, since in self._unsynced.items() if uid in routes}


def _endings(pods: tuple[Pod, ...]) -> tuple[Terminated, ...]:
    return tuple(ended for pod in pods for ended in reading.endings(pod))


def pods_of(cache: Cache, revision: Revision) -> tuple[Pod, ...]:
    key = revision.key
    return tuple(pod for pod in cache.pods.of(key) if pod.revision == revision.name) if key else ()


def targets(cache: Cache, key: ModelKey, revision: str) -> tuple[Target, ...]:
    """Where the counters of a revision's ready pods are read: at the model's own port, past the queue-proxy."""
    ours = (pod for pod in cache.pods.of(key) if pod.revision == revision and reading.is_ready(pod))
    return tuple(target for pod in ours if not reading.is_leaving(pod) and (target := reading.target(pod)))


def wanted(cache: Cache, revision: Revision) -> int:
    autoscaler = cache.autoscalers.get(revision.namespace, revision.name)
    return autoscaler.wanted if autoscaler else 0


def deployments(cache: Cache, memory: Memory, key: ModelKey, now: datetime) -> tuple[Deployment, ...]:
    """Every InferenceService of the model that is ours, whether its ModelVersion still exists or not."""
    ours = (item for item in cache.inference_services.of(key) if item.metadata.is_ours)
    return tuple(_deployment(cache, memory, item, now) for item in ours)


def _owners(item: Seen) -> frozenset[str]:
    """References of other kinds are others' business."""
    return frozenset(owner.uid for owner in item.metadata.owner_references if owner.kind == "ModelVersion")


def _deployment(cache: Cache, memory: Memory, item: InferenceService, now: datetime) -> Deployment:
    revisions = _revisions_of(cache, item)
    chosen = _the_one(cache, item, revisions)
    pods = pods_of(cache, chosen) if chosen else ()
    labels = item.metadata.labels
    version = labels.get(VERSION_LABEL, "")
    return Deployment(
        name=item.name,
        uid=item.uid,
        version=int(version) if version.isdigit() else 0,
        spec_hash=labels.get(HASH_LABEL, ""),
        owners=_owners(item),
        revision=memory.revision(chosen, now) if chosen else None,
        unplanned=tuple(revision.name for revision in revisions if revision is not chosen),
        problem=reading.problem(
            pods, chosen, item.status.condition("PredictorReady"), wanted(cache, chosen) if chosen else 0
        )
        or (None if revisions else _untouched(item, now)),
        leaving=item.metadata.deletion_timestamp is not None,
        unread=_unread_uid(cache, item),
    )


def _untouched(item: InferenceService, now: datetime) -> Problem | None:
    """KServe has said nothing about it for longer than it ever takes. An old one refuses its own first update."""
    made = item.metadata.creation_timestamp
    if item.status.conditions or made is None or now - made < UNTOUCHED_AFTER:
        return None
    sentence = (
        f"KServe has done nothing with InferenceService {item.name} since {moment(made)}: its controller does "
        "not run, or is older than 0.20, which refuses its own updates in Knative mode; see: turnout preflight"
    )
    return Problem(Reason.KServeMissing, sentence)


def _unread_uid(cache: Cache, item: InferenceService) -> str:
    unread = cache.unread.get((item.namespace, item.name))
    return unread.uid if unread else ""


def _revisions_of(cache: Cache, item: InferenceService) -> tuple[Revision, ...]:
    key = item.key
    all_of_model = cache.revisions.of(key) if key else ()
    mine = (each for each in all_of_model if each.metadata.labels.get(ISVC_LABEL) == item.name)
    return tuple(sorted(mine, key=lambda revision: (revision.ordinal, revision.name)))


def _the_one(cache: Cache, item: InferenceService, revisions: tuple[Revision, ...]) -> Revision | None:
    """The pinned revision, by name; of a version that has none yet the first that was made."""
    version = cache.versions.get(item.namespace, item.name)
    pinned = version.status.revision.name if version and version.status.revision else ""
    if pinned:
        return next((revision for revision in revisions if revision.name == pinned), None)
    return revisions[0] if revisions else None


def route(cache: Cache, memory: Memory, key: ModelKey, problem: Problem | None, now: datetime) -> snapshot.Route | None:
    """The model's Route, if there is one and it is ours."""
    item = cache.routes.get(key.namespace, key.model)
    if item is None or not item.metadata.is_ours:
        return None
    return snapshot.Route(
        uid=item.uid,
        written=item.written,
        observed=item.observed,
        in_sync=item.in_sync,
        unsynced_since=memory.unsynced_since(item, now),
        owners=_owners(item),
        problem=problem,
        foreign_edits=memory.foreign_edits(item, now),
    )


def url_pattern(cache: Cache, key: ModelKey) -> str:
    """Where the namespace's Routes answer, with {name} to fill; as Knative says it of this model's own."""
    item = cache.routes.get(key.namespace, key.model)
    url = item.status.url if item else ""
    scheme, separator, host = url.partition("://")
    return f"{scheme}{separator}{{name}}{host.removeprefix(key.model)}" if host.startswith(f"{key.model}.") else ""


def version_url_pattern(namespace: str, domain: str) -> str:
    """A version's own address, inside the cluster."""
    return f"http://{{name}}-predictor.{namespace}.svc.{domain}"


def has_address(cache: Cache, namespace: str, version: str) -> bool:
    """Whether KServe has said that the version's own route stands, and so its name in DNS."""
    item = cache.inference_services.get(namespace, version)
    told = item.status.condition("PredictorRouteReady") if item else None
    return told is not None and told.status == "True"

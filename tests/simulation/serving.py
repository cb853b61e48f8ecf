"""KServe, Knative and a kubelet, as far as the engine depends on them. Their rules are those proven on real ones:

tests/simulation/rules.py tells them, and both sides are held against it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.rollout.simulation import looked_up
from tests.simulation.pods import Behaviour, SimulatedPod
from tests.simulation.server import Server, stamp
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.resources import AUTOSCALERS, INFERENCE_SERVICES, PODS, REVISIONS, ROUTES, Resource
from turnout.rollout.rendering import MIN_SCALE

Raw = dict[str, Any]
REVISION_MADE = 0.5  # seconds from an InferenceService to its Revision
ROUTE_TAKEN = 0.3  # from a written split to the split that holds
SCALED = 0.2  # from a changed floor, or share, to pods that are made or go
TO_ZERO = 3.0  # from the last reason for a pod to its end
POD_GONE = 0.5
COLLECTED = 0.3
BACK_OFF = 10.0  # of a container that crashes again and again


class Serving:
    """Watches the server as the controllers do; every effect comes a moment later."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.behaviours: dict[str, Behaviour] = {}  # by InferenceService: it outlives one that is remade
        self.frozen_until = 0.0
        self._counts = itertools.count(1)
        server.watchers.append(self._seen)

    def behaviour(self, service: str) -> Behaviour:
        return self.behaviours.setdefault(service, Behaviour())

    # -- what happens, seen as a controller would

    def _seen(self, resource: Resource, event: str, raw: Raw) -> None:
        name, uid = raw["metadata"]["name"], raw["metadata"]["uid"]
        if resource is INFERENCE_SERVICES and event == "ADDED":
            self._later(REVISION_MADE, lambda: self._make_revision(name, uid))
        elif resource is INFERENCE_SERVICES and event == "DELETED":
            self._later(COLLECTED, lambda: self._collect(name, uid))
        elif resource is REVISIONS:
            self._later(SCALED, lambda: self._scale(name))
            self._later(ROUTE_TAKEN, lambda: self._take(None))
        elif resource is ROUTES and event != "DELETED":
            self._later(ROUTE_TAKEN, lambda: self._take(name))
        elif resource is resources.VERSIONS and event == "DELETED":
            self._later(COLLECTED, self.server.collect_garbage)

    def _later(self, seconds: float, what: Callable[[], object]) -> None:
        self.loop.call_later(seconds, what)

    # -- revisions

    def _make_revision(self, service: str, uid: str, ordinal: int = 1) -> None:
        made = self.server.find(INFERENCE_SERVICES, service)
        if made is None or made["metadata"]["uid"] != uid:
            return
        name = f"{service}-predictor-{ordinal:05}"
        labels = {
            **made["metadata"]["labels"],
            "serving.kserve.io/inferenceservice": service,
            "serving.knative.dev/configurationGeneration": str(ordinal),
        }
        metadata = {"name": name, "namespace": "support", "labels": labels}
        (container,) = made["spec"]["predictor"]["containers"]
        resolved = {"name": container["name"], "imageDigest": looked_up(container["image"])}
        status = {"conditions": [self._condition("Ready", "Unknown")], "containerStatuses": [resolved]}
        self.server.put(REVISIONS, {"metadata": metadata, "spec": {"of": uid}, "status": status})
        initial = {"desiredScale": 1 if ordinal == 1 else 0}
        self.server.put(AUTOSCALERS, {"metadata": metadata, "status": initial})

    def mint(self, service: str, ordinal: int = 2) -> None:
        """Somebody's change of the template makes a further revision."""
        made = self.server.find(INFERENCE_SERVICES, service)
        if made is not None:
            self._make_revision(service, made["metadata"]["uid"], ordinal)

    def drop_revision(self, service: str, *, remake: bool = False) -> None:
        """Stopped by hand, or its revision deleted; `remake`: it comes back under the same name, with another uid."""
        for revision in self._revisions(service):
            name = revision["metadata"]["name"]
            self.server.remove(REVISIONS, name)
            self.server.remove(AUTOSCALERS, name)
        for pod in tuple(self.behaviour(service).pods):
            self._take_away(service, pod)
        made = self.server.find(INFERENCE_SERVICES, service)
        if remake and made is not None:
            self._later(REVISION_MADE, lambda: self._make_revision(service, made["metadata"]["uid"]))

    def _collect(self, service: str, uid: str) -> None:
        """Pods and revisions follow their InferenceService; one that was remade meanwhile keeps its own."""
        if all(revision["spec"]["of"] == uid for revision in self._revisions(service)):
            self.drop_revision(service)

    def _revisions(self, service: str) -> Iterator[Raw]:
        return (
            raw
            for raw in tuple(self.server.of(REVISIONS))
            if raw["metadata"]["labels"]["serving.kserve.io/inferenceservice"] == service
        )

    def say_ready(self, revision: str, ready: str, reason: str = "") -> None:
        """Knative looks at a revision, and says of it what it says; between two looks its word stands."""
        raw = self.server.find(REVISIONS, revision)
        if raw is None:
            return
        conditions = [self._condition("Ready", ready)]
        if reason:
            conditions.append({**self._condition("ResourcesAvailable", "False"), "reason": reason, "message": reason})
        if [_told(each) for each in raw["status"]["conditions"]] != [_told(each) for each in conditions]:
            self.server.put(REVISIONS, {**raw, "status": {**raw["status"], "conditions": conditions}})

    def _condition(self, kind: str, status: str) -> Raw:
        return {"type": kind, "status": status, "lastTransitionTime": stamp(self.server.now())}

    # -- pods

    def wanted(self, revision: Raw) -> int:
        """Its floor, or one pod where callers may come or it has never been ready."""
        name, metadata = revision["metadata"]["name"], revision["metadata"]
        never_ready = revision["status"]["conditions"][0]["status"] == "Unknown"
        called = self.behaviour(_service(revision)).called and self._has_share(name)
        return max(int(metadata.get("annotations", {}).get(MIN_SCALE, "0")), 1 if called or never_ready else 0)

    def _has_share(self, revision: str) -> bool:
        routes = (raw.get("status", {}).get("traffic", ()) for raw in self.server.of(ROUTES))
        return any(t["revisionName"] == revision and t.get("percent") for traffic in routes for t in traffic)

    def _scale(self, name: str, *, settled: bool = False) -> None:
        """Make or end pods; to zero only after a while in which nothing else came."""
        revision = self.server.find(REVISIONS, name)
        if revision is None or not name.endswith("-00001"):
            return  # a further one, locked out, gets no pods
        service, wanted = _service(revision), self.wanted(revision)
        behaviour = self.behaviour(service)
        staying = [pod for pod in behaviour.pods.values() if not pod.leaving]
        if wanted == 0 and staying and not settled:
            self._later(TO_ZERO, lambda: self._scale(name, settled=True))
            return
        scaler = self.server.find(AUTOSCALERS, name)
        if scaler is not None and scaler["status"] != {"desiredScale": wanted}:
            self.server.put(AUTOSCALERS, {**scaler, "status": {"desiredScale": wanted}})
        if behaviour.refused:
            self.say_ready(name, "Unknown", behaviour.refused)
            return
        for _ in range(wanted - len(staying)):
            self._make_pod(service)
        for pod in staying[wanted:]:
            self._take_away(service, pod.name)

    def scale_of(self, service: str) -> None:
        self._scale(f"{service}-predictor-00001")

    def _make_pod(self, service: str) -> None:
        now, behaviour = self.server.now(), self.behaviour(service)
        pod = SimulatedPod(f"{service}-pod-{next(self._counts)}", now, now, waits=behaviour.waits)
        self._store(service, pod)
        self._start(service, pod.name, behaviour.start_seconds)

    def _start(self, service: str, pod: str, seconds: float) -> None:
        known = self.behaviour(service).pods.get(pod)
        restarts = known.restarts if known else 0
        self._later(seconds, lambda: self._has_started(service, pod, restarts))

    def _has_started(self, service: str, name: str, restarts: int) -> None:
        behaviour = self.behaviour(service)
        pod = behaviour.pods.get(name)
        if pod is None or pod.leaving or pod.ready or pod.restarts != restarts or behaviour.hangs or behaviour.waits:
            return
        if behaviour.crashes:
            self._store(service, pod.crashes(self.server.now(), behaviour.exit_code, behaviour.message))
            self._start(service, name, BACK_OFF)
            return
        self._store(service, replace(pod, waits="").becomes(ready=True, now=self.server.now()))
        self._first_ready(service)

    def _first_ready(self, service: str) -> None:
        """Ready turns True with the first pod, and says nothing of pods from then on."""
        for revision in self._revisions(service):
            if revision["metadata"]["labels"]["serving.knative.dev/configurationGeneration"] == "1":
                self.say_ready(revision["metadata"]["name"], "True")
        made = self.server.find(INFERENCE_SERVICES, service)
        if made is not None and "status" not in made:
            conditions = [self._condition("PredictorRouteReady", "True"), self._condition("Ready", "True")]
            self.server.put(INFERENCE_SERVICES, {**made, "status": {"conditions": conditions}})

    def _store(self, service: str, pod: SimulatedPod) -> None:
        made = next(self._revisions(service), None)
        self.behaviour(service).pods[pod.name] = pod
        if made is not None:
            labels = {**made["metadata"]["labels"], "serving.knative.dev/revision": f"{service}-predictor-00001"}
            self.server.put(PODS, pod.raw(labels))

    def _take_away(self, service: str, name: str) -> None:
        pod = self.behaviour(service).pods.get(name)
        if pod is None or pod.leaving:
            return
        now = self.server.now()
        self._store(service, replace(pod.becomes(ready=False, now=now), leaving=now))
        self._later(POD_GONE, lambda: self._is_gone(service, name))

    def _is_gone(self, service: str, name: str) -> None:
        self.behaviour(service).pods.pop(name, None)
        self.server.remove(PODS, name)

    # -- what befalls them

    def crash(self, service: str, *, again: bool = True) -> None:
        """Every process ends by itself; `again`: it does so whenever it has come up."""
        behaviour = self.behaviour(service)
        behaviour.crashes = again
        for pod in tuple(behaviour.pods.values()):
            if not pod.leaving:
                self._store(service, pod.crashes(self.server.now(), behaviour.exit_code, behaviour.message))
                self._start(service, pod.name, behaviour.start_seconds)

    def hang(self, service: str) -> None:
        behaviour = self.behaviour(service)
        behaviour.hangs = True
        for pod in tuple(behaviour.pods.values()):
            self._store(service, pod.becomes(ready=False, now=self.server.now()))

    def heal(self, service: str) -> None:
        behaviour = self.behaviour(service)
        behaviour.hangs = behaviour.crashes = False
        behaviour.waits = behaviour.refused = ""
        for pod in behaviour.pods.values():
            self._start(service, pod.name, 1.0)
        self.scale_of(service)

    def evict(self, service: str) -> None:
        for pod in tuple(self.behaviour(service).pods):
            self._take_away(service, pod)
        self._later(SCALED, lambda: self.scale_of(service))

    # -- the Route

    def freeze(self, seconds: float) -> None:
        """For that long no Route takes a split, as when its controller restarts."""
        self.frozen_until = max(self.frozen_until, self.loop.time() + seconds)
        self._later(seconds + 0.01, lambda: self._take(None))

    def _take(self, name: str | None) -> None:
        """What is written begins to hold, unless a target is missing or not Ready: then the last good split stays."""
        for route in tuple(self.server.of(ROUTES)):
            if name in (None, route["metadata"]["name"]) and self.loop.time() >= self.frozen_until:
                self._take_one(route)

    def _take_one(self, route: Raw) -> None:
        wish, status = route["spec"]["traffic"], route.get("status", {})
        blocked = any(not self._is_ready(target["revisionName"]) for target in wish)
        held = status.get("traffic", []) if blocked else [dict(target) for target in wish]
        before = (status.get("conditions") or [{}])[0]
        ready = self._condition("Ready", "False" if blocked else "True")
        after = {
            "traffic": held,
            "observedGeneration": route["metadata"]["generation"],
            "conditions": [before if _told(before) == _told(ready) else ready],
            "url": f"http://{route['metadata']['name']}.support.example.com",
        }
        if after == status:
            return
        self.server.put(ROUTES, {**route, "status": after})
        concerned = {t["revisionName"] for t in (*held, *status.get("traffic", []))}
        for revision in sorted(concerned):
            self._later(SCALED, lambda revision=revision: self._scale(revision))

    def _is_ready(self, revision: str) -> bool:
        raw = self.server.find(REVISIONS, revision)
        return raw is not None and raw["status"]["conditions"][0]["status"] == "True"


def _service(revision: Raw) -> str:
    name: str = revision["metadata"]["labels"]["serving.kserve.io/inferenceservice"]
    return name


def _told(condition: Raw) -> tuple[object, ...]:
    return condition.get("type"), condition.get("status"), condition.get("reason")

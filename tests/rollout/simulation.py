"""A small simulated platform under virtual time: what an engine observes of it, and what happens to it.

It is for speed and for faults; its rules (a Route takes its split after a moment, never while a target is missing or
still starting; pods follow floors; Ready says nothing about health) are those proven on real controllers.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from turnout.api.reasons import State
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.judge.protocol import Poll
from turnout.platform.readiness import ReadinessMemory
from turnout.rollout.snapshot import (
    Autoscaling,
    Crash,
    Deployment,
    ModelKey,
    Pod,
    Probe,
    Problem,
    Revision,
    Route,
    Snapshot,
    Split,
)

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
TICK = timedelta(milliseconds=100)
KEY = ModelKey("support", "signals")


def version(number: int, *, name: str = "", model: str = "signals", **spec: Any) -> ModelVersion:
    """A valid ModelVersion as a person would write it; `spec` overrides its blocks, in the written form."""
    body = {
        "model": model,
        "version": number,
        "predictor": {"runtime": "sklearn", "artifact": {"uri": f"file:///models/signals/{number}"}},
        **spec,
    }
    name = name or f"{model}-{number}"
    meta = {"name": name, "namespace": KEY.namespace, "uid": f"uid-{name}", "generation": 1}
    return ModelVersion.model_validate({"metadata": {**meta, "creationTimestamp": START.isoformat()}, "spec": body})


def steps(*weights: int, pause: str = "5s") -> dict[str, Any]:
    """`rollout` with a warmup, then each weight held for `pause`."""
    held = [step for weight in weights for step in ({"setWeight": weight}, {"pause": {"duration": pause}})]
    return {"steps": [{"warmup": {"requests": 2}}, *held]}


def looked_up(image: str, moved: Mapping[str, str] | None = None) -> str:
    """As Knative does it: a tag by its digest, what is a digest as it is, and some registries not at all."""
    if "@" in image or not image or image.startswith("dev.local/"):
        return image if "@" in image else ""
    digest = hashlib.sha256((moved or {}).get(image, image).encode()).hexdigest()
    return f"{image.rpartition(':')[0]}@sha256:{digest}"


@dataclass
class Running:
    """What runs one version, and how it behaves. Counts of pods are made of `pods`."""

    name: str
    version: int
    spec_hash: str
    owners: frozenset[str]
    uid: str
    created_at: datetime
    autoscaling: Autoscaling
    start_seconds: float = 2
    servable: bool = False
    pods: dict[str, Pod] = field(default_factory=dict)
    ready_due: dict[str, datetime] = field(default_factory=dict)
    active: bool = True
    problem: Problem | None = None
    unplanned: tuple[str, ...] = ()
    image: str = ""

    @property
    def revision_name(self) -> str:
        return f"{self.name}-predictor-00001"

    born: bool = False  # has been ready once: until then its initial scale wants one pod
    share: int = 0

    @property
    def wanted(self) -> int:
        called = self.active and self.share > 0
        return max(self.autoscaling.min_pods, 1 if called or not self.born else 0)


class Platform:
    """One model of one namespace, and what runs for it."""

    def __init__(self) -> None:
        self.frozen_until: datetime | None = None
        self.gateway_late = TICK  # after the Route's status has told a split
        self.now = START
        self.versions: dict[str, ModelVersion] = {}
        self.running: dict[str, Running] = {}
        self.unread: dict[str, str] = {}
        self.written: Split = ()
        self.observed: Split = ()
        self.route_uid = ""
        self.route_problem: Problem | None = None
        self.route_owners: frozenset[str] = frozenset()
        self.route_due: datetime | None = None
        self.route_since: datetime | None = None
        self.foreign_edits: tuple[datetime, ...] = ()
        self.taken: dict[str, Problem] = {}
        self.images: dict[str, str] | None = {"sklearn": "example.com/sklearn:1"}
        self.moved: dict[str, str] = {}  # tags, by what they name now
        self.trouble: Problem | None = None
        self.answers: dict[str, Probe] = {}
        self.poll: Poll | None = None
        self.start_problem: dict[str, Problem] = {}
        self.never_ready: set[str] = set()
        self.crashing: set[str] = set()
        self.memory = ReadinessMemory()
        self.uids = itertools.count(1)

    # -- what people do

    def apply(self, *versions: ModelVersion) -> None:
        for wanted in versions:
            known = self.versions.get(wanted.name)
            status = known.status if known else Status()
            meta = wanted.metadata.model_copy(update={"creation_timestamp": self.now})
            if known:
                meta = known.metadata.model_copy(update={"generation": known.metadata.generation + 1})
            self.versions[wanted.name] = wanted.model_copy(update={"status": status, "metadata": meta})

    def edit(self, name: str, **spec: Any) -> None:
        """Change blocks of a spec, in Python's names."""
        known = self.versions[name]
        if "desired" in spec:
            spec["desired"] = Desired(spec["desired"])
        self.apply(known.model_copy(update={"spec": known.spec.model_copy(update=spec)}))

    def delete(self, name: str) -> None:
        """The object goes; with the last owner everything does, as Kubernetes' garbage collection has it."""
        del self.versions[name]
        if self.versions:
            return
        self.running = {key: run for key, run in self.running.items() if not run.owners}
        if self.route_owners:
            self.written, self.observed, self.route_uid, self.route_due = (), (), "", None

    def lose_status(self, *names: str) -> None:
        for name in names or tuple(self.versions):
            self.versions[name] = self.versions[name].model_copy(update={"status": Status()})

    def remove(self, name: str) -> None:
        """Somebody deletes by hand what runs a version."""
        del self.running[name]

    def remake(self, name: str) -> None:
        """Somebody deletes and remakes what runs a version: another uid under the same name."""
        old = self.running[name]
        self.running[name] = Running(
            name, old.version, old.spec_hash, old.owners, f"rev-{name}-{next(self.uids)}", self.now, old.autoscaling
        )

    # -- what happens to pods

    def crash(self, name: str, *, again: bool = True) -> None:
        """Every process of a version ends by itself; `again`: it keeps doing so."""
        if again:
            self.crashing.add(name)
        run = self.running[name]
        for pod in tuple(run.pods.values()):
            ended = Crash(at=self.now, exit_code=1, message="boom")
            run.pods[pod.name] = replace(pod, ready=False, crash=ended)
            run.ready_due[pod.name] = self.now + timedelta(seconds=run.start_seconds)

    def unready(self, name: str) -> None:
        """Its processes hang: nothing ends, nothing answers."""
        self.never_ready.add(name)
        run = self.running[name]
        run.pods = {key: replace(pod, ready=False) for key, pod in run.pods.items()}

    def heal(self, name: str) -> None:
        self.never_ready.discard(name)
        self.crashing.discard(name)
        run = self.running[name]
        run.ready_due = {key: self.now + timedelta(seconds=1) for key, pod in run.pods.items() if not pod.ready}

    def evict(self, name: str) -> None:
        """Its pods are taken away; the platform makes new ones."""
        run = self.running[name]
        run.pods, run.ready_due = {}, {}

    def idle(self, name: str, *, active: bool = False) -> None:
        self.running[name].active = active

    def edit_route(self, split: Split) -> None:
        self.written, self.route_due, self.route_since = split, self.now + 2 * TICK + self.gateway_late, self.now
        self.foreign_edits = (*self.foreign_edits, self.now)

    def states(self) -> dict[str, State | None]:
        return {name: v.status.state for name, v in self.versions.items()}

    def state(self, name: str) -> State | None:
        return self.versions[name].status.state

    def percent(self, name: str) -> int:
        """What callers are sent to it."""
        run = self.running.get(name)
        return sum(s.percent for s in self.observed if run and s.revision == run.revision_name)

    # -- what an engine observes

    def snapshot(self) -> Snapshot:
        return Snapshot(
            key=KEY,
            now=self.now,
            versions=tuple(self.versions.values()),
            deployments=tuple(self._deployment(run) for run in self.running.values()),
            route=self._route(),
            taken=dict(self.taken),
            probes=dict(self.answers),
            poll=self.poll,
            trouble=self.trouble,
            namespace_url="http://{name}.support.example.com",
            version_url="http://{name}-predictor.support.svc.cluster.local",
            images=None if self.images is None else dict(self.images),
        )

    def _deployment(self, run: Running) -> Deployment:
        ready = frozenset(pod.name for pod in run.pods.values() if pod.ready)
        known = frozenset(pod.name for pod in run.pods.values() if pod.crash or pod.ready)
        seen = self.memory.observe(run.uid, wanted=run.wanted, ready_pods=ready, were_ready=known, now=self.now)
        crashes = [pod.crash for pod in run.pods.values() if pod.crash and not pod.ready]
        revision = Revision(
            name=run.revision_name, uid=run.uid, servable=run.servable, wanted=run.wanted,
            autoscaling=run.autoscaling, pods=tuple(run.pods.values()), starting=seen.starting,
            starting_since=seen.since, ready_at=None if ready else seen.ready_at,
            ready_with=seen.ready_pods, crash=crashes[-1] if crashes else None, image=run.image,
        )  # fmt: skip
        made = self.now >= run.created_at + timedelta(seconds=0.5)
        return Deployment(
            run.name, run.uid, run.version, run.spec_hash, run.owners, revision if made else None,
            run.unplanned, run.problem, unread=self.unread.get(run.name, ""),
        )  # fmt: skip

    def _route(self) -> Route | None:
        if not self.route_uid:
            return None
        synced = self.written == self.observed and self.route_due is None
        early = self.route_due is not None and self.now >= self.route_due - self.gateway_late and not self._is_stuck()
        edits = tuple(edit for edit in self.foreign_edits if self.now - edit < timedelta(minutes=5))
        return Route(
            self.route_uid, self.written, self.written if early else self.observed, synced,
            None if synced else self.route_since,
            self.route_owners, self.route_problem, edits,
        )  # fmt: skip

    # -- what it does by itself

    def advance(self) -> None:
        for run in self.running.values():
            run.share = self.percent(run.name)
            self._advance_pods(run)
        if self.route_due and self.now >= self.route_due and not self._is_stuck():
            self.observed, self.route_due = self.written, None

    def _is_stuck(self) -> bool:
        return self._frozen() or (self.frozen_until is not None and self.now < self.frozen_until)

    def _frozen(self) -> bool:
        """A target that is missing or not Ready keeps any split from taking effect."""
        servable = {run.revision_name for run in self.running.values() if run.servable}
        return any(share.revision not in servable for share in self.written)

    def _advance_pods(self, run: Running) -> None:
        if self.now < run.created_at + timedelta(seconds=0.5):
            return
        problem = self.start_problem.get(run.name)
        if problem:
            run.problem = problem
            return
        while len(run.pods) < run.wanted:
            name = f"{run.name}-pod-{next(self.uids)}"
            run.pods[name] = Pod(name, ready=False)
            run.ready_due[name] = self.now + timedelta(seconds=run.start_seconds)
        while len(run.pods) > run.wanted:
            gone, _ = run.pods.popitem()
            run.ready_due.pop(gone, None)
        for name, due in tuple(run.ready_due.items()):
            if self.now >= due and run.name not in self.never_ready:
                self._pod_is_due(run, name)

    def _pod_is_due(self, run: Running, name: str) -> None:
        if run.name in self.crashing:
            run.pods[name] = replace(run.pods[name], crash=Crash(self.now, 1, "boom"))
            run.ready_due[name] = self.now + timedelta(seconds=10)
            return
        run.pods[name] = replace(run.pods[name], ready=True, crash=None)
        run.servable = run.born = True
        del run.ready_due[name]

"""A small simulated platform under virtual time: what engines observe, and what plans do to it.

It is for speed and for faults; its rules (a Route takes its split after a moment, never while a target is missing or
still starting; pods follow floors; Ready says nothing about health) are those proven on real controllers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from turnout.api.reasons import Reason, State
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.platform.readiness import ReadinessMemory
from turnout.rollout.decide import decide
from turnout.rollout.plan import Event, Plan
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

    @property
    def revision_name(self) -> str:
        return f"{self.name}-predictor-00001"

    born: bool = False  # has been ready once: until then its initial scale wants one pod
    share: int = 0

    @property
    def wanted(self) -> int:
        called = self.active and self.share > 0
        return max(self.autoscaling.min_pods, 1 if called or not self.born else 0)


class KilledError(Exception):
    """The operator died between two writes."""


class ConflictError(Exception):
    """Somebody else wrote in between: the pass is over, the next looks again."""


Check = Callable[["World", Snapshot, Plan], None]


class World:
    """One model of one namespace. `check` sees every snapshot with the plan that was made of it."""

    def __init__(self, check: Check | None = None) -> None:
        self.check = check
        self.conflicts = 0
        self.conflict_at: int | None = None
        self.frozen_until: datetime | None = None
        self.now = START
        self.versions: dict[str, ModelVersion] = {}
        self.running: dict[str, Running] = {}
        self.written: Split = ()
        self.observed: Split = ()
        self.route_uid = ""
        self.route_problem: Problem | None = None
        self.route_owners: frozenset[str] = frozenset()
        self.route_due: datetime | None = None
        self.route_since: datetime | None = None
        self.foreign_edits: tuple[datetime, ...] = ()
        self.taken: dict[str, str] = {}
        self.trouble: Problem | None = None
        self.answers: dict[str, Probe] = {}
        self.contracts: dict[str, str] = {}
        self.wrong_answers: set[str] = set()
        self.silent: set[str] = set()
        self.start_problem: dict[str, Problem] = {}
        self.never_ready: set[str] = set()
        self.crashing: set[str] = set()
        self.events: list[Event] = []
        self.writes: list[str] = []
        self.trace: list[str] = []
        self.splits: list[Split] = []
        self.kill_before: int | None = None
        self._writes_until_kill = 0
        self._memory = ReadinessMemory()
        self._uids = itertools.count(1)
        self._looked: tuple[Snapshot, datetime | None] | None = None

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
            name, old.version, old.spec_hash, old.owners, f"rev-{name}-{next(self._uids)}", self.now, old.autoscaling
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
        self.written, self.route_due, self.route_since = split, self.now + timedelta(seconds=0.3), self.now
        self.foreign_edits = (*self.foreign_edits, self.now)

    # -- time

    def run(self, seconds: float, *, until: Callable[[], bool] | None = None, tick: timedelta = TICK) -> None:
        """Let time pass, with a pass of the operator at each tick as often as it records something."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now += tick
            self._advance_platform()
            self.passes()
            if until and until():
                return
        if until:
            raise AssertionError(f"not within {seconds} s: {self.states()}")

    def passes(self, limit: int = 20) -> None:
        for _ in range(limit):
            snapshot = self.snapshot()
            if self._sleeps(snapshot):
                return
            plan = decide(snapshot)
            if self.check:
                self.check(self, snapshot, plan)
            try:
                self.carry_out(plan)
            except KilledError:
                self.restart_operator()
                continue
            except ConflictError:
                continue
            self._looked = snapshot, plan.again
            if not plan.record:
                return
        raise AssertionError(f"still recording after {limit} passes: {plan.record}")

    def _sleeps(self, snapshot: Snapshot) -> bool:
        """As the engines do: no pass while nothing has changed and the moment that the last plan named has not come."""
        if self._looked is None:
            return False
        last, again = self._looked
        return replace(snapshot, now=last.now) == last and (again is None or snapshot.now < again)

    def states(self) -> dict[str, State | None]:
        return {name: v.status.state for name, v in self.versions.items()}

    def state(self, name: str) -> State | None:
        return self.versions[name].status.state

    def percent(self, name: str) -> int:
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
            trouble=self.trouble,
            namespace_url="http://{name}.support.example.com",
            version_url="http://{name}-predictor.support.svc.cluster.local",
            images={"sklearn": "dev.local/sklearn:1"},
        )

    def _deployment(self, run: Running) -> Deployment:
        ready = sum(pod.ready for pod in run.pods.values())
        known = any(pod.crash or pod.ready for pod in run.pods.values())
        seen = self._memory.observe(run.uid, wanted=run.wanted, ready=ready, was_ready=known, now=self.now)
        crashes = [pod.crash for pod in run.pods.values() if pod.crash and not pod.ready]
        revision = Revision(
            name=run.revision_name, uid=run.uid, servable=run.servable, wanted=run.wanted,
            autoscaling=run.autoscaling, pods=tuple(run.pods.values()), starting=seen.starting,
            starting_since=seen.since, ready_at=None if ready else seen.ready_at,
            crash=crashes[-1] if crashes else None,
        )  # fmt: skip
        made = self.now >= run.created_at + timedelta(seconds=0.5)
        return Deployment(
            run.name, run.uid, run.version, run.spec_hash, run.owners, revision if made else None,
            run.unplanned, run.problem,
        )  # fmt: skip

    def _route(self) -> Route | None:
        if not self.route_uid:
            return None
        synced = self.written == self.observed and self.route_due is None
        edits = tuple(edit for edit in self.foreign_edits if self.now - edit < timedelta(minutes=5))
        return Route(
            self.route_uid, self.written, self.observed, synced, None if synced else self.route_since,
            self.route_owners, self.route_problem, edits,
        )  # fmt: skip

    # -- what the platform does by itself

    def _advance_platform(self) -> None:
        for run in self.running.values():
            run.share = self.percent(run.name)
            self._advance_pods(run)
        stuck = self._frozen() or (self.frozen_until and self.now < self.frozen_until)
        if self.route_due and self.now >= self.route_due and not stuck:
            self.observed, self.route_due = self.written, None

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
            name = f"{run.name}-pod-{next(self._uids)}"
            run.pods[name] = Pod(name, ready=False, created_at=self.now)
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

    # -- what plans do

    def carry_out(self, plan: Plan) -> None:
        if plan.route:
            self._write("route " + " ".join(f"{s.revision}={s.percent}" for s in plan.route.split))
            assert sum(share.percent for share in plan.route.split) == 100
            self.route_uid = self.route_uid or "route-1"
            self.route_owners = frozenset(uid for _, uid in plan.route.owners)
            if plan.route.split != self.written:
                self.splits.append(plan.route.split)
                self.written, self.route_due, self.route_since = plan.route.split, self.now + 3 * TICK, self.now
        for scale in plan.scale:
            self._write(f"scale {scale.deployment.name} {scale.autoscaling.min_pods}")
            self.running[scale.deployment.name].autoscaling = scale.autoscaling
        self._create_and_delete(plan)
        for request in plan.probe:
            if request.version in self.silent:
                continue
            self._answer(request.version, request.revision_uid, request.requests)
        for name, status in plan.record.items():
            self._write(f"record {name} {status.state}")
            before = self.versions[name].status
            self.versions[name] = self.versions[name].model_copy(update={"status": _round_trip(status)})
            self._note(name, before, status)
        self.events.extend(plan.events)

    def _create_and_delete(self, plan: Plan) -> None:
        for deploy in plan.deploy:
            name = deploy.version.name
            self._write(f"deploy {name}")
            self.running[name] = Running(
                name, deploy.version.version, deploy.spec_hash, frozenset(uid for _, uid in deploy.owners),
                f"rev-{name}-{next(self._uids)}", self.now, Autoscaling(0, 3, timedelta(seconds=30)),
            )  # fmt: skip
        for retire in plan.retire:
            self._write(f"retire {retire.deployment.name}")
            assert not self.percent(retire.deployment.name), "deleted what has a share"
            self.running.pop(retire.deployment.name, None)
        for own in plan.own:
            self._write(f"own {own.deployment.name}")
            self.running[own.deployment.name].owners = frozenset(uid for _, uid in own.owners)

    def _answer(self, name: str, uid: str, requests: int) -> None:
        problem = (
            Problem(Reason.WrongAnswer, "example 1 answers 3, not 4", True) if name in self.wrong_answers else None
        )
        contract = self.contracts.get(name, '{"inputs": "text"}')
        self.answers[uid] = Probe(uid, done=True, requests=requests, contract=contract, problem=problem)

    def _write(self, what: str) -> None:
        self._writes_until_kill += 1
        if self.kill_before is not None and self._writes_until_kill > self.kill_before:
            self.kill_before = None
            raise KilledError(what)
        if self.conflict_at == len(self.writes):
            self.conflict_at, self.conflicts = None, 1
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError(what)
        self.writes.append(what)

    def _note(self, name: str, before: Status, after: Status) -> None:
        if (before.state, before.reason, before.step) != (after.state, after.reason, after.step):
            at = (self.now - START).total_seconds()
            where = f" step {after.step.display}" if after.step else ""
            self.trace.append(f"{at:6.1f} {name} {after.state} {after.reason}{where}: {after.message}")

    def kill(self, *, before: int) -> None:
        """The operator dies at its next write but `before`."""
        self.kill_before, self._writes_until_kill = before, 0

    def restart_operator(self) -> None:
        """The process ends: what it only remembered is gone."""
        self._memory, self._looked = ReadinessMemory(), None
        self.answers = {}


def _round_trip(status: Status) -> Status:
    """What comes back from the API server is JSON, not the object that was sent."""
    return Status.model_validate_json(status.model_dump_json(by_alias=True, exclude_none=True))


def entered(events: Iterable[Event]) -> list[str]:
    return [f"{event.version} {event.reason}" for event in events]


def serving(*numbers: int, check: Check | None = None, **spec: Any) -> World:
    """A world in which these versions have been promoted one after the other."""
    world = World(check=check)
    for number in numbers:
        rollout = {"strategy": "AllAtOnce", **spec.get("rollout", {})}
        world.apply(version(number, **{**spec, "rollout": rollout}))
        world.run(30, until=lambda name=f"signals-{number}": world.state(name) is State.Live)
        world.run(1)
    return world


def canary(world: World, number: int, *weights: int, pause: str = "5s", **spec: Any) -> None:
    """Roll a version out until it holds its first weight."""
    rollout = {**steps(*weights, pause=pause), **spec.pop("rollout", {})}
    world.apply(version(number, rollout=rollout, **spec))
    world.run(30, until=lambda: world.percent(f"signals-{number}") == weights[0])

"""A cluster in virtual time with the operator on it, and the words in which stories are told: `World`'s own.

Everything of the operator but HTTP (watches, warm-ups) is the real thing: engine, cache, loop, queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from tests.rollout.judges import UNASKED
from tests.rollout.simulation import KEY, START
from tests.simulation.ledger import Ledger
from tests.simulation.pods import Behaviour
from tests.simulation.process import RESTART, Kill, Process, Weather
from tests.simulation.server import Server, edited_split
from tests.simulation.serving import Serving
from tests.virtual import VirtualLoop
from turnout.api.reasons import Reason, State
from turnout.api.version import Desired, ModelVersion
from turnout.judge.protocol import Judge, Poll
from turnout.platform.kubernetes.objects import Route, read
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, ROUTES, VERSIONS, Resource
from turnout.rollout.decide import decide
from turnout.rollout.plan import Plan, PollRequest, ProbeRequest
from turnout.rollout.snapshot import Probe, Problem, Snapshot, Split

Check = Callable[["Cluster", Snapshot, Plan], None]
Raw = dict[str, Any]
LAST = 12
"""Passes that are told with a fault."""
IMAGES = {"sklearn": "example.com/sklearn:1"}


class Cluster:
    """One namespace and one model. `check` sees every snapshot with the plan that was made of it."""

    def __init__(self, check: Check | None = None, kill: Kill | None = None) -> None:
        self.loop = self._new_loop()
        self.loop.set_exception_handler(self._broke)
        self.server = Server(lambda: START + timedelta(seconds=self.loop.time()))
        self.serving = Serving(self.server, self.loop)
        self.weather = Weather()
        self.weather.kill = kill
        self.check = check
        self.judge: Judge = UNASKED
        self.source_trouble = ""
        self.wrong_answers: set[str] = set()
        self.silent: set[str] = set()
        self.contracts: dict[str, str] = {}
        self.splits: list[Split] = []
        self.moves: set[tuple[State | None, State | None]] = set()
        self._known: dict[str, State | None] = {}
        self.faults: list[BaseException] = []
        self.last: deque[str] = deque(maxlen=LAST)
        self.deaths = 0
        self.images = dict(IMAGES)
        self.ledger = Ledger(self)
        self.server.watchers.append(self._note)
        self._begin_all()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.close()

    # -- the operator

    def _new_loop(self) -> VirtualLoop:
        return VirtualLoop()

    def _begin_all(self) -> None:
        self.operator = self._begin()

    @property
    def processes(self) -> tuple[Process, ...]:
        return (self.operator,)

    @property
    def weathers(self) -> tuple[Weather, ...]:
        return (self.weather,)

    @property
    def calls(self) -> list[str]:
        """What was asked of the server so far, reads included."""
        return [call for weather in self.weathers for call in weather.calls]

    def _begin(self) -> Process:
        acts = self._decide, self._answer, self._read, self._has_died, self.faults.append
        return Process(self.server, self.weather, self.loop, *acts, self.images)

    def _decide(self, snapshot: Snapshot) -> Plan:
        try:
            plan = decide(snapshot, self.judge)
            self.last.append(in_a_line(self.loop.time(), snapshot, plan))
            if self.check:
                self.check(self, snapshot, plan)
        except Exception as fault:  # the loop would take it for a bad model and go on
            self.faults.append(fault)
            raise
        return plan

    def _answer(self, request: ProbeRequest) -> Probe | None:
        if request.version in self.silent:
            return None
        wrong = request.version in self.wrong_answers and request.requests
        problem = Problem(Reason.WrongAnswer, "example 1 answers 3, not 4", True) if wrong else None
        contract = self.contracts.get(request.version, '{"inputs": "text"}')
        return Probe(request.revision_uid, done=True, requests=request.requests, contract=contract, problem=problem)

    def _read(self, request: PollRequest) -> Poll | None:
        """As a source that can look back: the first moment of the grid that has not been taken in."""
        if self.judge is UNASKED:
            return None
        return Poll(
            request.at if self.source_trouble else request.earliest,
            canary_uid=request.canary.uid,
            stable_uid=request.stable.uid,
            weight=request.weight,
            weight_since=request.weight_since,
            trouble=self.source_trouble,
        )

    def _broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Whatever a timer raises, and nobody would hear."""
        self.faults.append(context.get("exception") or AssertionError(context["message"]))

    def _has_died(self) -> None:
        self.deaths += 1
        self.loop.call_soon(self.restart_operator)

    def restart_operator(self) -> None:
        """kill -9, and a new process that remembers nothing."""
        self.operator.kill()
        self.loop.call_later(RESTART, self._start_anew)

    def _start_anew(self) -> None:
        if self.operator.is_dead:
            self.operator = self._begin()

    def kill(self, *, calls: int, moment: str = "before") -> None:
        """Die at the API call after so many more."""
        self.weather.kill = len(self.weather.calls) + calls, moment

    # -- time

    def run(self, seconds: float, *, until: Callable[[], bool] | None = None) -> None:
        end = self.loop.time() + seconds
        while self.loop.time() < end:
            rest = end - self.loop.time()
            self.loop.run_until_complete(asyncio.sleep(min(rest, 0.1) if until else rest))
            self._raise()
            if until and until():
                return
        if until:
            raise AssertionError(f"not within {seconds} s: {self.states()}")

    def _raise(self) -> None:
        for process in self.processes:
            if fault := process.fault():
                raise fault
        if self.faults:
            self.faults[0].add_note("the last passes:\n" + "\n".join(self.last))
            raise self.faults[0]

    # -- what people do

    def apply(self, *versions: ModelVersion) -> None:
        for version in versions:
            metadata = {"name": version.name, "namespace": version.namespace}
            known = self.server.find(VERSIONS, version.name)
            status = {"status": known["status"]} if known and "status" in known else {}
            self.server.put(VERSIONS, {"metadata": metadata, "spec": version.spec.body(), **status})

    def edit(self, name: str, **spec: Any) -> None:
        """Change blocks of a spec, in Python's names."""
        if "desired" in spec:
            spec["desired"] = Desired(spec["desired"])
        known = self.versions[name]
        self.apply(known.model_copy(update={"spec": known.spec.model_copy(update=spec)}))

    def delete(self, name: str) -> None:
        self.server.remove(VERSIONS, name)

    def lose_status(self, *names: str) -> None:
        for name in names or tuple(self.versions):
            raw = self.server.find(VERSIONS, name)
            if raw is not None:
                self.ledger.forget(name)
                self.server.put(VERSIONS, {key: value for key, value in raw.items() if key != "status"})

    # -- what other tools and platforms do

    def edit_route(self, split: Split) -> None:
        live = self.server.find(ROUTES, KEY.model)
        traffic = [{"revisionName": share.revision, "percent": share.percent} for share in split]
        if live is not None and traffic != live["spec"]["traffic"]:
            self.server.put(ROUTES, edited_split(live, traffic, self.server.now()))

    def delete_route(self) -> None:
        self.server.remove(ROUTES, KEY.model)

    def remove(self, name: str) -> None:
        """Somebody deletes by hand what runs a version."""
        self.server.remove(INFERENCE_SERVICES, name)

    def remake(self, name: str) -> None:
        """Its revision comes back under the same name with another uid, as after a stop."""
        self.serving.drop_revision(name, remake=True)

    def crash(self, name: str, *, again: bool = True) -> None:
        self.serving.crash(name, again=again)

    def unready(self, name: str) -> None:
        self.serving.hang(name)

    def heal(self, name: str) -> None:
        self.serving.heal(name)

    def evict(self, name: str) -> None:
        self.serving.evict(name)

    def idle(self, name: str, *, active: bool = False) -> None:
        self.serving.behaviour(name).called = active
        self.serving.scale_of(name)

    def starts_in(self, name: str, seconds: float) -> None:
        self.serving.behaviour(name).start_seconds = seconds

    # -- what is seen

    @property
    def running(self) -> Mapping[str, Behaviour]:
        """By the name of what exists now."""
        names = [raw["metadata"]["name"] for raw in self.server.of(INFERENCE_SERVICES)]
        return {name: self.serving.behaviour(name) for name in names}

    @property
    def versions(self) -> Mapping[str, ModelVersion]:
        found = (read(VERSIONS, raw) for raw in self.server.of(VERSIONS))
        return {item.name: item for item in found if isinstance(item, ModelVersion)}

    @property
    def route(self) -> Route | None:
        raw = self.server.find(ROUTES, KEY.model)
        item = read(ROUTES, raw) if raw else None
        return item if isinstance(item, Route) else None

    @property
    def observed(self) -> Split:
        return self.route.observed if self.route else ()

    @property
    def written(self) -> Split:
        return self.route.written if self.route else ()

    def states(self) -> dict[str, State | None]:
        return {name: version.status.state for name, version in self.versions.items()}

    def state(self, name: str) -> State | None:
        return self.versions[name].status.state

    def percent(self, name: str) -> int:
        return sum(share.percent for share in self.observed if share.revision == f"{name}-predictor-00001")

    def _note(self, resource: Resource, event: str, raw: Raw) -> None:
        if resource is ROUTES and event != "DELETED":
            split = tuple(sorted((t["revisionName"], t["percent"]) for t in raw["spec"]["traffic"]))
            if not self.splits or self.splits[-1] != split:
                self.splits.append(split)  # type: ignore[arg-type]
        elif resource is VERSIONS:
            uid, told = raw["metadata"]["uid"], raw.get("status", {}).get("state")
            state = State(told) if told else None
            self.moves.add((self._known.get(uid), state))
            self._known[uid] = state


def in_a_line(at: float, snapshot: Snapshot, plan: Plan) -> str:
    """A pass as a person reads it: who stood how, and what was asked for."""
    route = snapshot.route
    shares = {d.name: d.revision for d in snapshot.deployments if d.revision}
    told = [f"{at:8.2f}"]
    for version in snapshot.versions:
        revision, after = shares.get(version.name), plan.record.get(version.name)
        pods = f"{revision.ready_pods}/{revision.wanted}{'' if revision.servable else '!'}" if revision else "-"
        moved = f"->{after.state}({after.reason})" if after else ""
        told.append(f"{version.name}:{version.status.state}{moved} {pods}")
    if route:
        held = "=" if route.in_sync else "~"
        told.append("route " + held + " ".join(f"{share.revision[:-16]}={share.percent}" for share in route.written))
    if plan.route:
        told.append("writes " + " ".join(f"{share.revision[:-16]}={share.percent}" for share in plan.route.split))
    told += [f"deletes {retire.deployment.name}" for retire in plan.retire]
    return " | ".join(told)


@contextmanager
def cluster(check: Check | None = None, kill: Kill | None = None) -> Iterator[Cluster]:
    made = Cluster(check, kill)
    try:
        yield made
    finally:
        made.close()

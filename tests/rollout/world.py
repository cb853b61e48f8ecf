"""The operator on the simulated platform: passes under virtual time, plans carried out, kills and conflicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.rollout.judges import UNASKED
from tests.rollout.simulation import START, TICK, Platform, Running, looked_up, steps, version
from turnout.api.reasons import Reason, State
from turnout.api.status import Status
from turnout.judge.protocol import Judge, Poll
from turnout.platform.readiness import ReadinessMemory
from turnout.rollout.decide import decide
from turnout.rollout.plan import Event, Plan, PollRequest
from turnout.rollout.snapshot import Autoscaling, Probe, Problem, Snapshot, Split


class KilledError(Exception):
    """The operator died between two writes."""


class ConflictError(Exception):
    """Somebody else wrote in between: the pass is over, the next looks again."""


Check = Callable[["World", Snapshot, Plan], None]


class World(Platform):
    """The simulated platform with an operator on it. `check` sees every snapshot with the plan that was made of it."""

    def __init__(self, check: Check | None = None) -> None:
        super().__init__()
        self.check = check
        self.judge: Judge = UNASKED
        self.source_trouble = ""
        self.conflicts = 0
        self.conflict_at: int | None = None
        self.contracts: dict[str, str] = {}
        self.wrong_answers: set[str] = set()
        self.silent: set[str] = set()
        self.events: list[Event] = []
        self.writes: list[str] = []
        self.trace: list[str] = []
        self.splits: list[Split] = []
        self.kill_before: int | None = None
        self._writes_until_kill = 0
        self._looked: tuple[Snapshot, datetime | None] | None = None

    # -- time

    def run(self, seconds: float, *, until: Callable[[], bool] | None = None, tick: timedelta = TICK) -> None:
        """Let time pass, with a pass of the operator at each tick as often as it records something."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now += tick
            self.advance()
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
            plan = decide(snapshot, self.judge)
            if self.check:
                self.check(self, snapshot, plan)
            try:
                self.carry_out(plan)
            except KilledError:
                self.restart_operator()
                continue
            except ConflictError:
                continue
            self._looked = snapshot, min((look for look in (plan.again, plan.grace) if look), default=None)
            if not plan.record:
                return
        raise AssertionError(f"still recording after {limit} passes: {plan.record}")

    def _sleeps(self, snapshot: Snapshot) -> bool:
        """As the engines do: no pass while nothing has changed and the moment that the last plan named has not come."""
        if self._looked is None:
            return False
        last, again = self._looked
        return replace(snapshot, now=last.now) == last and (again is None or snapshot.now < again)

    # -- what plans do

    def carry_out(self, plan: Plan) -> None:
        if plan.route:
            self._write("route " + " ".join(f"{s.revision}={s.percent}" for s in plan.route.split))
            assert sum(share.percent for share in plan.route.split) == 100
            self.route_uid = self.route_uid or "route-1"
            self.route_owners = frozenset(uid for _, uid in plan.route.owners)
            self.events.extend(plan.route.events)
            if plan.route.split != self.written:
                self.splits.append(plan.route.split)
                self.written, self.route_since = plan.route.split, self.now
                self.route_due = self.now + 2 * TICK + self.gateway_late
        for scale in plan.scale:
            self._write(f"scale {scale.deployment.name} {scale.autoscaling.min_pods}")
            self.running[scale.deployment.name].autoscaling = scale.autoscaling
        self._create_and_delete(plan)
        for request in plan.probe:
            if request.version in self.silent:
                continue
            self._answer(request.version, request.revision_uid, request.requests)
        if plan.poll:
            self.poll = self._read(plan.poll)
        for name, status in plan.record.items():
            self._write(f"record {name} {status.state}")
            before = self.versions[name].status
            self.versions[name] = self.versions[name].model_copy(update={"status": _round_trip(status)})
            self._note(name, before, status)
            self.events.extend(event for event in plan.events if event.version == name)

    def _create_and_delete(self, plan: Plan) -> None:
        for deploy in plan.deploy:
            name = deploy.version.name
            self._write(f"deploy {name}")
            self.running[name] = Running(
                name, deploy.version.version, deploy.spec_hash, frozenset(uid for _, uid in deploy.owners),
                f"rev-{name}-{next(self.uids)}", self.now, Autoscaling(0, 3, timedelta(seconds=30)),
                image=looked_up(deploy.image, self.moved),
            )  # fmt: skip
        for retire in plan.retire:
            self._write(f"retire {retire.deployment.name}")
            assert not self.percent(retire.deployment.name), "deleted what has a share"
            self.running.pop(retire.deployment.name, None)
        for own in plan.own:
            self._write(f"own {own.deployment.name}")
            self.running[own.deployment.name].owners = frozenset(uid for _, uid in own.owners)

    def _read(self, request: PollRequest) -> Poll | None:
        """As a source that can look back: the first moment of the grid that has not been taken in."""
        if self.judge is UNASKED:
            return None
        at = request.at if self.source_trouble else request.earliest
        return Poll(
            at, canary_uid=request.canary.uid, stable_uid=request.stable.uid, weight=request.weight,
            weight_since=request.weight_since, trouble=self.source_trouble,
        )  # fmt: skip

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
        self.memory, self._looked = ReadinessMemory(), None
        self.answers, self.poll = {}, None


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

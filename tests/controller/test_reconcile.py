import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.rollout.simulation import version
from turnout.api.analysis import Analysis
from turnout.api.reasons import EventReason
from turnout.api.status import RevisionStatus, Status
from turnout.api.version import ModelVersion
from turnout.controller.queue import Queue
from turnout.controller.reconcile import RESTLESS_AFTER, Controller, look_again
from turnout.platform.protocol import Conflict, Refused, Unavailable
from turnout.rollout.plan import (
    Complaint,
    Deploy,
    Event,
    Own,
    Plan,
    PollRequest,
    ProbeRequest,
    Retire,
    RouteChange,
    Scale,
)
from turnout.rollout.snapshot import Autoscaling, Deployment, ModelKey, Route, Share, Snapshot, Unread

KEY = ModelKey("support", "signals")
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
DEPLOYMENT = Deployment("signals-7", "uid-7", 7, "hash")
ROUTE = Route("uid-r", (Share("signals-7-predictor-00001", 100),), (), in_sync=False)
VERSIONS = (version(7), version(8))
WROTE = Event("signals-7", EventReason.WeightChanged, "25 %")
CHANGE = RouteChange(ROUTE.written, events=(WROTE,))
SCALE = Scale(DEPLOYMENT, Autoscaling(1, 3, timedelta(seconds=30)))
RECORD = {"signals-7": Status(attempt=1)}
EVENT = Event("signals-7", EventReason.Held, "held")
PROBE = ProbeRequest("signals-7", "signals-7-predictor-00001", "uid", "signals", 20, timedelta(minutes=5))
COMPLAINT = Complaint(Unread("signals-9", "u9", 1, "spec.colour: unknown field"), "cannot be read", ())
POLL = PollRequest(
    "signals-8",
    START,
    None,
    RevisionStatus(name="r-8", uid="8"),
    RevisionStatus(name="r-7", uid="7"),
    Analysis(),
    10,
    START,
)


@dataclass
class Engine:
    """Notes what it is asked for; raises what it is told to, once for each entry."""

    models: tuple[ModelKey, ...] = ()
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    route_now: Route | None = ROUTE
    versions: tuple[ModelVersion, ...] = VERSIONS
    meanwhile: Callable[[], Awaitable[None]] | None = None

    def keys(self) -> Iterable[ModelKey]:
        return self.models

    async def observe(self, key: ModelKey) -> Snapshot:
        elapsed = asyncio.get_running_loop().time()
        self.times.append(elapsed)
        if self.meanwhile:
            await self.meanwhile()
        self._call("observe")
        return Snapshot(key, START + timedelta(seconds=elapsed), self.versions, route=self.route_now)

    def _call(self, verb: str) -> None:
        self.calls.append(verb)
        if self.faults.get(verb):
            raise self.faults[verb].pop(0)

    async def route(self, key: ModelKey, change: RouteChange) -> None:
        self._call("route")

    async def scale(self, key: ModelKey, scale: Scale) -> None:
        self._call("scale")

    async def deploy(self, key: ModelKey, deploy: Deploy) -> None:
        self._call("deploy")

    async def retire(self, key: ModelKey, retire: Retire) -> None:
        self._call("retire")

    async def own(self, key: ModelKey, own: Own) -> None:
        self._call("own")

    async def probe(self, key: ModelKey, request: ProbeRequest) -> None:
        self._call("probe")

    async def poll(self, key: ModelKey, request: PollRequest) -> None:
        self._call("poll")

    async def complain(self, key: ModelKey, complaint: Complaint) -> None:
        self._call("complain")

    async def record(self, key: ModelKey, version: ModelVersion, status: Status) -> None:
        self._call(f"record {version.name}")

    async def emit(self, key: ModelKey, event: Event) -> None:
        self._call(f"emit {event.message}")


@dataclass
class World:
    engine: Engine
    queue: Queue
    controller: Controller

    async def passes(self, number: int) -> None:
        for _ in range(number):
            await self.controller.turn(await self.queue.take())

    @property
    def times(self) -> list[float]:
        return self.engine.times


def a_world(decide: Callable[[Snapshot], Plan], engine: Engine | None = None, jitter: float = 1.0) -> World:
    engine = engine or Engine()
    queue = Queue(asyncio.get_running_loop().time, lambda: jitter)
    queue.add(KEY)
    return World(engine, queue, Controller(engine, queue, decide))


FULL = Plan(
    route=CHANGE,
    scale=(SCALE,),
    retire=(Retire(DEPLOYMENT, "old"),),
    own=(Own(DEPLOYMENT, ()),),
    probe=(PROBE,),
    poll=POLL,
    complaints=(COMPLAINT,),
    record=RECORD,
    events=(EVENT,),
)


async def test_a_plan_is_carried_out_in_the_order_of_its_fields() -> None:
    world = a_world(lambda _: FULL)
    await world.passes(1)
    assert world.engine.calls == [
        "observe", "route", "emit 25 %", "scale", "retire", "own", "probe", "poll",
        "complain", "record signals-7", "emit held",
    ]  # fmt: skip


EFFECTS_AFTER = {
    "a refused effect ends only itself": (
        Refused("no"),
        ["scale", "retire", "own", "probe", "poll", "complain", "record signals-7", "emit held"],
    ),
    "an outage ends the effects but not the record": (Unavailable("no answer"), ["record signals-7", "emit held"]),
    "a conflict ends the pass": (Conflict("changed"), []),
    "an unforeseen fault ends the pass": (ValueError("bug"), []),
}


@pytest.mark.parametrize(("fault", "then"), EFFECTS_AFTER.values(), ids=EFFECTS_AFTER)
async def test_faults_of_effects(fault: Exception, then: list[str]) -> None:
    world = a_world(lambda _: FULL, Engine(faults={"route": [fault]}))
    await world.passes(1)
    assert world.engine.calls == ["observe", "route", *then]


async def test_what_was_recorded_is_told_even_where_the_next_record_conflicts() -> None:
    both = Plan(record={**RECORD, "signals-8": Status()}, events=(EVENT, Event("signals-8", EventReason.Held, "too")))
    world = a_world(lambda _: both, Engine(faults={"record signals-8": [Conflict("changed")]}))
    await world.passes(1)
    assert world.engine.calls == ["observe", "record signals-7", "emit held", "record signals-8"]


@pytest.mark.parametrize("fault", [Refused("max-scale-limit"), Unavailable("away")], ids=["refused", "away"])
async def test_a_write_that_fails_again_and_again_puts_off_no_timer_of_the_plan(fault: Exception) -> None:
    def decide(seen: Snapshot) -> Plan:
        return Plan(scale=(SCALE,), again=seen.now + timedelta(seconds=3))

    world = a_world(decide, Engine(faults={"scale": [fault] * 20}))
    await world.passes(20)
    waits = [later - sooner for sooner, later in pairwise(world.times)]
    assert max(waits) <= 3


REST = Plan()
MOVE = Plan(route=CHANGE)
TIDY = Plan(scale=(SCALE,))
TIMES = {
    "a conflict is looked at again at once": (MOVE, "route", Conflict("c"), [0.01, 0.03, 0.07]),
    "an outage backs off": (TIDY, "scale", Unavailable("u"), [0.5, 1.5, 3.5]),
    "a refusal backs off": (TIDY, "scale", Refused("r"), [0.5, 1.5, 3.5]),
    "an unforeseen fault backs off": (TIDY, "scale", KeyError("k"), [0.5, 1.5, 3.5]),
    "a split that cannot be written is tried each second": (MOVE, "route", Unavailable("u"), [0.5, 1.5, 2.5]),
    "an engine that cannot be observed backs off": (REST, "observe", Unavailable("u"), [0.5, 1.5, 3.5]),
}


@pytest.mark.parametrize(("plan", "verb", "fault", "looks"), TIMES.values(), ids=TIMES)
async def test_when_a_failed_pass_is_repeated(plan: Plan, verb: str, fault: Exception, looks: list[float]) -> None:
    world = a_world(lambda _: plan, Engine(faults={verb: [fault] * 3}))
    await world.passes(4)
    assert world.times == pytest.approx([0, *looks])
    assert world.queue.failures(KEY) == 0


async def test_a_pass_that_recorded_something_is_followed_by_another_at_once() -> None:
    plans = iter([Plan(record=RECORD), Plan(), Plan()])
    world = a_world(lambda _: next(plans))
    await world.passes(3)
    assert world.times == [0, 0, look_again(KEY)]


async def test_a_plan_that_records_for_ever_is_slowed_down(caplog: pytest.LogCaptureFixture) -> None:
    world = a_world(lambda _: Plan(record=RECORD))
    await world.passes(RESTLESS_AFTER + 3)
    assert world.times[RESTLESS_AFTER - 1] == 0
    assert world.times[-3:] == [1, 2, 3]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


AGAIN = {
    "a plan's timer is kept": (timedelta(seconds=42), 42),
    "a timer of the past means now": (timedelta(seconds=-5), 0),
    "a far timer does not put off the regular look": (timedelta(hours=24), look_again(KEY)),
    "no timer means the regular look": (None, look_again(KEY)),
}


@pytest.mark.parametrize(("wait", "second"), AGAIN.values(), ids=AGAIN)
async def test_when_to_look_again(wait: timedelta | None, second: float) -> None:
    plans = iter([Plan(again=None if wait is None else START + wait), Plan()])
    world = a_world(lambda _: next(plans))
    await world.passes(2)
    assert world.times == [0, second]


async def test_the_end_of_a_grace_is_looked_at_in_time_however_many_passes_hang() -> None:
    engine = Engine(models=(ModelKey("support", "a"), ModelKey("support", "b")))
    world = a_world(lambda _: Plan(grace=START + timedelta(seconds=3)), engine)
    await world.passes(1)
    engine.meanwhile = lambda: asyncio.sleep(100)
    for key in engine.models:
        world.queue.add(key)
    hanging = [asyncio.create_task(world.passes(1)) for _ in engine.models]
    await asyncio.sleep(1)
    assert await world.queue.take() == KEY
    assert asyncio.get_running_loop().time() == 3
    for task in hanging:
        task.cancel()


def test_a_fleet_is_not_looked_at_in_one_burst() -> None:
    times = Counter(int(look_again(ModelKey("fleet", f"m{number:05}"))) for number in range(5000))
    assert set(times) <= set(range(300, 600))
    assert max(times.values()) < 100


async def test_a_model_of_which_nothing_is_left_is_forgotten_until_something_happens() -> None:
    world = a_world(lambda _: Plan(), Engine(route_now=None, versions=()))
    await world.passes(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.queue.take(), 7200)
    world.queue.add(KEY)
    await world.passes(1)


async def test_a_pass_that_hangs_gives_its_key_back() -> None:
    engine = Engine(meanwhile=lambda: asyncio.sleep(3600))
    world = a_world(lambda _: Plan(), engine)
    await world.passes(1)
    engine.meanwhile = None
    await world.passes(1)
    assert world.times == [0, 120.5]


async def test_every_known_model_is_looked_at_when_the_workers_start_and_they_stop_when_told() -> None:
    others = tuple(ModelKey("support", f"model-{number}") for number in range(10))
    engine = Engine(models=others, meanwhile=lambda: asyncio.sleep(1))
    world = a_world(lambda _: Plan(), engine)
    running = asyncio.create_task(world.controller.run())
    await asyncio.sleep(5.5)
    assert sorted(engine.times) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]  # by half of the four workers: it is no news
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_one_bad_model_does_not_hold_up_another() -> None:
    good = ModelKey("support", "tone")

    def decide(snapshot: Snapshot) -> Plan:
        if snapshot.key == KEY:
            raise ZeroDivisionError
        return Plan(again=snapshot.now + timedelta(seconds=1))

    engine = Engine(models=(good,))
    world = a_world(decide, engine)
    running = asyncio.create_task(world.controller.run())
    await asyncio.sleep(10.5)
    assert engine.times.count(0) == 2
    assert set(engine.times) >= set(range(11))
    running.cancel()


@dataclass
class Counting:
    outcomes: list[str] = field(default_factory=list)
    forgotten: list[ModelKey] = field(default_factory=list)
    looks: int = 0

    def looked(self, snapshot: Snapshot, plan: Plan) -> None:
        self.looks += 1

    def passed(self, key: ModelKey, seconds: float, outcome: str) -> None:
        self.outcomes.append(outcome)

    def gone(self, key: ModelKey) -> None:
        self.forgotten.append(key)


async def test_each_pass_is_counted_with_its_outcome() -> None:
    faults: dict[str, list[Exception]] = {
        "route": [Conflict("c"), Unavailable("u"), Refused("r"), TimeoutError(), OSError("o")]
    }
    engine, meter = Engine(faults=faults), Counting()
    queue = Queue(asyncio.get_running_loop().time)
    controller = Controller(engine, queue, lambda seen: MOVE if seen.route else REST, meter=meter)
    queue.add(KEY)
    for _ in range(6):
        await controller.turn(await queue.take())
    engine.route_now, engine.versions = None, ()
    await controller.turn(await queue.take())
    assert meter.outcomes == ["conflict", "unwritable", "refused", "unavailable", "error", "ok", "ok"]
    assert (meter.looks, meter.forgotten) == (7, [KEY])


async def test_told_to_end_it_finishes_what_is_under_way_and_begins_nothing_else() -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        began.set()
        await goes_on.wait()

    other = ModelKey("support", "tone")
    engine = Engine((KEY, other), meanwhile=slowly)
    controller = Controller(engine, Queue(asyncio.get_running_loop().time), lambda _: Plan(), workers=1)
    working = asyncio.create_task(controller.run())
    await began.wait()
    assert not await controller.drain(3), "it says that somebody's last write may still be on its way"
    draining = asyncio.create_task(controller.drain(3))
    await asyncio.sleep(1)
    goes_on.set()
    assert await draining
    await asyncio.sleep(700)
    assert engine.calls == ["observe"]
    working.cancel()


async def test_who_does_nothing_has_nothing_to_finish() -> None:
    controller = Controller(Engine(), Queue(asyncio.get_running_loop().time), lambda _: Plan())
    assert await controller.drain(3)


async def test_passes_with_nothing_to_do_let_others_run_in_between() -> None:
    """The lease is renewed, and watches are read, while thousands of models are looked at after a start."""
    models = tuple(ModelKey("support", f"model-{number}") for number in range(100))
    engine = Engine(models)
    working = asyncio.create_task(Controller(engine, Queue(), lambda _: Plan(), workers=4).run())
    turns = 0
    while len(engine.calls) < len(models):
        await asyncio.sleep(0)
        turns += 1
    working.cancel()
    assert turns > len(models) / 4

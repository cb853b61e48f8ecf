"""Observe, decide, apply, record: four workers that know nothing but keys, and look at the whole each time.

Whatever happened (an event, a restart, a timer), the way is the same. This module carries a Plan out in the
order of its fields and decides nothing; what an effect runs into is the engine's to remember, so that the
next Snapshot says it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from time import perf_counter
from typing import Protocol
from zlib import crc32

from turnout.controller.queue import FIRST_BACK_OFF, LONGEST_BACK_OFF, Queue
from turnout.platform.protocol import Conflict, Platform, Refused, Unavailable
from turnout.rollout.plan import Event, Plan, RouteChange
from turnout.rollout.snapshot import ModelKey, Snapshot

LOOK_AGAIN = 600.0  # seconds at most; every key, whatever its plan says: lost events cost no more than this
PASS_TIMEOUT = 120.0  # a pass that hangs must not keep its key for ever
CONFLICT_BACK_OFF = 0.01  # "at once", but not as fast as the processor can
CONFLICT_LONGEST = 1.0
TRAFFIC_LONGEST = 1.0  # a split that cannot be written is tried again for ever, and never waits for minutes
RESTLESS_AFTER = 25  # recording passes in a row without a pause; a settled model needs a handful
RESTLESS_DELAY = 1.0

log = logging.getLogger(__name__)

Decide = Callable[[Snapshot], Plan]


class TrafficUnwritable(Unavailable):
    """The pass held a new split, and the engine did not take it or what belongs to it."""


_BACK_OFF: Mapping[type, tuple[str, int, float, float]] = {  # outcome, level of the log, first delay, longest
    Conflict: ("conflict", logging.INFO, CONFLICT_BACK_OFF, CONFLICT_LONGEST),
    TrafficUnwritable: ("unwritable", logging.WARNING, FIRST_BACK_OFF, TRAFFIC_LONGEST),
    Unavailable: ("unavailable", logging.WARNING, FIRST_BACK_OFF, LONGEST_BACK_OFF),
    TimeoutError: ("unavailable", logging.WARNING, FIRST_BACK_OFF, LONGEST_BACK_OFF),
    Refused: ("refused", logging.ERROR, FIRST_BACK_OFF, LONGEST_BACK_OFF),
    Exception: ("error", logging.ERROR, FIRST_BACK_OFF, LONGEST_BACK_OFF),
}


class Meter(Protocol):
    """Who counts what the loop does."""

    def looked(self, snapshot: Snapshot, plan: Plan) -> None: ...

    def passed(self, key: ModelKey, seconds: float, outcome: str) -> None: ...

    def gone(self, key: ModelKey) -> None: ...


class Silence:
    """Counts nothing."""

    def looked(self, snapshot: Snapshot, plan: Plan) -> None: ...

    def passed(self, key: ModelKey, seconds: float, outcome: str) -> None: ...

    def gone(self, key: ModelKey) -> None: ...


def look_again(key: ModelKey) -> float:
    """Seconds; another time for each key, or a fleet that was read at once would be looked at in one burst for ever."""
    return LOOK_AGAIN * (0.5 + crc32(str(key).encode()) / 2**33)


class Controller:
    """Runs `decide` over every model of one engine."""

    def __init__(
        self, platform: Platform, queue: Queue, decide: Decide, workers: int = 4, meter: Meter | None = None
    ) -> None:
        self.platform = platform
        self.queue = queue
        self._decide = decide
        self._workers = workers
        self._meter: Meter = meter or Silence()
        self._restless: dict[ModelKey, int] = {}
        self._under_way = 0
        self._ending = False
        self._calm = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled. Marks every known key dirty first."""
        for each in tuple(self.platform.keys()):
            self.queue.schedule(each, 0)
        async with asyncio.TaskGroup() as workers:
            for number in range(self._workers):
                workers.create_task(self._work(), name=f"reconcile-{number}")

    async def drain(self, patience: float) -> bool:
        """Begin no further pass; whether those under way have ended within so many seconds, each write answered."""
        self._ending = True
        try:
            async with asyncio.timeout(patience):
                while self._under_way:
                    self._calm.clear()
                    await self._calm.wait()
        except TimeoutError:
            return False
        return True

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            if self._ending:
                return
            self._under_way += 1
            try:
                await self.turn(key)
            finally:
                self._under_way -= 1
                self._calm.set()
            await asyncio.sleep(0)  # a pass that writes nothing waits for nothing: thousands would starve the lease

    async def turn(self, key: ModelKey) -> None:
        """One pass over one taken key, and its return to the queue, whatever happens in between."""
        began = perf_counter()
        outcome = "ok"
        try:
            async with asyncio.timeout(PASS_TIMEOUT):
                again = await self.reconcile(key)
        except Exception as fault:  # the one broad catch: a bad model must not stop the others
            outcome = self._put_off(key, fault)
        else:
            self.queue.done(key, again)
        self._meter.passed(key, perf_counter() - began, outcome)

    def _put_off(self, key: ModelKey, fault: Exception) -> str:
        kind = next(kind for kind in type(fault).__mro__ if kind in _BACK_OFF)
        outcome, level, first, most = _BACK_OFF[kind]
        delay = self.queue.failed(key, first, most)
        unforeseen = fault if outcome == "error" else None
        log.log(level, "%s: %s, again in %.2f s: %s", key, outcome, delay, fault, exc_info=unforeseen)
        return outcome

    async def reconcile(self, key: ModelKey) -> float | None:
        """One pass; in how many seconds to look again, None if nothing of the model exists any more."""
        snapshot = await self.platform.observe(key)
        plan = self._decide(snapshot)
        self._meter.looked(snapshot, plan)
        if plan.again:  # a timer of the plan does not wait for the back-off of a write that fails
            self.queue.schedule(key, (plan.again - snapshot.now).total_seconds())
        self.queue.add_in(key, (plan.grace - snapshot.now).total_seconds() if plan.grace else None)
        await self._apply(key, plan, snapshot)
        if not (snapshot.versions or snapshot.deployments or snapshot.route) and plan.changes_nothing:
            self._restless.pop(key, None)
            self._meter.gone(key)
            return None
        if plan.record or plan.route:
            return self._at_once(key)
        self._restless.pop(key, None)
        return look_again(key)

    def _at_once(self, key: ModelKey) -> float:
        """What was recorded or sent elsewhere is followed in the next pass: now, but not if it goes on for ever."""
        passes = self._restless[key] = self._restless.get(key, 0) + 1
        if passes < RESTLESS_AFTER:
            return 0.0
        if passes == RESTLESS_AFTER:
            log.error("%s: recorded something in %d passes in a row; slowing down", key, passes)
        return RESTLESS_DELAY

    async def _apply(self, key: ModelKey, plan: Plan, snapshot: Snapshot) -> None:
        """Effects in the order of the Plan's fields, then each record with the events that it tells.

        A conflict ends the pass: what was decided upon is no more. Any other fault ends the effects (a
        refusal only its own), but not the record: that depends on what was observed, not on success.
        """
        fault = await self._carry_out(key, plan)
        for version in snapshot.versions:
            if version.name in plan.record:
                await self.platform.record(key, version, plan.record[version.name])
                await self._tell(key, (event for event in plan.events if event.version == version.name))
        if fault is not None:
            raise fault

    async def _tell(self, key: ModelKey, events: Iterable[Event]) -> None:
        for event in events:
            await self.platform.emit(key, event)

    async def _route(self, key: ModelKey, change: RouteChange) -> None:
        await self.platform.route(key, change)
        await self._tell(key, change.events)

    async def _carry_out(self, key: ModelKey, plan: Plan) -> Unavailable | Refused | None:
        refusal: Refused | None = None
        for effect in self._effects(key, plan):
            try:
                await effect()
            except Unavailable as fault:
                return TrafficUnwritable(str(fault)) if plan.route is not None else fault
            except Refused as fault:
                refusal = refusal or fault
        return refusal

    def _effects(self, key: ModelKey, plan: Plan) -> Iterator[Callable[[], Awaitable[None]]]:
        if plan.route is not None:
            yield partial(self._route, key, plan.route)
        yield from (partial(self.platform.scale, key, scale) for scale in plan.scale)
        yield from (partial(self.platform.deploy, key, deploy) for deploy in plan.deploy)
        yield from (partial(self.platform.retire, key, retire) for retire in plan.retire)
        yield from (partial(self.platform.own, key, own) for own in plan.own)
        yield from (partial(self.platform.probe, key, probe) for probe in plan.probe)
        if plan.poll is not None:
            yield partial(self.platform.poll, key, plan.poll)
        yield from (partial(self.platform.complain, key, complaint) for complaint in plan.complaints)

"""Two operators on one cluster, each a process of its own: the real election on a Lease, the real order of things of
`turnout.main`, and requests that take their time and arrive whatever has become of who sent them.

Each can be stopped (SIGSTOP), killed, told to end, or cut off from the server; their clocks differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import Context, ContextVar
from typing import Any, cast
from unittest.mock import Mock, patch

from tests.simulation.cluster import Check, Cluster
from tests.simulation.process import RESTART, TRY_AGAIN, Line, Process, Weather
from tests.simulation.server import Server
from tests.simulation.stopping import Gate, StoppableLoop
from tests.virtual import VirtualLoop
from turnout import main
from turnout.controller.election import Election
from turnout.platform.kubernetes.calls import TIMEOUT, Calls, Raw, seconds_for, unfenced
from turnout.platform.kubernetes.lease import KubernetesLease
from turnout.platform.kubernetes.resources import LEASES, Resource
from turnout.platform.kubernetes.watching import Watches
from turnout.platform.protocol import Unavailable

LEASE = "turnout", "turnout"
READS = {"get", "list"}
BOUND = {"apply", "create", "patch"}
"""Writes that the server refuses if somebody else has written since: a fence is not all that they have."""
SLACK = 1.95  # seconds between the last moment at which a leader may send and the first at which another may lead
NEW_POD = 3.0  # seconds from the clean end of one to the next
OFFSETS = {"a": 0.0, "b": 1e6}  # of the two machines' uptimes
Fence = Callable[[], float]


class Road(Weather):
    """Between one replica and the server. `delay`: seconds that a request is under way. `cut`: nothing is answered.

    `hold`: seconds that the next write bound to what was read hangs somewhere, whatever becomes of who sent it.
    `stop`: at which call the process is stopped, "before" its first byte or "after" it.
    """

    delay = 0.0
    hold = 0.0
    cut = False
    stop: tuple[int, str] | None = None


class SlowLine(Line):
    """A line on which a request is under way for a while: it arrives though its sender was stopped or killed meanwhile.

    One that its sender gives up before it arrives is not carried out: the connection was closed.
    """

    def __init__(self, member: Member, fence: Fence) -> None:
        self.member = member
        self.road = member.replica.road
        self._fence = fence
        super().__init__(member.replica.pair.server, self.road, member.replica.dies)

    async def _call(self, method: str, resource: Resource, name: str, act: Callable[[], Any]) -> Any:
        await self._unless_dead("")
        what, verb = f"{method} {resource.plural} {name}".rstrip(), "GET" if method in READS else method
        seconds = seconds_for(verb, what, TIMEOUT, self._fence)
        await self._perhaps_stopped("before")
        if verb != "GET" and self._fence() <= 0:  # as connection.fenced_by looks once more
            raise Unavailable(f"{what} is not sent: this operator does not lead any more")
        flight = Flight(self, method, resource, what, act)
        try:
            async with asyncio.timeout(seconds):
                await self._perhaps_stopped("after")
                return await flight.answer
        except TimeoutError:
            raise Unavailable(f"{what}: no answer") from None
        finally:
            flight.is_given_up = not self.is_cut

    async def _perhaps_stopped(self, moment: str) -> None:
        number, when = self.road.stop or (-1, "")
        if when == moment and number <= len(self.road.calls) - (moment == "after"):
            self.road.stop = None
            self.member.gate.shut()
        await asyncio.sleep(0)

    def carry_out(self, act: Callable[[], Any]) -> Any:
        self._server.writer = "operator"
        try:
            return act()
        finally:
            self._server.writer = ""


class Flight:
    """One request from its first byte to its answer; what happens to it happens outside of the process."""

    def __init__(self, line: SlowLine, method: str, resource: Resource, what: str, act: Callable[[], Any]) -> None:
        self._line = line
        self._act = act
        self._what = what
        self._writes = method not in READS and resource is not LEASES
        self._hangs = False
        self._sent = line.member.replica.pair.loop.time()
        self.is_given_up = False
        road, loop = line.road, line.member.replica.pair.loop
        self.answer: asyncio.Future[Any] = loop.create_future()
        waiting = road.refusals.get((method, resource.plural))
        self._refusal = waiting.pop(0) if waiting else None
        number, moment = road.kill or (-1, "")
        self._dies = moment if number == len(road.calls) else ""
        road.calls.append(what)
        if self._dies == "before":
            line.member.replica.dies()
        elif not road.cut:
            loop.call_later(self._delay(method), self._arrives, context=Context())

    def _delay(self, method: str) -> float:
        road = self._line.road
        if not (road.hold and self._writes and method in BOUND):
            return road.delay
        self._hangs = True
        seconds, road.hold = road.hold, 0.0
        return seconds

    @property
    def _is_lost(self) -> bool:
        """Too late, of a process that can give up nothing any more: what comes all the same is the story of `hold`."""
        stands = self._line.member.gate.is_shut or self._line.is_cut
        return stands and self._line.member.replica.pair.loop.time() - self._sent > SLACK

    def _arrives(self) -> None:
        member = self._line.member
        if not self._hangs and (self.is_given_up or self._is_lost):
            return
        if self._writes and not self._hangs:
            member.replica.pair.writes(member.election.identity, self._what)
        fault: Exception | None = self._refusal
        found: Any = None
        try:
            found = None if fault else self._line.carry_out(self._act)
        except Exception as answer:  # whatever the server says
            fault = answer
        if self._dies:
            member.replica.dies()
        elif not self.answer.done() and not self._line.road.cut:
            self.answer.set_exception(fault) if fault else self.answer.set_result(found)


class Unseen:
    """Watches are the simulation's own."""

    trouble = ""

    async def run(self) -> None:
        await asyncio.Event().wait()


_TOLD: ContextVar[asyncio.Event] = ContextVar("told")


async def _told_to_end() -> None:
    await _TOLD.get().wait()


class Member(Process):
    """One run of a replica: it looks, waits for the Lease, and works for as long as it leads."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.gate = Gate()
        self.context = self.gate.context
        self.told = asyncio.Event()
        self.context.run(_TOLD.set, self.told)
        pair = replica.pair
        super().__init__(pair.server, replica.road, pair.loop, *pair.acts(replica), pair.images)

    def _connect(self, server: Server, weather: Weather, died: Callable[[], None]) -> Line:
        pair, offset = self.replica.pair, OFFSETS[self.replica.name]
        self._lease_line = SlowLine(self, unfenced)
        lease = KubernetesLease(cast("Calls", self._lease_line), *LEASE)
        self.election = Election(lease, self.replica.identity, clock=lambda: pair.loop.time() + offset)
        return SlowLine(self, self.election.seconds_left if pair.is_fenced else unfenced)

    async def _run(self) -> None:
        operator = main.Operator(self.platform, cast("Watches", Unseen()), self.controller, self.election)
        anew = await operator.run()
        self.replica.pair.loop.call_later(
            TRY_AGAIN if anew else NEW_POD, self.replica.follows, self, anew, context=Context()
        )

    def kill(self) -> None:
        self._lease_line.is_cut = True
        super().kill()
        self.gate.open()  # a stopped one dies too


class Replica:
    """A pod: it keeps its name when its process dies, and is replaced by another when it ends."""

    def __init__(self, pair: Pair, name: str) -> None:
        self.pair = pair
        self.name = name
        self.road = Road()
        self.pods = 1
        self.member = Member(self)

    @property
    def identity(self) -> str:
        return f"{self.name}-{self.pods}"

    def dies(self) -> None:
        """At a call of its own."""
        self.road.kill = None
        self.pair.deaths += 1
        self.pair.loop.call_soon(self.kill, context=Context())

    def kill(self) -> None:
        """kill -9; its container starts anew."""
        killed = self.member
        killed.kill()
        self.pair.loop.call_later(RESTART, self.follows, killed, True, context=Context())

    def follows(self, former: Member, is_same_pod: bool) -> None:
        if self.member is former:
            former.kill()
            self.pods += not is_same_pod
            self.member = Member(self)


class Pair(Cluster):
    """A cluster with two replicas; what befalls "the operator" befalls the one that was picked last."""

    def __init__(self, check: Check | None = None, *, is_fenced: bool = True) -> None:
        self.is_fenced = is_fenced
        self.holder = ""
        self.terms: list[str] = []
        self._patched = ExitStack()
        self._patched.enter_context(patch.object(main, "told_to_end", _told_to_end))
        self._patched.enter_context(patch.object(main, "gc", Mock()))  # the garbage here is not of one process
        super().__init__(check)

    def close(self) -> None:
        super().close()
        self._patched.close()

    def _new_loop(self) -> VirtualLoop:
        return StoppableLoop()

    def _begin_all(self) -> None:
        self.server.watchers.append(self._takes)
        self.replicas = tuple(Replica(self, name) for name in OFFSETS)
        self.pick(0)

    def acts(self, replica: Replica) -> tuple[Any, ...]:
        return self._decide, self._answer, self._read, replica.dies, self.faults.append

    @property
    def processes(self) -> tuple[Process, ...]:
        return tuple(replica.member for replica in self.replicas)

    @property
    def weathers(self) -> tuple[Weather, ...]:
        return tuple(replica.road for replica in self.replicas)

    @property
    def leader(self) -> Replica | None:
        """Who holds the Lease, and lives."""
        return next((each for each in self.replicas if each.identity == self.holder), None)

    def pick(self, number: int) -> Replica:
        self.picked = self.replicas[number]
        self.weather = self.picked.road
        return self.picked

    def restart_operator(self) -> None:
        self.picked.kill()

    def heal_all(self) -> None:
        """Both run, and are heard."""
        for each in self.replicas:
            each.road.cut, each.road.delay, each.road.hold, each.road.stop = False, 0.0, 0.0, None
            each.member.gate.open()

    # -- the Lease

    def delete_lease(self) -> None:
        self.server.remove(LEASES, LEASE[1], LEASE[0])

    def _takes(self, resource: Resource, event: str, raw: Raw) -> None:
        holder = raw["spec"]["holderIdentity"] if resource is LEASES and event != "DELETED" else ""
        if holder and holder != self.holder:
            self.holder = holder
            self.terms.append(holder)

    def writes(self, who: str, what: str) -> None:
        """Of every write that arrives, whatever the server answers: it is of the one who took the Lease last."""
        if who != self.holder:
            at = f"{self.loop.time():.2f}"
            self.faults.append(AssertionError(f"two write in one epoch: at {at} {who}, {what!r}, in {self.holder}'s"))

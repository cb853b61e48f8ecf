"""The operator as a process: the real engine and the real loop, on a line to the server that may be cut at any call."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import Context
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from tests.simulation.server import Server
from turnout.controller.queue import Queue
from turnout.controller.reconcile import Controller, Decide, Silence
from turnout.judge.protocol import Poll
from turnout.platform.kubernetes.calls import Calls, Page, Raw
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.kubernetes.resources import WATCHED, Resource
from turnout.platform.kubernetes.warmups import Warmups
from turnout.platform.protocol import Refused, Unavailable
from turnout.rollout.plan import PollRequest, ProbeRequest
from turnout.rollout.snapshot import ModelKey, Probe

RELIST = 300.0  # seconds, as the process does it
LOOK_FOR_MISSING = 20.0
RESTART = 0.2  # seconds from a kill to the next process
TRY_AGAIN = 2.0

Answer = Callable[[ProbeRequest], Probe | None]
Kill = tuple[int, str]
"""The number of an API call, and "before" or "after" it took effect."""


class Weather:
    """What stands between an operator and its server, whichever process it is. All calm unless a story says so.

    `lag`: seconds by which the watch of a kind is late. `deaf`: kinds whose watch has silently ended.
    `refusals`: the next calls of (method, plural) answer so instead. `kill`: at which call the process dies.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.lag: dict[Resource, float] = {}
        self.deaf: set[Resource] = set()
        self.refusals: dict[tuple[str, str], list[Exception]] = defaultdict(list)
        self.kill: Kill | None = None
        self.skew = 0.0  # seconds by which the operator's clock is ahead of the cluster's


class Line:
    """What `Calls` is to the engine. Each call is counted; the process may die before it, or before its answer."""

    def __init__(self, server: Server, weather: Weather, died: Callable[[], None]) -> None:
        self._server = server
        self._weather = weather
        self._died = died
        self.is_cut = False

    async def get(self, resource: Resource, namespace: str, name: str) -> Raw:
        return await self._call("get", resource, name, lambda: self._server.get(resource, namespace, name))

    async def pages(self, resource: Resource, namespace: str = "") -> AsyncIterator[Page]:
        yield await self._call("list", resource, "", lambda: self._server.list_all(resource, namespace))

    async def create(self, resource: Resource, namespace: str, body: Raw) -> Raw:
        name = str(body.get("reason") or body["metadata"]["name"])  # what an event tells, else whose body it is
        return await self._call("create", resource, name, lambda: self._server.create(resource, namespace, body))

    async def apply(self, resource: Resource, body: Raw, *, sub: str = "", force: bool = True) -> Raw:
        name = body["metadata"]["name"]
        return await self._call(
            "apply", resource, name, lambda: self._server.apply(resource, body, sub=sub, force=force)
        )

    async def merge(self, resource: Resource, namespace: str, name: str, body: Raw, *, sub: str = "") -> Raw:
        return await self._call("merge", resource, name, lambda: self._server.merge(resource, namespace, name, body))

    async def patch(self, resource: Resource, namespace: str, name: str, body: list[Raw]) -> Raw:
        return await self._call("patch", resource, name, lambda: self._server.patch(resource, namespace, name, body))

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> Raw:
        return await self._call("delete", resource, name, lambda: self._server.delete(resource, namespace, name, uid))

    async def _call(self, method: str, resource: Resource, name: str, act: Callable[[], Any]) -> Any:
        await self._unless_dead("")
        await asyncio.sleep(0)
        weather = self._weather
        number = len(weather.calls)
        weather.calls.append(f"{method} {resource.plural} {name}".rstrip())
        await self._unless_dead("before" if weather.kill == (number, "before") else "")
        waiting = weather.refusals.get((method, resource.plural))
        if waiting:
            raise waiting.pop(0)
        self._server.writer = "operator"
        try:
            return act()
        finally:  # also of a call that is refused
            self._server.writer = ""
            await self._unless_dead("after" if weather.kill == (number, "after") else "")

    async def _unless_dead(self, moment: str) -> None:
        if moment:
            self._weather.kill = None
            self.is_cut = True
            self._died()
        if self.is_cut:
            await asyncio.Future()  # the process is no more; who waits for it is swept away with it


class Watches:
    """Watch events on their way to one process, in order within a kind, as late as the weather has it."""

    def __init__(
        self,
        weather: Weather,
        loop: asyncio.AbstractEventLoop,
        seen: Callable[..., None],
        context: Context | None = None,
    ) -> None:
        self._weather = weather
        self._loop = loop
        self._seen = seen
        self._context = context  # of the process that hears them
        self._coming: dict[Resource, deque[tuple[str, Raw]]] = {resource: deque() for resource in WATCHED}
        self._last: dict[Resource, float] = dict.fromkeys(WATCHED, 0.0)
        self.closed = False

    def __call__(self, resource: Resource, event: str, raw: Raw) -> None:
        if self.closed or resource not in self._coming or resource in self._weather.deaf:
            return
        due = max(self._last[resource], self._loop.time() + self._weather.lag.get(resource, 0.0))
        self._last[resource] = due
        self._coming[resource].append((event, raw))
        self._loop.call_at(due, self._arrive, resource, context=self._context)

    def _arrive(self, resource: Resource) -> None:
        event, raw = self._coming[resource].popleft()
        if not self.closed:
            self._seen(resource, event, raw)


class ScriptedWarmups(Warmups):
    """Answers after a moment, as the story says; None: not yet."""

    def __init__(self, dirty: Callable[[ModelKey], None], loop: asyncio.AbstractEventLoop, answer: Answer) -> None:
        super().__init__(dirty)
        self._tell = dirty
        self._loop = loop
        self._answer = answer
        self._asked: set[str] = set()

    def begin(self, key: ModelKey, request: ProbeRequest, address: str, stands: Callable[[], bool] = bool) -> None:
        if request.revision_uid not in self._asked:
            self._asked.add(request.revision_uid)
            self.results[request.revision_uid] = Probe(request.revision_uid, done=False)
            self._loop.call_later(0.2, self._end, key, request)

    def _end(self, key: ModelKey, request: ProbeRequest) -> None:
        probe = self._answer(request)
        if probe is None:
            self._loop.call_later(1.0, self._end, key, request)
        else:
            self.results[request.revision_uid] = probe
            self._tell(key)

    def forget_all_but(self, uids: set[str]) -> None:
        self.results = {uid: probe for uid, probe in self.results.items() if uid in uids}


class Engine(KubernetesPlatform):
    """The real one, but for its source of evidence: that answers as the story says, a moment later."""

    read: Callable[[PollRequest], Poll | None]
    _is_reading = False

    async def poll(self, key: ModelKey, request: PollRequest) -> None:
        if not self._is_reading:
            self._is_reading = True
            asyncio.get_running_loop().call_later(0.1, self._has_read, key, request)

    def _has_read(self, key: ModelKey, request: PollRequest) -> None:
        self._is_reading = False
        if poll := self.read(request):
            self._polls.last[key] = poll
            self._dirty(key)


class Listener(Silence):
    """Hears of passes that ended as nobody had foreseen."""

    def __init__(self, broke: Callable[[BaseException], None]) -> None:
        self._broke = broke

    def passed(self, key: ModelKey, seconds: float, outcome: str) -> None:
        if outcome == "error":
            self._broke(AssertionError(f"a pass over {key} ended with an error that nobody foresaw; see the log"))


class Process:
    """One run of the operator: lists, watches, workers; ends with `kill`. It writes alone, and so leads nobody."""

    context: Context | None = None

    def __init__(
        self,
        server: Server,
        weather: Weather,
        loop: asyncio.AbstractEventLoop,
        decide: Decide,
        answer: Answer,
        read: Callable[[PollRequest], Poll | None],
        died: Callable[[], None],
        broke: Callable[[BaseException], None],
        images: Mapping[str, str],
    ) -> None:
        self._server = server
        self._loop = loop
        self._line = self._connect(server, weather, died)
        queue = Queue(loop.time, jitter=lambda: 1.0)
        now: Callable[[], datetime] = partial(_skewed, server, weather)
        calls = cast("Calls", self._line)
        self.platform = Engine(calls, queue.add, images=images, now=now)
        self.platform.read = read
        self.platform._warmups = ScriptedWarmups(queue.add, loop, answer)
        self.controller = Controller(self.platform, queue, decide, 2, Listener(broke))
        self._watches = Watches(weather, loop, self.platform.feed.observe, self.context)
        server.watchers.append(self._watches)
        self._task = loop.create_task(self._run(), context=self.context)

    def _connect(self, server: Server, weather: Weather, died: Callable[[], None]) -> Line:
        return Line(server, weather, died)

    @property
    def is_dead(self) -> bool:
        return self._line.is_cut

    async def _run(self) -> None:
        while not await self._listed():  # noqa: ASYNC110 – nobody tells when the server is back
            await asyncio.sleep(TRY_AGAIN)
        async with asyncio.TaskGroup() as work:
            work.create_task(self.controller.run())
            work.create_task(self._relist())

    async def _relist(self) -> None:
        while True:
            await asyncio.sleep(LOOK_FOR_MISSING if self.platform.feed.missing else RELIST)
            await self._listed()

    async def _listed(self) -> bool:
        try:
            await self.platform.refresh()
        except (Unavailable, Refused):
            return False
        return True

    def kill(self) -> None:
        """kill -9: nothing of it runs any more, whatever it was about to do. It dies once."""
        if self._watches.closed:
            return
        self._line.is_cut = self._watches.closed = True
        self._server.watchers.remove(self._watches)
        self._task.cancel()

    def fault(self) -> BaseException | None:
        """What broke it off, if it did not end by a kill."""
        return self._task.exception() if self._task.done() and not self._task.cancelled() else None


def _skewed(server: Server, weather: Weather) -> datetime:
    return server.now() + timedelta(seconds=weather.skew)

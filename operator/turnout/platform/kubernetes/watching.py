"""Watches: one for each kind and namespace, from the moment of its list on, for as long as the process lives.

A watch that ends goes on where it was; one whose past the API server has forgotten (410) begins with a list, which
finds what went while nobody looked. Only a kind that is served no more is an end. What an event says is the feed's.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from turnout.platform.kubernetes.calls import BOOKMARK, Calls, Expired, NotServed
from turnout.platform.kubernetes.feed import Feed
from turnout.platform.kubernetes.resources import WATCHED, Resource
from turnout.platform.protocol import Conflict, Refused, Unavailable

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds; nobody drops a dead canary while no watch runs
STEADY = 1.0  # seconds; one that lasted that long was well
DEAF_AFTER = 30.0  # seconds without a watch, until it is told

log = logging.getLogger(__name__)


class Watch:
    """Feeds what happens to one kind in one namespace ("": in all)."""

    def __init__(
        self, calls: Calls, feed: Feed, resource: Resource, namespace: str = "", clock: Callable[[], float] = monotonic
    ) -> None:
        self._calls = calls
        self._feed = feed
        self._resource = resource
        self._namespace = namespace
        self._clock = clock
        self._since = feed.listed_at(resource, namespace)
        self._fault = ""
        self._failing_since = 0.0
        self._pause = FIRST_PAUSE

    def __str__(self) -> str:
        where = f" in namespace {self._namespace}" if self._namespace else ""
        return f"the watch of {self._resource}{where}"

    @property
    def trouble(self) -> str:
        """Why nothing has been heard for some time; empty while all is well."""
        deaf = bool(self._fault) and self._clock() - self._failing_since > DEAF_AFTER
        return f"{self} does not work: {self._fault}" if deaf else ""

    async def run(self) -> None:
        """Follow until cancelled; raises `NotServed` where the kind is gone."""
        expired = False
        while True:
            began = self._clock()
            try:
                if expired:
                    await self._begin_anew()
                expired = False
                await self._follow()
            except NotServed:
                raise
            except Expired:
                log.info("%s goes on from a list: what it had heard last is too old", self)
                expired = True
                continue
            except (Unavailable, Refused, Conflict) as fault:
                self._failed(str(fault))
            if self._clock() - began > STEADY:
                self._pause = FIRST_PAUSE
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _begin_anew(self) -> None:
        await self._feed.relist(self._resource, self._namespace)
        self._since = self._feed.listed_at(self._resource, self._namespace)

    async def _follow(self) -> None:
        async for change in self._calls.watch(self._resource, self._namespace, self._since):
            self._heard()
            if change.kind != BOOKMARK:
                self._feed.observe(self._resource, change.kind, change.raw)
            self._since = change.resource_version

    def _heard(self) -> None:
        if self._fault:
            log.info("%s works again", self)
            self._fault = ""

    def _failed(self, fault: str) -> None:
        if not self._fault:
            self._failing_since = self._clock()
        if fault != self._fault:
            log.warning("%s broke off and is begun again: %s", self, fault)
        self._fault = fault


class Watches:
    """All of them, for the kinds that the cluster serves."""

    def __init__(self, calls: Calls, feed: Feed) -> None:
        self._calls = calls
        self._feed = feed
        self._all: tuple[Watch, ...] = ()

    @property
    def trouble(self) -> str:
        """What the first of them that is deaf suffers from; empty while all is well."""
        return next((trouble for watch in self._all if (trouble := watch.trouble)), "")

    async def run(self) -> None:
        """Follow until cancelled; raises what ends one of them. After the lists: each goes on where its list ended."""
        served = (resource for resource in WATCHED if resource not in self._feed.missing)
        places = [(resource, namespace) for resource in served for namespace in self._feed.places]
        self._all = tuple(Watch(self._calls, self._feed, *place) for place in places)
        try:
            async with asyncio.TaskGroup() as tasks:
                for watch in self._all:
                    tasks.create_task(watch.run(), name=str(watch))
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from faults

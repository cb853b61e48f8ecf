"""Evidence in the background: one read at a time for each model; the last one is part of the next Snapshot.

Both engines use it. It knows where numbers come from and when they are asked for, never what they mean; a source
that cannot be read is an answer too, so that nobody waits in the dark.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

import aiohttp

from turnout.evidence import pods
from turnout.evidence.pods import Target
from turnout.evidence.prometheus import Entry, Prometheus
from turnout.judge.protocol import Poll
from turnout.rollout.plan import PollRequest
from turnout.rollout.snapshot import ModelKey

log = logging.getLogger(__name__)

Find = Callable[[ModelKey, str], Sequence[Target]]
"""The ready pods of a revision, by its name; none for "" or one that is gone."""
NO_SOURCES: Mapping[str, Entry] = MappingProxyType({})
UNFORESEEN = "the operator could not read it, see its log"
SHOWN = 200  # characters of a fault that are quoted


class Polls:
    """`last`: by model, the poll that was read last, also of a rollout that is over. `dirty`: told of each new one.

    `counts_pods`: counters are the pods' own, also where a Prometheus is named: it is asked custom queries alone.
    """

    def __init__(
        self,
        dirty: Callable[[ModelKey], None],
        find: Find,
        sources: Mapping[str, Entry] = NO_SOURCES,
        *,
        counts_pods: bool = False,
    ) -> None:
        self.last: dict[ModelKey, Poll] = {}
        self._dirty = dirty
        self._find = find
        self._counts_pods = counts_pods
        self._sources = {name: Prometheus(entry) for name, entry in sources.items()}
        self._reading: dict[ModelKey, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def begin(self, key: ModelKey, request: PollRequest) -> None:
        """Read both sides now, unless they are being read or have been for this moment."""
        if key in self._reading or answers(self.last.get(key), request):
            return
        task = asyncio.create_task(self._read(key, request), name=f"poll of {key}")
        self._reading[key] = task
        task.add_done_callback(lambda _: self._reading.pop(key, None))

    def forget_all_but(self, keys: set[ModelKey]) -> None:
        for key in self.last.keys() - keys:
            del self.last[key]

    async def close(self) -> None:
        tasks = tuple(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def _read(self, key: ModelKey, request: PollRequest) -> None:
        try:
            found = await self._ask(key, request)
        except Exception as fault:  # whatever it is, the rollout is told that it has no numbers
            log.exception("%s: the poll broke off", key)
            found = Poll(at=request.at, trouble=f"{UNFORESEEN}: {type(fault).__name__}: {str(fault)[:SHOWN]}")
        self.last[key] = replace(
            found,
            canary_uid=request.canary.uid,
            stable_uid=request.stable.uid,
            weight=request.weight,
            weight_since=request.weight_since if self._reads_pods(request) else held_since(request),
        )
        self._dirty(key)

    def _reads_pods(self, request: PollRequest) -> bool:
        named = request.analysis.source.prometheus
        return not named or (self._counts_pods and named in self._sources)

    async def _ask(self, key: ModelKey, request: PollRequest) -> Poll:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        named = request.analysis.source.prometheus
        if self._reads_pods(request):
            sides = (self._find(key, request.canary.name), self._find(key, request.stable.name))
            counted = await pods.poll(self._session, request.at, *sides)
            return await self._sources[named].beside(self._session, request, counted) if named else counted
        if named in self._sources:
            found = await self._sources[named].poll(self._session, key.namespace, request)
            ours, theirs = (self._find(key, side.name) for side in (request.canary, request.stable))
            return replace(found, canary_ends=pods.ends(ours, found.at), stable_ends=pods.ends(theirs, found.at))
        known = ", ".join(sorted(self._sources)) or "none"
        sentence = f"spec.analysis.source.prometheus: {named} is not among the operator's sources ({known})"
        return Poll(at=request.at, trouble=f"{sentence}; name one of them, or leave source out to read the pods")


def held_since(request: PollRequest) -> datetime | None:
    """Since when the split has held in what a Prometheus has. It scrapes at moments of its own, by a clock of its own:
    what it has at a moment may be of up to an interval before, when the split was still another.
    """
    return request.weight_since + request.analysis.interval.delta if request.weight_since else None


def answers(poll: Poll | None, request: PollRequest) -> bool:
    """Whether a poll is the answer to this very request: of this moment, of these revisions."""
    if poll is None or poll.at < request.at:
        return False
    return (poll.canary_uid, poll.stable_uid) == (request.canary.uid, request.stable.uid)

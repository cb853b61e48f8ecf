"""Warm-ups in the background: one at a time for each revision; what they found is part of the next Snapshot."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import aiohttp

from turnout.platform import probing
from turnout.rollout.plan import ProbeRequest
from turnout.rollout.snapshot import ModelKey, Probe

PAUSE_AFTER_FAULT = 2.0  # seconds; the same answer would break it off again
ADDRESS_PATIENCE = 3.0  # seconds; longer than any address took that came at all
ADDRESS_LOOK = 0.1  # seconds
REQUEST_TIMEOUT = 60.0  # seconds; of one request, the whole warm-up has its own

log = logging.getLogger(__name__)


class Warmups:
    """`gateway`: where versions' own addresses are reached from outside of the cluster; empty inside of it."""

    def __init__(self, dirty: Callable[[ModelKey], None], gateway: str = "") -> None:
        self.results: dict[str, Probe] = {}
        self._dirty = dirty
        self._gateway = gateway
        self._running: dict[str, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def begin(
        self, key: ModelKey, request: ProbeRequest, address: str, stands: Callable[[], bool] = lambda: True
    ) -> None:
        """Begin, or go on with, the warm-up of a revision at its version's own address, once that stands."""
        uid = request.revision_uid
        if uid not in self._running:
            self.results[uid] = Probe(uid, done=False)
            task = asyncio.create_task(self._run(key, request, address, stands), name=f"warm-up of {request.revision}")
            self._running[uid] = task
            task.add_done_callback(lambda task: self._ended(key, uid, task))

    def _ended(self, key: ModelKey, uid: str, task: asyncio.Task[None]) -> None:
        """A warm-up that broke off is begun again by the next pass, since its result still says that it is not done."""
        del self._running[uid]
        if not task.cancelled() and (fault := task.exception()):
            log.error("%s: the %s broke off", key, task.get_name(), exc_info=fault)
            asyncio.get_running_loop().call_later(PAUSE_AFTER_FAULT, self._dirty, key)

    def of(self, uids: set[str]) -> Mapping[str, Probe]:
        return {uid: probe for uid, probe in self.results.items() if uid in uids}

    def forget_all_but(self, uids: set[str]) -> None:
        for uid in self.results.keys() - uids:
            del self.results[uid]
            if task := self._running.get(uid):
                task.cancel()

    async def close(self) -> None:
        for task in tuple(self._running.values()):
            task.cancel()
        if self._session:
            await self._session.close()

    async def _run(self, key: ModelKey, request: ProbeRequest, address: str, stands: Callable[[], bool]) -> None:
        await _wait_for(stands)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT))
        headers = {"Host": address.partition("://")[2]} if self._gateway else None

        def tell(probe: Probe) -> None:
            self.results[request.revision_uid] = probe
            self._dirty(key)

        tell(await probing.probe(self._session, self._gateway or address, request, headers=headers, tell=tell))


async def _wait_for(stands: Callable[[], bool]) -> None:
    """DNS remembers for seconds that a name was missing: so do not ask for it too early, nor wait for ever."""
    for _ in range(round(ADDRESS_PATIENCE / ADDRESS_LOOK)):
        if stands():
            return
        await asyncio.sleep(ADDRESS_LOOK)

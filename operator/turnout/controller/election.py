"""Who of several operators works: one leader by a Lease, the others wait with their caches warm.

The algorithm is client-go's, with our numbers. A candidate measures on its own clock how long the record has stood
still since it saw it change; clocks of two machines are never compared. A leader counts from before it asked to renew,
which is earlier than anybody can have seen the answer, so it has always stopped before another may begin. A record
that is not there is no proof that nobody leads: it may have been deleted by hand, and its holder makes it again at its
next renewal. So who finds none waits as long as for a silent holder, unless there is nothing yet to lead over.

It knows no Kubernetes and does no work of a leader; whoever writes asks `seconds_left` first.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from turnout.platform.lease import Lease, LeaseStore
from turnout.platform.protocol import Conflict, Refused, Unavailable

log = logging.getLogger(__name__)


def clock() -> float:
    """Seconds that pass while the machine sleeps, too: a suspended one must not believe that it still leads."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A takeover from one who says nothing more costs `lease` and at most one `look`."""

    lease: int = 8  # that a record must stand still before another may take it
    write: float = 7.0  # after a renewal: every write has ended, answered or cut off
    begin: float = 6.0  # after a renewal: no write begins any more, and the leader has given up
    renew: float = 2.0  # between renewals
    answer: float = 2.0  # that a renewal may take; what hangs longer is asked anew
    again: float = 0.5  # after a renewal that failed
    look: float = 1.0  # between two looks of those who wait


class Election:
    """One candidate. `identity` is a pod, or a process: two that may live at once must never share one."""

    def __init__(
        self, store: LeaseStore, identity: str, timing: Timing = Timing(), clock: Callable[[], float] = clock
    ) -> None:
        self.identity = identity
        self._store = store
        self._timing = timing
        self._clock = clock
        self._known: Lease | None = None  # the record as it was last seen
        self._exists = False
        self._still_since: float | None = None  # since when the record, or its absence, stands as it was last seen
        self._renewed: float | None = None  # when the last renewal that succeeded was asked for; None: not the leader
        self._tried = clock()

    @property
    def leads(self) -> bool:
        return self.seconds_left() > 0

    @property
    def leader(self) -> str:
        """Who leads, as far as is known; empty for nobody."""
        return self._known.holder if self._known else ""

    @property
    def epoch(self) -> int:
        return self._known.epoch if self._known else 0

    @property
    def silent(self) -> float:
        """For how many seconds this candidate has not even tried: the heartbeat of the election."""
        return self._clock() - self._tried

    def seconds_left(self) -> float:
        """How long a write that begins now may take; 0: none may begin."""
        if self._renewed is None:
            return 0.0
        age = self._clock() - self._renewed
        return self._timing.write - age if age < self._timing.begin else 0.0

    async def acquire(self, idle: Callable[[], bool] = lambda: False) -> None:
        """Wait until this candidate leads. `idle`: there is nothing that a leader could have written to."""
        while not await self._take(idle):
            free_in = self._patience() - self._still()
            await asyncio.sleep(min(self._timing.look, free_in) if free_in > 0 else self._timing.again)
        log.info("%s leads, epoch %d", self.identity, self.epoch)

    async def hold(self) -> None:
        """Renew for as long as that works; returns when the lease is lost, and then no write can begin any more."""
        pause = self._timing.renew
        while True:
            await asyncio.sleep(pause)
            pause = self._timing.renew if await self._renew() else self._timing.again
            if not self.leads:
                self._renewed = None
                log.error("%s leads no longer, after epoch %d", self.identity, self.epoch)
                return

    async def release(self) -> None:
        """Let others lead at once. Only for a leader whose last write has been answered."""
        mine = self._known
        if not self.leads or mine is None:
            return
        self._renewed = None
        try:
            async with asyncio.timeout(self._timing.answer):
                record = await self._store.read()  # a renewal that was broken off may have been written
                if record and (record.holder, record.epoch) == (mine.holder, mine.epoch):
                    await self._store.write(replace(record, holder="", seconds=1), record)
        except (Conflict, Unavailable, Refused, TimeoutError) as fault:
            log.warning("the lease was not released and runs out by itself: %s", str(fault) or "no answer in time")

    async def _take(self, idle: Callable[[], bool]) -> bool:
        try:
            async with asyncio.timeout(2 * self._timing.answer):
                self._tried = self._clock()
                self._see(await self._store.read())
                if not self._is_free(idle):
                    return False
                began = self._clock()
                wish = Lease(self.identity, self._timing.lease, self.epoch + 1)
                self._known = await self._store.write(wish, self._known if self._exists else None)
        except Conflict:  # somebody was faster
            return False
        except (Unavailable, Refused, TimeoutError) as fault:
            log.warning("the lease cannot be taken: %s", str(fault) or "no answer in time")
            return False
        self._exists, self._renewed, self._still_since = True, began, began
        return True

    def _see(self, record: Lease | None) -> None:
        """Take in the record; the holder of one that has gone may still work."""
        changed = record.said != self._known.said if record and self._known else record is not None or self._exists
        if changed or self._still_since is None:
            self._still_since = self._clock()
        self._exists = record is not None
        self._known = record or self._known

    def _is_free(self, idle: Callable[[], bool]) -> bool:
        """Nobody holds it, or our own former process did, which is dead, or its holder has been silent for too long."""
        if self._exists and self.leader in ("", self.identity):
            return True
        if not self._exists and self._known is None and idle():
            return True
        return self._still() >= self._patience()

    def _still(self) -> float:
        """For how many seconds nothing has changed; 0 before the first look."""
        return self._clock() - self._still_since if self._still_since is not None else 0.0

    def _patience(self) -> float:
        """The holder's own word counts where it is longer: it may be of another release."""
        return max(self._timing.lease, self._known.seconds if self._known else 0)

    async def _renew(self) -> bool:
        began = self._tried = self._clock()
        if not self.leads:  # this process has stood still, or nobody has answered it
            return False
        assert self._known is not None
        try:
            async with asyncio.timeout(self._timing.answer):
                self._known = await self._store.write(self._known, self._known if self._exists else None)
        except Conflict:
            return await self._look_who()
        except (Unavailable, Refused, TimeoutError) as fault:
            log.warning("the lease was not renewed: %s", str(fault) or "no answer in time")
            return False
        self._exists, self._renewed = True, began
        return True

    async def _look_who(self) -> bool:
        """Somebody has touched the record: an annotation does no harm, another holder is the end. Renews nothing."""
        try:
            async with asyncio.timeout(self._timing.answer):
                record = await self._store.read()
        except (Conflict, Unavailable, Refused, TimeoutError) as fault:
            log.warning("the lease cannot be read: %s", str(fault) or "no answer in time")
            return False
        assert self._known is not None
        self._exists = record is not None
        if record is not None:
            if (record.holder, record.epoch) != (self._known.holder, self._known.epoch):
                self._renewed = None
            self._known = record
        return False

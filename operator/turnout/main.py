"""The operator's process: what is wired to what, how it starts and how it ends."""

import asyncio
import gc
import logging
import signal
import sys
from contextlib import suppress
from functools import partial
from time import sleep

from turnout.controller.election import Election
from turnout.controller.guarding import Guarded
from turnout.controller.health import application, serve
from turnout.controller.metrics import Metrics
from turnout.controller.queue import Queue
from turnout.controller.reconcile import Controller
from turnout.judge.sequential import SequentialJudge
from turnout.platform.kubernetes.calls import Calls
from turnout.platform.kubernetes.connection import connect, identity, own_namespace, way
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.kubernetes.lease import KubernetesLease
from turnout.platform.kubernetes.watching import Watches
from turnout.platform.protocol import Refused, Unavailable
from turnout.rollout.decide import decide
from turnout.settings import Settings, parse

RELIST = 1800.0  # seconds; a watch loses nothing, and a list of everything finds it if one did
LOOK_FOR_MISSING = 20.0  # seconds; while the cluster lacks a kind
TRY_AGAIN = 2.0  # seconds; while the first lists fail
LAST_WRITES = 3.0  # seconds that a leader who is told to end waits for its passes, before it lets others lead

log = logging.getLogger("turnout")


def main(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT; returns the exit code.

    Where it leads no longer, or the cluster serves other kinds than before, it starts over with a new event loop and
    an empty cache: of a term as leader nothing must be left.
    """
    _configure_logging(settings.verbose)
    who = identity()
    with suppress(KeyboardInterrupt):
        while asyncio.run(operate(settings, who)):
            sleep(TRY_AGAIN)
    return 0


async def operate(settings: Settings, who: str) -> bool:
    """Wire everything, then work until told to end; whether to start over."""
    gc.unfreeze()  # a former term's
    to = way()
    async with connect(to, who) as unfenced:  # of its own: a renewal waits behind nobody's writes
        lease = KubernetesLease(unfenced, settings.lease_namespace or own_namespace(), settings.lease)
        election = Election(lease, who)
        async with connect(to, who, election.seconds_left) as calls:
            return await _operate(settings, calls, election)


async def _operate(settings: Settings, calls: Calls, election: Election) -> bool:
    queue = Queue(crowd=max(1, settings.workers // 2))
    platform = KubernetesPlatform(
        calls,
        queue.add,
        answered=partial(queue.schedule, delay=0.0),
        images=settings.images,
        namespaces=settings.namespaces,
        gateway=settings.version_gateway,
        domain=settings.cluster_domain,
        sources=settings.sources,
    )
    metrics = Metrics(queue, lambda: election.leads)
    judged = partial(decide, judge=Guarded(SequentialJudge()))
    controller = Controller(platform, queue, judged, settings.workers, metrics)
    operator = Operator(platform, Watches(calls, platform.feed), controller, election)
    pages = await serve(application(queue, metrics, election, operator.lacking), settings.health_port)
    try:
        return await operator.run()
    finally:
        await platform.close()
        await pages.cleanup()


class Operator:
    """The order of things: lists first, then watches; then, for the one that leads, fresh lists and workers."""

    def __init__(
        self, platform: KubernetesPlatform, watches: Watches, controller: Controller, election: Election
    ) -> None:
        self._platform = platform
        self._watches = watches
        self._controller = controller
        self._election = election
        self._lacking = "the first lists have not been read"

    def lacking(self) -> str:
        """Why the operator is not ready; empty when it is. A missing KServe is told in status, not here."""
        return self._lacking or self._watches.trouble

    async def run(self) -> bool:
        """Work until told to end; True where it must be begun anew."""
        telling = asyncio.create_task(told_to_end(), name="told to end")
        tasks = [asyncio.create_task(self._prime(), name="first lists")]
        try:
            await asyncio.wait((telling, *tasks), return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                return False
            works = {"watches": self._watches.run(), "lists": self._relist(), "term": self._lead()}
            tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
            await asyncio.wait((telling, *tasks), return_when=asyncio.FIRST_COMPLETED)
            return await self._end(*tasks)
        finally:
            await _cancel(telling, *tasks)

    async def _end(
        self, watching: asyncio.Task[None], listing: asyncio.Task[None], leading: asyncio.Task[None]
    ) -> bool:
        """Whether one of them ended by itself. Our own work ends before the watches do."""
        over = watching.done() or listing.done() or leading.done()
        drained = not leading.done() and await self._controller.drain(LAST_WRITES)
        ends = await _cancel(leading, listing, watching)
        if drained:  # else somebody's last write may still be on its way: the lease runs out by itself
            await self._election.release()
        for fault in ends:  # a kind that has gone
            if isinstance(fault, Exception):
                log.warning("the work broke off and begins anew in %.0f s: %s", TRY_AGAIN, fault)
        return over

    async def _prime(self) -> None:
        gc.disable()  # nothing of a list is garbage, and to look for it is half of what it costs
        try:
            await self._refresh_at_last()
        finally:
            gc.enable()
        gc.collect()
        gc.freeze()  # what was listed stays: the collector need not go through all of it again and again
        self._lacking = ""
        if trouble := self._platform.feed.trouble:
            log.warning("%s; looking again every %.0f s", trouble.message, LOOK_FOR_MISSING)

    async def _lead(self) -> None:
        """Wait for the lease, then work for as long as it is held.

        What the former leader wrote last may not have come by a watch yet: no pass before lists of now.
        """
        await self._election.acquire(idle=lambda: not any(self._platform.keys()))
        holding = asyncio.create_task(self._election.hold(), name="lease")
        working = asyncio.create_task(self._work(), name="workers")
        try:
            await asyncio.wait((holding, working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ends = await _cancel(working, holding)
        for fault in ends:
            if isinstance(fault, Exception):
                raise fault

    async def _work(self) -> None:
        await self._refresh_at_last()
        await self._controller.run()

    async def _refresh_at_last(self) -> None:
        """Whoever decides has seen everything: no pass before full lists."""
        while True:
            try:
                return await self._platform.refresh()
            except (Unavailable, Refused) as fault:
                log.warning("the lists cannot be read, again in %.0f s: %s", TRY_AGAIN, fault)
                if self._lacking:
                    self._lacking = f"the first lists cannot be read: {fault}"
                await asyncio.sleep(TRY_AGAIN)

    async def _relist(self) -> None:
        """Full lists each half hour, until the cluster serves other kinds than before."""
        missing = self._platform.feed.missing
        while self._platform.feed.missing == missing:
            await asyncio.sleep(LOOK_FOR_MISSING if missing else RELIST)
            try:
                await self._platform.refresh()
            except (Unavailable, Refused) as fault:
                log.warning("the lists cannot be read, again in %.0f s: %s", RELIST, fault)
        log.info("the cluster serves other kinds than before")


async def told_to_end() -> None:
    """Returns at SIGTERM or SIGINT; a second one ends the process at once."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    try:
        await told.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _cancel(*tasks: asyncio.Task[None]) -> list[BaseException | None]:
    """How each has ended."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


def _configure_logging(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("aiohttp", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main(parse()))

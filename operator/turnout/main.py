"""The operator's process: what is wired to what, how it starts and how it ends."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import sleep

from turnout import watch
from turnout.controller.election import Election
from turnout.controller.health import application, serve
from turnout.controller.metrics import Metrics
from turnout.controller.queue import Queue
from turnout.controller.reconcile import Controller
from turnout.judge.sequential import SequentialJudge
from turnout.platform.kubernetes.calls import Calls
from turnout.platform.kubernetes.connection import connect, identity, own_namespace
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.kubernetes.lease import KubernetesLease
from turnout.platform.protocol import Refused, Unavailable
from turnout.rollout.decide import decide
from turnout.settings import Settings, parse

RELIST = 300.0  # seconds; what a watch has lost is found by then
LOOK_FOR_MISSING = 20.0  # seconds; while the cluster lacks a kind
TRY_AGAIN = 2.0  # seconds; while the first lists fail
LAST_WRITES = 3.0  # seconds that a leader who is told to end waits for its passes, before it lets others lead

log = logging.getLogger("turnout")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until SIGTERM or SIGINT; returns the exit code.

    Where its watches break, it leads no longer, or the cluster serves other kinds than before, it starts over with a
    new event loop and an empty cache: kopf, when it ends, takes every task along that was begun while it ran, and of
    a term as leader nothing must be left.
    """
    settings = parse(arguments)
    _configure_logging(settings.verbose)
    who = identity()
    with suppress(KeyboardInterrupt):
        while asyncio.run(operate(settings, who)):
            sleep(TRY_AGAIN)
    return 0


async def operate(settings: Settings, who: str) -> bool:
    """Wire everything, then work until told to end; whether to start over."""
    async with connect(who) as unfenced:  # of its own: a renewal waits behind nobody's writes
        lease = KubernetesLease(unfenced, settings.lease_namespace or own_namespace(), settings.lease)
        election = Election(lease, who)
        async with connect(who, election.seconds_left) as calls:
            return await _operate(settings, calls, election)


async def _operate(settings: Settings, calls: Calls, election: Election) -> bool:
    queue = Queue()
    platform = KubernetesPlatform(
        calls,
        queue.add,
        images=settings.images,
        namespaces=settings.namespaces,
        gateway=settings.version_gateway,
        domain=settings.cluster_domain,
        sources=settings.sources,
    )
    metrics = Metrics(queue, lambda: election.leads)
    judged = partial(decide, judge=SequentialJudge())
    controller = Controller(platform, queue, judged, settings.workers, metrics)
    operator = Operator(settings, platform, controller, election)
    pages = await serve(application(queue, metrics, election, operator.lacking), settings.health_port)
    try:
        return await operator.run()
    finally:
        await platform.close()
        await pages.cleanup()


class Operator:
    """The order of things: lists first, then watches; then, for the one that leads, fresh lists and workers."""

    def __init__(
        self, settings: Settings, platform: KubernetesPlatform, controller: Controller, election: Election
    ) -> None:
        self._settings = settings
        self._platform = platform
        self._controller = controller
        self._election = election
        self._primed = False

    def lacking(self) -> str:
        """Why the operator is not ready; empty when it is. A missing KServe is told in status, not here."""
        return "" if self._primed else "the first lists have not been read"

    async def run(self) -> bool:
        """Work until told to end; True where it must be begun anew."""
        await self._refresh_at_last()
        self._primed = True
        if trouble := self._platform.feed.trouble:
            log.warning("%s; looking again every %.0f s", trouble.message, LOOK_FOR_MISSING)
        stop = asyncio.Event()
        watches = watch.watch(self._platform.feed, self._settings.namespaces, stop)
        watching = asyncio.create_task(watches, name="watches")
        listing = asyncio.create_task(self._relist(), name="lists")
        leading = asyncio.create_task(self._lead(), name="term")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait((watching, listing, leading, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over = listing.done() or leading.done()
            drained = not leading.done() and await self._controller.drain(LAST_WRITES)
            stop.set()
            for task in (listing, leading, stopping):
                task.cancel()
            ends = await asyncio.gather(listing, leading, stopping, return_exceptions=True)
            if drained:  # else somebody's last write may still be on its way: the lease runs out by itself
                await self._election.release()
            (end,) = await asyncio.gather(watching, return_exceptions=True)
        faults = [fault for fault in (*ends, end) if isinstance(fault, Exception)]
        for fault in faults:  # a kind that has gone, a right that was taken away
            log.warning("the work broke off and begins anew in %.0f s: %s", TRY_AGAIN, fault)
        return bool(faults) or over

    async def _lead(self) -> None:
        """Wait for the lease, then work for as long as it is held.

        What the former leader wrote last may not have come by a watch yet: no pass before lists of now.
        """
        await self._election.acquire()
        holding = asyncio.create_task(self._election.hold(), name="lease")
        working = asyncio.create_task(self._work(), name="workers")
        try:
            await asyncio.wait((holding, working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, holding):
                task.cancel()
            ends = await asyncio.gather(working, holding, return_exceptions=True)
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
                await asyncio.sleep(TRY_AGAIN)

    async def _relist(self) -> None:
        """Full lists every few minutes, until the cluster serves other kinds than before."""
        missing = self._platform.feed.missing
        while self._platform.feed.missing == missing:
            await asyncio.sleep(LOOK_FOR_MISSING if missing else RELIST)
            try:
                await self._platform.refresh()
            except (Unavailable, Refused) as fault:
                log.warning("the lists cannot be read, again in %.0f s: %s", RELIST, fault)
        log.info("the cluster serves other kinds than before")


def _configure_logging(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("kopf", "aiohttp", "asyncio", "kubernetes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # kopf tells each of five tries of each of eight watches; the last one is enough
    logging.getLogger("kopf._cogs.clients.watching").addFilter(lambda told: "will retry" not in told.getMessage())


if __name__ == "__main__":
    sys.exit(main())

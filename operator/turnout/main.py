"""The operator's process: what is wired to what, how it starts and how it ends."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import sleep

from turnout import watch
from turnout.controller.health import application, serve
from turnout.controller.metrics import Metrics
from turnout.controller.queue import Queue
from turnout.controller.reconcile import Controller
from turnout.judge.nobody import NoJudge
from turnout.platform.kubernetes.connection import connect
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.protocol import Refused, Unavailable
from turnout.rollout.decide import decide
from turnout.settings import Settings, parse

RELIST = 300.0  # seconds; what a watch has lost is found by then
LOOK_FOR_MISSING = 20.0  # seconds; while the cluster lacks a kind
TRY_AGAIN = 2.0  # seconds; while the first lists fail

log = logging.getLogger("turnout")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until SIGTERM or SIGINT; returns the exit code.

    Where its watches break, or the cluster serves other kinds than before, it starts over with a new event loop and
    an empty cache: kopf, when it ends, takes every task along that was begun while it ran.
    """
    settings = parse(arguments)
    _configure_logging(settings.verbose)
    with suppress(KeyboardInterrupt):
        while asyncio.run(operate(settings)):
            sleep(TRY_AGAIN)
    return 0


async def operate(settings: Settings) -> bool:
    """Wire everything, then work until told to end; whether to start over."""
    async with connect() as calls:
        queue = Queue()
        platform = KubernetesPlatform(
            calls,
            queue.add,
            images=settings.images,
            namespaces=settings.namespaces,
            gateway=settings.version_gateway,
        )
        metrics = Metrics(queue)
        judged = partial(decide, judge=NoJudge())
        operator = Operator(settings, platform, Controller(platform, queue, judged, settings.workers, metrics))
        pages = await serve(application(queue, metrics, operator.lacking), settings.health_port)
        try:
            return await operator.run()
        finally:
            await platform.close()
            await pages.cleanup()


class Operator:
    """The order of things: lists first, then watches and workers."""

    def __init__(self, settings: Settings, platform: KubernetesPlatform, controller: Controller) -> None:
        self._settings = settings
        self._platform = platform
        self._controller = controller
        self._primed = False

    def lacking(self) -> str:
        """Why the operator is not ready; empty when it is. A missing KServe is told in status, not here."""
        return "" if self._primed else "the first lists have not been read"

    async def run(self) -> bool:
        """Work until told to end; True where it must be begun anew."""
        await self._prime()
        stop = asyncio.Event()
        watches = watch.watch(self._platform.feed, self._settings.namespaces, stop)
        watching = asyncio.create_task(watches, name="watches")
        listing = asyncio.create_task(self._relist(), name="lists")
        working = asyncio.create_task(self._controller.run(), name="workers")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait((watching, listing, working, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            served_otherwise = listing.done()
            stop.set()
            for task in (listing, working, stopping):
                task.cancel()
            ends = await asyncio.gather(watching, listing, working, stopping, return_exceptions=True)
        faults = [end for end in ends if isinstance(end, Exception)]
        for fault in faults:  # a kind that has gone, a right that was taken away
            log.warning("the work broke off and begins anew in %.0f s: %s", TRY_AGAIN, fault)
        return bool(faults) or served_otherwise

    async def _prime(self) -> None:
        """Whoever decides has seen everything: no pass before the first full lists."""
        while True:
            try:
                await self._platform.refresh()
                break
            except (Unavailable, Refused) as fault:
                log.warning("the lists cannot be read, again in %.0f s: %s", TRY_AGAIN, fault)
                await asyncio.sleep(TRY_AGAIN)
        self._primed = True
        if trouble := self._platform.feed.trouble:
            log.warning("%s; looking again every %.0f s", trouble.message, LOOK_FOR_MISSING)

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

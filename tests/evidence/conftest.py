"""A real Prometheus, and a predictor's own metrics for it to scrape.

The binary is the machine's own, or comes out of Debian's package, which is unpacked into the cache and never installed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from turnout_predictors.telemetry.metrics import Metrics

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turnout" / "prometheus"
JOBS = 5  # what each world has scraped: three pods, and one of them twice more under another namespace


@pytest.fixture(scope="session")
def prometheus_binary() -> Path:
    known = shutil.which("prometheus") or shutil.which(str(CACHE / "usr/bin/prometheus"))
    if known is None:
        known = _unpacked()
    if known is None:
        sentence = "needs a prometheus on the PATH, or apt-get to fetch Debian's package"
        if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return Path(known)


def _unpacked() -> str | None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(["apt-get", "download", "-q", "prometheus"], cwd=CACHE, capture_output=True)
    if fetched.returncode and os.geteuid() == 0:  # it may know of no archive yet
        subprocess.run(["apt-get", "update", "-q"], capture_output=True)
        subprocess.run(["apt-get", "download", "-q", "prometheus"], cwd=CACHE, capture_output=True)
    for package in sorted(CACHE.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(CACHE)], check=True, capture_output=True)
        package.unlink()
    return shutil.which(str(CACHE / "usr/bin/prometheus"))


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
    jobs = [job(f"{name}", target, f"/{name}", name) for name in pods]
    jobs.append(job("a-second-look", target, "/old-2", "old-2", namespace="twice"))
    jobs.append(job("a-first-look", target, "/old-2", "old-2", namespace="twice"))
    with serving(prometheus_binary, tmp_path, unused_tcp_port, jobs):
        yield made
    await runner.cleanup()


def job(name: str, target: str, path: str, pod: str, namespace: str = "support") -> dict[str, object]:
    labels = {"namespace": namespace, "pod": pod}
    return {"job_name": name, "metrics_path": path, "static_configs": [{"targets": [target], "labels": labels}]}


class serving:  # noqa: N801 – reads as a verb
    """A Prometheus that scrapes each second, until the block ends."""

    def __init__(self, binary: Path, folder: Path, port: int, jobs: list[dict[str, object]]) -> None:
        every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        (folder / "prometheus.yml").write_text(yaml.safe_dump({"global": every, "scrape_configs": jobs}))
        self._command = [
            str(binary),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._log = folder / "prometheus.log"

    def __enter__(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made

"""What a minute of judging asks of others: requests that the operator's own sources send, counted where they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from benchmarks.report import Row
from turnout.api.analysis import Analysis
from turnout.api.status import RevisionStatus
from turnout.evidence import pods
from turnout.evidence.prometheus import Entry, Prometheus
from turnout.rollout.plan import PollRequest

BEGAN = datetime(2026, 11, 21, 10, 41, tzinfo=UTC)
ANALYSIS = Analysis()
INTERVAL = ANALYSIS.interval.delta
MOMENTS = [BEGAN + INTERVAL * number for number in range(round(60 / INTERVAL.total_seconds()))]
CANARY, STABLE = RevisionStatus(name="new", uid="n"), RevisionStatus(name="old", uid="o")


@dataclass
class Counter:
    """Answers whatever it is asked, with nothing, and counts."""

    asked: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if request.path == "/metrics":
            return web.Response(text="")
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}})


def asking(sizes: Sequence[int] = (1, 10, 100)) -> list[Row]:
    """Per minute, of models that are judged at the same time in one namespace, with one and with three pods a side."""
    return asyncio.run(_counted(sizes))


async def _counted(sizes: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    for models in sizes:
        queries = await _of_prometheus(models)
        of_pods = {f"pods, {each} a side": await _of_pods(models, each) for each in (1, 3)}
        rows.append({"models judged": models, "prometheus": queries, **of_pods})
    return rows


async def _of_prometheus(models: int) -> int:
    async with _serving(counter := Counter()) as (url, session):
        source = Prometheus(Entry("cluster", url))
        for at in MOMENTS:
            await asyncio.gather(*(source.poll(session, "support", _request(at, model)) for model in range(models)))
    return counter.asked


def _request(at: datetime, model: int) -> PollRequest:
    return PollRequest(f"model{model}-2", at, None, CANARY, STABLE, ANALYSIS, 10, None)


async def _of_pods(models: int, a_side: int) -> int:
    async with _serving(counter := Counter()) as (url, session):
        for at in MOMENTS:
            for model in range(models):
                canary, stable = (
                    [pods.Target(f"{side}-{model}-{pod}", side, f"{url}/metrics", BEGAN) for pod in range(a_side)]
                    for side in (CANARY.name, STABLE.name)
                )
                await pods.poll(session, at, canary, stable)
    return counter.asked


@asynccontextmanager
async def _serving(counter: Counter) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", counter.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            yield f"http://127.0.0.1:{port}", session
    finally:
        await runner.cleanup()

"""The operator's own three pages: /livez, /readyz, /metrics. They tell; they change nothing."""

from collections.abc import Callable

from aiohttp import web

from turnout.controller.metrics import Metrics
from turnout.controller.queue import Queue

STUCK_AFTER = 180.0  # seconds that a due model may wait for a worker; a pass ends within 120


def application(queue: Queue, metrics: Metrics, is_ready: Callable[[], str]) -> web.Application:
    """`is_ready` says what is still missing, in a sentence; empty when nothing is."""

    async def livez(_: web.Request) -> web.Response:
        overdue = queue.overdue
        if overdue > STUCK_AFTER:
            return web.Response(status=503, text=f"no worker has taken a due model for {overdue:.0f} s\n")
        return web.Response(text=f"ok: {queue.depth} due, the first for {overdue:.1f} s\n")

    async def readyz(_: web.Request) -> web.Response:
        lacking = is_ready()
        return web.Response(status=503 if lacking else 200, text=f"{lacking or 'ok'}\n")

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    return app


async def serve(app: web.Application, port: int) -> web.AppRunner:
    """Listen on every address; the runner's `cleanup` ends it."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner

"""The operator's own three pages: /livez, /readyz, /metrics. They tell; they change nothing."""

from collections.abc import Callable

from aiohttp import web

from turnout.controller.election import Election
from turnout.controller.metrics import Metrics
from turnout.controller.queue import Queue

STUCK_AFTER = 180.0  # seconds that a due model may wait for a worker; a pass ends within 120
SILENT_AFTER = 60.0  # seconds without a try to hold or to take the lease; each try ends within 4


def application(queue: Queue, metrics: Metrics, election: Election, is_ready: Callable[[], str]) -> web.Application:
    """`is_ready` says what is still missing, in a sentence; empty when nothing is."""

    def stuck() -> str:
        """Only a leader has workers; on standby models are due for as long as another leads."""
        if election.leads:
            overdue = queue.overdue
            return f"no worker has taken a due model for {overdue:.0f} s" if overdue > STUCK_AFTER else ""
        silent = 0.0 if is_ready() else election.silent
        return f"nobody has asked for the lease for {silent:.0f} s" if silent > SILENT_AFTER else ""

    async def livez(_: web.Request) -> web.Response:
        if trouble := stuck():
            return web.Response(status=503, text=f"{trouble}\n")
        work = f"{queue.depth} due, the first for {queue.overdue:.1f} s" if election.leads else "standby"
        return web.Response(text=f"ok: {work}\n")

    async def readyz(_: web.Request) -> web.Response:
        if lacking := is_ready():
            return web.Response(status=503, text=f"{lacking}\n")
        role = "leader" if election.leads else f"standby, {election.leader or 'nobody'} leads"
        return web.Response(text=f"ok: {role}\n")

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

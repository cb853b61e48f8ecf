"""A predictor process of a few milliseconds: the contract of a real one, with faults to order by its settings.

It stands in for `turnout_predictors` where a test is about the engine: real processes, ports, signals and bytes.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

SETTINGS = (
    "start_seconds",  # before it is ready
    "exit_at_start",  # with this code
    "grave",  # exits at its start if this file exists
    "refuse",  # {"reason", "message"}: exit with these last words
    "refuse_with",  # and this code; 78
    "refuse_once",  # only if this file exists
    "crash_after",  # this many inferences
    "hang_after",  # this many inferences one never ends, and readiness is lost
    "status",  # of every inference
    "obeys",  # answers with the status that the header X-Status asks for
    "gate",  # no inference ends before this file exists
    "seconds",  # per inference
    "wrong",  # answers its example otherwise than published
)


class Tiny:
    def __init__(self, name: str, version: str, settings: dict[str, object]) -> None:
        self.name, self.version, self.settings = name, version, settings
        self.began = time.monotonic()
        self.asked = 0
        self.draining = False
        self.busy = 0

    @property
    def hangs(self) -> bool:
        return self.asked > int(str(self.settings.get("hang_after", sys.maxsize)))

    @property
    def ready(self) -> bool:
        return (
            not self.draining
            and not self.hangs
            and time.monotonic() - self.began >= float(str(self.settings.get("start_seconds", 0)))
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                headers = {}
                while (header := await reader.readline()).strip():
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = line.decode().split()
                self.busy += 1
                try:
                    status, body = await self.answer(method, path, headers)
                    data = json.dumps(body).encode()
                    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n"
                    writer.write(f"{head}x-model-version: {self.version}\r\n\r\n".encode() + data)
                    await writer.drain()
                finally:
                    self.busy -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, object]:
        model = f"/v2/models/{self.name}"
        if path == f"{model}/ready":
            return (200 if self.ready else 503), {}
        if path == model:
            tensor = {"name": "x", "datatype": "INT64", "shape": [-1]}
            return 200, {"name": self.name, "versions": [self.version], "inputs": [tensor], "outputs": [tensor]}
        if path == f"{model}/examples":
            return 200, {"examples": [{"request": {}, "response": {"outputs": [{"name": "x", "data": [1]}]}}]}
        if path == f"{model}/infer" and method == "POST":
            return await self.infer(headers)
        return 404, {}

    async def infer(self, headers: dict[str, str]) -> tuple[int, object]:
        self.asked += 1
        if self.asked > int(str(self.settings.get("crash_after", sys.maxsize))):
            os._exit(3)
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(float(str(self.settings.get("seconds", 0))))
        gate = Path(str(self.settings.get("gate", os.devnull)))
        while not gate.exists():  # noqa: ASYNC110 -- a stand-in may poll
            await asyncio.sleep(0.02)
        answer = 2 if self.settings.get("wrong") else 1
        asked = headers.get("x-status") if self.settings.get("obeys") else None
        return int(asked or str(self.settings.get("status", 200))), {
            "outputs": [{"name": "x", "data": [answer]}],
            "version": self.version,
            "pid": os.getpid(),
            "attempt": headers.get("x-turnout-attempt", ""),
        }

    async def drain(self, server: asyncio.Server) -> None:
        self.draining = True
        server.close()
        while self.busy:  # noqa: ASYNC110 -- a stand-in may poll
            await asyncio.sleep(0.01)
        os._exit(0)


async def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("model_name", "model_version", "settings", "http_host"):
        parser.add_argument(f"--{flag}", default="{}")
    parser.add_argument("--http_port", type=int)
    args, _ = parser.parse_known_args()
    settings = json.loads(args.settings)
    if "refuse" in settings and Path(settings.get("refuse_once", os.devnull)).exists():
        Path(os.environ["TURNOUT_TERMINATION_LOG"]).write_text(json.dumps(settings["refuse"]), "utf-8")
        sys.exit(settings.get("refuse_with", 78))
    if "exit_at_start" in settings:
        print("tiny gives up", file=sys.stderr)
        sys.exit(int(settings["exit_at_start"]))
    if Path(settings.get("grave", os.devnull)).is_file():
        sys.exit("tiny is dead for good")
    tiny = Tiny(args.model_name, args.model_version, settings)
    server = await asyncio.start_server(tiny.serve, args.http_host, args.http_port, backlog=1024)
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []
    loop.add_signal_handler(signal.SIGTERM, lambda: draining.append(loop.create_task(tiny.drain(server))))
    await asyncio.Event().wait()


asyncio.run(main())

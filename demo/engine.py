"""The real `turnout up` as a child process, and what it has written down."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from turnout.cli.local_world import LocalWorld, local_tree
from turnout.view.account import Account, account_of
from turnout.view.tree import Tree, VersionView

START_SECONDS, STOP_SECONDS = 30.0, 20.0
IDLE = "3s"


class EngineError(Exception):
    """The engine does not do what the story needs; says what, and where its log is."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as the engine told it. `at` is Unix time."""

    at: float
    model: str
    version: str
    reason: str
    message: str


def free_port(wished: int) -> int:
    """The wished port, or another one if somebody has it."""
    for port in (wished, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return int(probe.getsockname()[1])
    raise EngineError("no free port on 127.0.0.1")


class Engine:
    """Use as a context: leaving it ends the engine and every process that it has started."""

    def __init__(self, folder: Path, versions: Path, port: int) -> None:
        self.folder, self.versions, self.port = folder, versions, port
        self.log = folder.parent / "engine.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        options = ["--state", str(self.folder), "--port", str(self.port), "--idle", IDLE, "--plain"]
        return [sys.executable, "-m", "turnout.cli", "up", str(self.versions), *options]

    async def __aenter__(self) -> "Engine":
        with self.log.open("wb") as log:
            # a session of its own: Ctrl-C reaches the demo alone, which then ends callers and engine in order
            self._process = await asyncio.create_subprocess_exec(
                *self.command, stdout=log, stderr=log, start_new_session=True
            )
        async with asyncio.timeout(START_SECONDS):
            while not (self.folder / "state" / "engine.json").exists():
                self.check()
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), STOP_SECONDS)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def check(self) -> None:
        """Raise if it has ended."""
        if self._process and self._process.returncode is not None:
            words = self.log.read_text("utf-8", "replace").strip().splitlines()
            raise EngineError(f"turnout up has ended: {words[-1] if words else 'it said nothing'} ({self.log})")

    def tree(self) -> Tree:
        self.check()
        return local_tree(self.folder)

    def version(self, name: str) -> VersionView | None:
        versions = (version for model in self.tree().models for version in model.versions)
        return next((version for version in versions if version.name == name), None)

    def accounts(self) -> tuple[Account, ...]:
        """What the judge knows of each version that it has judged."""
        return tuple(filter(None, map(account_of, LocalWorld(self.folder).versions())))

    def happenings(self) -> tuple[Happening, ...]:
        """Everything it has told so far, oldest first."""
        files = sorted((self.folder / "state" / "events").glob("*.json"))
        told = {(each := json.loads(file.read_text("utf-8")))["model"]: each["events"] for file in files}
        return tuple(sorted(_happenings(told), key=lambda happening: happening.at))


def _happenings(told: dict[str, list[dict[str, str]]]) -> Iterator[Happening]:
    for model, events in told.items():
        for event in events:
            at = datetime.fromisoformat(event["time"]).timestamp()
            yield Happening(at, model, event["version"], event["reason"], event["message"])

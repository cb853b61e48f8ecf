"""Fixtures of the data side: a published digits model, an application in process, and real predictor processes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0  # a shared machine may compile beside us


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One keep-alive connection, so that tests see whether it survives."""

    def __init__(self, port: int, timeout: float = 30.0) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        self.connection.request(method, path, raw, dict(headers or {}))
        response = self.connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def get(self, path: str) -> Answer:
        return self.send("GET", path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A predictor process in a session of its own."""

    def __init__(self, folder: Path, flags: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self.termination = folder / "termination"
        self.log = folder / "log"
        own = environment.get("PYTHONPATH", "")
        paths = [str(ROOT / "predictors"), str(folder), own, os.environ.get("PYTHONPATH", "")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "turnout_predictors", f"--http_port={self.port}", *flags],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={
                    **os.environ,
                    "TURNOUT_TERMINATION_LOG": str(self.termination),
                    **environment,
                    "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                },
                start_new_session=True,
            )

    def client(self, timeout: float = 30.0) -> Client:
        return Client(self.port, timeout)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        with self.client() as client:
            return client.send(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def until(self, what: str, holds: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Waits for a fact about the process; fails with its log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if holds():
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        pytest.fail(f"not {what}; exit {self.process.poll()}\n{self.log.read_text()[-3000:]}")

    def ready(self) -> Running:
        self.until("ready", lambda: self.ask("GET", "/v2/health/ready").status == 200)
        return self

    def ended(self, seconds: float = START_SECONDS) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


Start = Callable[..., Running]


@contextlib.contextmanager
def starter(root: Path) -> Iterator[Start]:
    """start("--flag=…", …, ENVIRONMENT="…"); whatever it started is gone afterwards."""
    running: list[Running] = []

    def start(*flags: str, **environment: str) -> Running:
        folder = root / f"process-{len(running)}"
        folder.mkdir()
        running.append(Running(folder, flags, environment))
        return running[-1]

    try:
        yield start
    finally:
        for process in running:
            process.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts predictor processes for one test."""
    with starter(tmp_path) as begin:
        yield begin


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts predictor processes that the tests of one file share."""
    with starter(tmp_path_factory.mktemp("shared")) as begin:
        yield begin


@pytest.fixture(scope="session")
def digits() -> tuple[Any, Any]:
    """Real handwritten digits and a classifier trained on them: (pipeline, rows)."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = load_digits(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, labels), rows


@pytest.fixture(scope="session")
def published(digits: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The digits model as an artifact."""
    from turnout_predictors import publish

    model, rows = digits
    return publish(model, to=tmp_path_factory.mktemp("models") / "digits", example=rows[:3])


class Wire:
    """A transport that keeps what is written, and the answers that are in it."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = self.is_aborted = False
        self.reading = True
        self.unsent = 0
        self.said = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data
        self.said.set()

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(bytes(part) for part in parts))

    def close(self) -> None:
        self.is_closed = True
        self.said.set()

    def abort(self) -> None:
        self.is_aborted = True
        self.close()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def take(self, *, has_body: bool = True) -> Answer | None:
        """The next whole answer."""
        head, found, rest = self.written.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        size = int(headers["content-length"]) if has_body else 0
        if len(rest) < size:
            return None
        self.written = rest[size:]
        return Answer(int(first.split()[1]), headers, rest[:size])


@dataclass
class InProcess:
    """The application on a connection without a socket."""

    app: Any
    lifecycle: Any
    metrics: Any
    settings: Any

    def connect(self) -> tuple[Any, Wire]:
        from turnout_predictors.server.connection import Connection

        connection, wire = Connection(self.app, set(), lambda: None, self.settings), Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]
        return connection, wire

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        chunks: int = 0,
    ) -> Answer:
        """`chunks`: the body's parts in chunked encoding; 0: whole, with its length."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        connection, wire = self.connect()
        connection.data_received(request(method, path, raw, headers or {}, chunks))
        while (answer := wire.take(has_body=method != "HEAD")) is None:
            wire.said.clear()
            await wire.said.wait()
        connection.connection_lost(None)
        return answer


def request(method: str, path: str, raw: bytes, headers: Mapping[str, str], chunks: int = 0) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: x", *(f"{name}: {value}" for name, value in headers.items())]
    if chunks:
        size = max(1, -(-len(raw) // chunks))
        parts = [raw[at : at + size] for at in range(0, len(raw), size)]
        raw = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
        lines.append("transfer-encoding: chunked")
    elif "Content-Length" not in headers:
        lines.append(f"content-length: {len(raw)}")
    return "\r\n".join([*lines, "", ""]).encode() + raw


@pytest.fixture
async def in_process() -> AsyncIterator[Callable[..., InProcess]]:
    """in_process(model=…, timeout_seconds=…): an App around a model on a real model thread; None: still loading."""
    from turnout_predictors.batching import ModelThread, engine_for
    from turnout_predictors.server.app import App, Limits
    from turnout_predictors.server.contract import Contract, metadata
    from turnout_predictors.server.lifecycle import Lifecycle, Serving
    from turnout_predictors.server.settings import DEFAULTS
    from turnout_predictors.telemetry.metrics import Metrics

    threads: list[ModelThread] = []

    def make(
        model: Any = None, *, timeout_seconds: float = 5.0, queue_limit: int = 8, server: Any = DEFAULTS, **trusts: bool
    ) -> InProcess:
        lifecycle = Lifecycle(queue_limit)
        metrics = Metrics("m", "7", "rev-1")
        app = App("m", "7", lifecycle, metrics, Limits(timeout_seconds, server=server, **trusts))
        if model is not None:
            thread = ModelThread(asyncio.get_running_loop())
            thread.start()
            threads.append(thread)
            engine = engine_for(
                model, thread, timeout_seconds=timeout_seconds, queue_limit=queue_limit, observer=metrics
            )
            metrics.queued = engine.queued
            contract = Contract.of(model.signature, model.settings, server)
            described = json.dumps(metadata("m", "7", "test", model.signature)).encode()
            lifecycle.serve(Serving(contract, engine, described, b'{"examples":[]}'))
        return InProcess(app, lifecycle, metrics, server)

    yield make
    for thread in threads:
        thread.stop()

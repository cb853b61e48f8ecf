"""One predictor process from its first byte to its last: open the port, load beside it, serve, drain.

Exit codes: 0 drained, 78 can never start with these arguments, 75 not now (the reason is left behind), 1 the port is
taken.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import math
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import uvloop

from . import runtimes
from .arguments import Arguments
from .artifacts import Artifact, open_artifact
from .artifacts.reference import Reference
from .batching import AsyncModel, Model, ModelThread, Outputs, engine_for
from .errors import LOAD_FAILED, StartError
from .server import aside
from .server.app import App, Limits
from .server.contract import Contract, metadata
from .server.lifecycle import Lifecycle, Serving
from .server.listener import Listener
from .server.logged import open_log
from .server.tenants import LOOK_SECONDS, TenantSettings
from .server.warmup import replay
from .telemetry import termination
from .telemetry.drift import Drift
from .telemetry.metrics import Metrics
from .telemetry.payloads import PayloadLog
from .telemetry.traces import Traces, open_traces

log = logging.getLogger(__name__)

MOST_DESCRIPTORS = 1 << 20
LINGER_TELEMETRY_SECONDS = 5.0  # what was taken in for others to read is sent in that time, or lost
LINGER_SECONDS = 0.2  # kept connections get one last answer that tells them to close


def run(arguments: Arguments, threads: int) -> int:
    """Blocks until the process is drained; returns its exit code."""
    raise_descriptors()
    try:
        listener = listen(arguments.http_host, arguments.http_port)
    except OSError as fault:
        log.error(
            "port %d on %s cannot be opened: %s; choose another with --http_port",
            arguments.http_port,
            arguments.http_host,
            fault.strerror,
        )
        return 1
    if arguments.ignored:
        log.info("flags of kserve's server without a meaning here: %s", ", ".join(arguments.ignored))
    process = Process(arguments, threads)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(process.serve(listener))
    if process.is_busy():
        # An import or a forward still runs on the model thread; an interpreter that winds down under it may crash.
        logging.shutdown()
        os._exit(code)
    return code


def raise_descriptors() -> None:
    """As many open files as this process may have: each idle client holds one, and the usual 1024 are soon gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, MOST_DESCRIPTORS) if hard != resource.RLIM_INFINITY else MOST_DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


@dataclass
class Loaded:
    model: Model | AsyncModel
    artifact: Artifact | None


class Process:
    """Wiring of one process. Nothing here is on the path of a request."""

    def __init__(self, arguments: Arguments, threads: int) -> None:
        self._arguments = arguments
        self._threads = threads
        self._exit_code = 0
        self._thread: ModelThread | None = None
        self._payloads: PayloadLog | None = None
        self._traces: Traces | None = None
        self._metrics = Metrics(arguments.model_name, arguments.model_version, arguments.revision)
        self._metrics.threads("numeric", threads)

    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.busy_since is not None

    async def serve(self, socket_: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        arguments = self._arguments
        lifecycle = Lifecycle(arguments.server.queue_requests)
        limits = Limits(
            arguments.timeout_seconds,
            trust_tenant=arguments.trust_tenant,
            trust_attempt=arguments.trust_attempt,
            server=arguments.server,
        )
        app = App(arguments.model_name, arguments.model_version, lifecycle, self._metrics, limits)
        listener = Listener(app, arguments.server, limits.timeout_seconds)
        ended = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def drain() -> None:
            if not lifecycle.is_draining:
                lifecycle.drain()
                tasks.add(loop.create_task(self._drain(listener, ended)))

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, drain)
        await listener.open(socket_)
        tasks.add(loop.create_task(self._start(lifecycle, ended)))
        try:
            rpc = await self._open_rpc(lifecycle, limits)
        except OSError as fault:
            log.error("%s; choose another with --grpc_port", fault)
            return 1
        except StartError as fault:
            termination.leave(fault)
            return fault.exit_code
        await ended.wait()
        # Every accepted request is answered by then; what is left are clients that never sent the rest of theirs.
        seconds = math.ceil(limits.timeout_seconds)
        await asyncio.gather(listener.close(seconds), *([rpc.stop(seconds)] if rpc is not None else []))
        if self._payloads is not None:
            await asyncio.to_thread(self._payloads.close, LINGER_TELEMETRY_SECONDS)
        if self._traces is not None:
            await asyncio.to_thread(self._traces.close)
        return self._exit_code

    async def _open_rpc(self, lifecycle: Lifecycle, limits: Limits) -> Any:
        """The gRPC server, if there is to be one: nobody else pays for importing it."""
        arguments = self._arguments
        if not arguments.grpc_port:
            return None
        rpc = await asyncio.to_thread(importlib.import_module, "turnout_predictors.rpc.server")
        address = f"{arguments.http_host}:{arguments.grpc_port}"
        tls = None
        if arguments.grpc_tls_cert:
            tls = rpc.Tls(arguments.grpc_tls_cert, arguments.grpc_tls_key, arguments.grpc_tls_client_ca)
        return await rpc.open_port(
            address, arguments.model_name, arguments.model_version, lifecycle, self._metrics, limits, tls
        )

    async def _start(self, lifecycle: Lifecycle, ended: asyncio.Event) -> None:
        """Loads and warms the model; whatever is raised ends the process with its reason left behind."""
        try:
            lifecycle.serve(await self._load())
        except asyncio.CancelledError:
            raise
        except BaseException as fault:  # a process that neither serves nor ends would tell nobody why
            reason = _reason(fault)
            self._exit_code = reason.exit_code
            termination.leave(reason)
            lifecycle.drain()
            ended.set()
            return
        gc.collect()
        gc.freeze()  # what is loaded stays: no collection needs to walk it again
        log.info("%s version %s is ready", self._arguments.model_name, self._arguments.model_version)

    async def _load(self) -> Serving:
        self._thread = thread = ModelThread(asyncio.get_running_loop())
        thread.start()
        loaded = await thread.submit(partial(load, self._arguments, self._threads, self._metrics))
        model, artifact = loaded.model, loaded.artifact
        arguments = self._arguments
        contract = Contract.of(model.signature, model.settings, arguments.server)
        engine = engine_for(
            model,
            thread,
            timeout_seconds=arguments.timeout_seconds,
            queue_limit=arguments.server.queue_requests,
            queue_rows=arguments.server.queue_rows,
            cache_bytes=arguments.server.cache_bytes,
            cache_seconds=arguments.server.cache_seconds,
            observer=self._metrics,
        )
        self._payloads = await thread.submit(partial(open_log, arguments.server, self._metrics.identity))
        if self._payloads is not None:
            self._metrics.payloads = self._payloads.results
        traced = (arguments.server.traces, arguments.server.traces_share, self._metrics.identity)
        self._traces = await thread.submit(partial(open_traces, *traced))
        examples = artifact.examples if artifact else ()
        begun = time.perf_counter()
        await replay(examples, contract, engine, arguments.timeout_seconds)
        self._metrics.phase("warmup", time.perf_counter() - begun)
        self._metrics.info(
            digest=artifact.digest if artifact else "",
            space=model.signature.embedding_space if model.signature else "",
            runtime=arguments.runtime,
            backend=model.platform,
            package=arguments.entrypoint,
        )
        self._metrics.queued = engine.queued
        described = metadata(arguments.model_name, arguments.model_version, model.platform, model.signature)
        return Serving(
            contract,
            engine,
            orjson.dumps(described),
            orjson.dumps({"examples": [example.to_json() for example in examples]}),
            self._drift(artifact.references if artifact else ()),
            self._tenants(contract),
            self._payloads,
            self._traces,
        )

    def _tenants(self, contract: Contract) -> TenantSettings | None:
        """Settings by tenant, if a file has them; it is looked at from time to time."""
        if not self._arguments.tenant_settings:
            return None
        tenants = TenantSettings(Path(self._arguments.tenant_settings), contract.base)
        loop = asyncio.get_running_loop()

        def look() -> None:
            tenants.look()
            loop.call_later(LOOK_SECONDS, look)

        look()
        return tenants

    def _drift(self, references: tuple[Reference, ...]) -> Callable[[Outputs], None] | None:
        """Counts answers in the artifact's bins, if it has any."""
        if not references:
            return None
        drift = Drift(self._metrics.identity, references, aside.run)
        self._metrics.registry.register(drift)
        return drift.count

    async def _drain(self, listener: Listener, ended: asyncio.Event) -> None:
        """Every reply now says `Connection: close`, so clients move away by themselves; then the port closes."""
        log.info("draining: accepting for %g s more", self._arguments.drain_delay)
        await asyncio.sleep(self._arguments.drain_delay)
        await listener.stop_listening()
        await asyncio.sleep(LINGER_SECONDS)
        ended.set()


def _reason(fault: BaseException) -> StartError:
    """What is told of a start that raised; the trace of what nobody foresaw is in the log."""
    if isinstance(fault, StartError):
        return fault
    log.error("the start raised", exc_info=fault)
    return StartError(LOAD_FAILED, f"the start raised {type(fault).__name__}: {fault}; the log has its trace")


def load(arguments: Arguments, threads: int, metrics: Metrics) -> Loaded:
    """Runs on the model thread. StartError for whatever keeps this version from ever loading."""
    clock = _Clock(metrics)
    runtime = runtimes.find(arguments.runtime)
    artifact = None
    if arguments.artifact_uri:
        artifact = open_artifact(arguments.artifact_uri, arguments.artifact_digest)
    clock.ended("pull")
    runtime.import_libraries()
    clock.ended("import")
    start = runtimes.Start(
        arguments.model_name,
        arguments.model_version,
        artifact,
        arguments.settings,
        arguments.entrypoint,
        threads,
    )
    try:
        model = runtime.load(start)
    except StartError:
        raise
    except Exception as fault:  # the model's own code: whatever it raises, this version cannot load
        log.exception("loading raised")
        raise StartError(LOAD_FAILED, f"loading raised {type(fault).__name__}: {fault}") from fault
    clock.ended("load")
    return Loaded(model, artifact)


class _Clock:
    """Seconds of each phase of the start."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._since = time.perf_counter()

    def ended(self, phase: str) -> None:
        now = time.perf_counter()
        self._metrics.phase(phase, now - self._since)
        self._since = now

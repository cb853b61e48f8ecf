"""The path of a prediction: a read exchange becomes Work, its outputs become a reply. Nothing waits on the way.

No task per request: what the engine needs time for ends in one callback.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from turnout_predictors.batching.engine import NOTHING, Outputs, Work
from turnout_predictors.errors import BeyondLimit, InvalidInput, RequestError
from turnout_predictors.telemetry.payloads import PayloadLog
from turnout_predictors.telemetry.traces import CANCELLED, Trace, Traces

from . import aside, embeddings, logged, rerank, v1
from .compression import decompress
from .contract import Contract
from .effective import Effective
from .exchange import Exchange, Header, Reply
from .facade import Translated
from .lifecycle import Lifecycle, Serving
from .replies import refusal
from .request import FRAME, InferRequest, parse
from .response import told, write
from .settings import DEFAULTS, ServerSettings
from .views import with_view

log = logging.getLogger(__name__)
Write = Callable[[Outputs], Reply]
DEADLINE: Final = b"x-request-deadline-ms"
CARRIER: Final = ("traceparent", "tracestate")
FACADES: Final[Mapping[str, Callable[..., Translated]]] = {"embeddings": embeddings.read, "rerank": rerank.read}


@dataclass(frozen=True, slots=True)
class Limits:
    """`timeout_seconds` is the longest a request may take; it is answered a little earlier than it counts
    as hung. `trust_tenant`, `trust_attempt`: the headers X-Tenant, X-Turnout-Attempt come from a gateway that takes
    away what callers write there.
    """

    timeout_seconds: float = 60.0
    trust_tenant: bool = False
    trust_attempt: bool = False
    server: ServerSettings = DEFAULTS

    @property
    def request_seconds(self) -> float:
        return self.timeout_seconds - min(1.0, self.timeout_seconds * 0.05)


class Inference:
    """`finish` gets every exchange with its reply, once, unless its client is lost; `exceeded` the name of each limit
    that a request was beyond.
    """

    def __init__(
        self,
        model: str,
        version: str,
        lifecycle: Lifecycle,
        limits: Limits,
        headers: tuple[Header, ...],
        finish: Callable[[Exchange, Reply], None],
        exceeded: Callable[[str], None],
    ) -> None:
        self._head = {"model_name": model, "model_version": version}
        self._headers = headers
        self._lifecycle = lifecycle
        self._limits = limits
        self._finish = finish
        self._exceeded = exceeded
        self._loop = asyncio.get_running_loop()

    def begin(self, exchange: Exchange) -> None:
        """Raises nothing: faults are replies too."""
        try:
            deadline = self._deadline(exchange)
            serving = self._lifecycle.serving
            if serving is None or _is_worth_leaving(exchange):
                exchange.pending = self._loop.create_task(self._in_time(exchange, deadline))
            else:
                self._submit(exchange, serving, deadline)
        except Exception as fault:  # the caller gets JSON and keeps the connection, whatever it is
            self._fail(exchange, fault)

    async def _in_time(self, exchange: Exchange, deadline: float) -> None:
        """For what has to wait: a body to be unpacked aside, a model that is loading."""
        try:
            if _is_worth_leaving(exchange):
                unpack = partial(self._unpacked, exchange)
                exchange.body = await self._loop.run_in_executor(aside.EXECUTOR, unpack)
                del exchange.headers[b"content-encoding"]
            serving = self._lifecycle.serving
            if serving is None:
                left = deadline - self._loop.time()
                serving = await self._lifecycle.await_serving(left, self._tenant(exchange))
            self._submit(exchange, serving, deadline)
        except Exception as fault:  # as in begin
            self._fail(exchange, fault)

    def _submit(self, exchange: Exchange, serving: Serving, deadline: float) -> None:
        contract = serving.contract
        if serving.traces is not None:
            exchange.trace = self._traced(exchange, serving.traces)
        request, write = self._read(exchange, contract, keeps_body=serving.payloads is not None)
        tenant = self._tenant(exchange)
        effective = serving.settings_for(request.parameters, tenant)
        if request.parameters:
            deadline = min(deadline, self._loop.time() + timeout_of(request))
        work = Work(
            request.inputs,
            request.outputs,
            deadline,
            effective.values,
            request.dims,
            request.id,
            request.parameters,
            NOTHING if contract.signature else _all_headers(exchange),
            tenant,
        )
        if exchange.trace is None:
            pending = serving.engine.submit(work)
        else:
            with exchange.trace.within():
                pending = serving.engine.submit(work)
        exchange.pending = pending
        write = write or partial(self._write, request, contract, effective)
        pending.add_done_callback(partial(self._answered, exchange, write, serving))

    def _answered(self, exchange: Exchange, write: Write, serving: Serving, done: asyncio.Future[Outputs]) -> None:
        if exchange.is_lost or done.cancelled():
            if exchange.trace is not None:
                exchange.trace.end(CANCELLED)
            return
        try:
            outputs = done.result()
            reply = write(outputs)
        except Exception as fault:  # as in begin
            self._fail(exchange, fault)
        else:
            self._finish(exchange, reply)
            if serving.count is not None and not exchange.is_repeat:
                serving.count(outputs)
            if serving.payloads is not None:
                self._log(exchange, reply, serving.payloads)
            if exchange.trace is not None:
                exchange.trace.end(200)

    def _fail(self, exchange: Exchange, fault: Exception) -> None:
        if not isinstance(fault, RequestError):
            log.error("answering %s failed", exchange.target.decode("latin-1"), exc_info=fault)
            fault = RequestError("model_error", f"the server failed with {type(fault).__name__}")
        elif isinstance(fault, BeyondLimit):
            self._exceeded(fault.limit)
        reply = refusal(fault, exchange)
        self._finish(exchange, reply._replace(headers=(*self._headers, *reply.headers)))
        if exchange.trace is not None:
            exchange.trace.end(fault.status, fault.code)
        serving = self._lifecycle.serving
        if serving is not None and serving.payloads is not None:
            self._log(exchange, reply, serving.payloads)

    def _traced(self, exchange: Exchange, traces: Traces) -> Trace:
        given = {name: exchange.headers.get(name.encode(), b"").decode("latin-1") for name in CARRIER}
        path = exchange.target.partition(b"?")[0].decode("latin-1")
        name = f"{exchange.route} {self._head['model_name']}"
        return traces.begin(name, given, exchange.begun, **{"http.request.method": "POST", "url.path": path})

    def _log(self, exchange: Exchange, reply: Reply, payloads: PayloadLog) -> None:
        if not exchange.is_lost:
            limit = self._limits.server.max_body_bytes
            logged.offer(payloads, exchange, reply, self._tenant(exchange), limit)

    # -- in --------------------------------------------------------------------------------------------------

    def _read(self, exchange: Exchange, contract: Contract, *, keeps_body: bool) -> tuple[InferRequest, Write | None]:
        """The request, and how its outputs are written where that is another protocol's way.

        `keeps_body`: binary tensors are no views of it, which a model may write to.
        """
        if exchange.refusal is not None:
            raise exchange.refusal
        body = self._unpacked(exchange)
        if exchange.route == "v1_predict":
            return v1.read(body, contract), partial(v1.write, headers=self._headers)
        if exchange.route in FACADES:
            return FACADES[exchange.route](body, contract, self._head["model_name"], self._headers)
        framed = exchange.headers.get(b"inference-header-content-length")
        if framed is None:
            return parse(body, contract), None
        if not framed.isdigit() or len(framed) > 12:
            raise InvalidInput("must be the number of bytes of JSON before the tensors", FRAME)
        return parse(bytes(body) if keeps_body else body, contract, int(framed)), None

    def _unpacked(self, exchange: Exchange) -> bytes | bytearray:
        encoding = exchange.headers.get(b"content-encoding")
        if encoding is None or encoding.lower() == b"identity":
            return exchange.body
        return decompress(bytes(exchange.body), encoding.lower(), self._limits.server.max_body_bytes)

    def _deadline(self, exchange: Exchange) -> float:
        """On the loop's clock: the server's limit from the request's head on, or less if the caller says so."""
        seconds = self._limits.request_seconds
        given = exchange.headers.get(DEADLINE)
        if given is not None:
            seconds = min(seconds, seconds_of(given))
        return self._loop.time() + seconds - (time.perf_counter() - exchange.begun)

    def _tenant(self, exchange: Exchange) -> str:
        return exchange.headers.get(b"x-tenant", b"").decode("latin-1") if self._limits.trust_tenant else ""

    # -- out -------------------------------------------------------------------------------------------------

    def _write(self, request: InferRequest, contract: Contract, effective: Effective, outputs: Outputs) -> Reply:
        parameters = told(request, contract, effective, outputs)
        if request.shown is not None:
            outputs = with_view(outputs, request.shown)
        return write(self._head, request, outputs, contract.output_types, self._headers, parameters)


def _is_worth_leaving(exchange: Exchange) -> bool:
    """A packed body that may take long to unpack, which is then done beside the loop."""
    packed = b"content-encoding" in exchange.headers and exchange.refusal is None
    return packed and len(exchange.body) > aside.PACKED_BYTES


def seconds_of(given: bytes) -> float:
    """Of the header `DEADLINE`."""
    if not given.isdigit() or len(given) > 12:
        raise InvalidInput("must be whole milliseconds from now", "headers.X-Request-Deadline-Ms")
    return int(given) / 1000


def timeout_of(request: InferRequest) -> float:
    """V2's `timeout` parameter, in microseconds."""
    value = request.parameters.get("timeout")
    if value is None:
        return float("inf")
    if type(value) is not int or value < 0:
        raise InvalidInput("timeout must be whole microseconds", "parameters.timeout")
    return value / 1e6 if value else float("inf")


def _all_headers(exchange: Exchange) -> dict[str, str]:
    """For foreign models, whose predict takes headers."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers.items()}

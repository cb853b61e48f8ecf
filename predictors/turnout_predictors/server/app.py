"""The V2 REST server: which exchange gets which answer. No framework, and nothing imported that a request does
not need.

Every reply is JSON, errors too, and the connection survives them. One model per process.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import orjson

from turnout_predictors.errors import BeyondLimit, RequestError, Unavailable
from turnout_predictors.telemetry.metrics import CONTENT_TYPE, Metrics

from . import aside
from .compression import WORTH_BYTES, accepted, compress
from .exchange import Exchange, Header, Reply
from .inference import Inference, Limits
from .lifecycle import Lifecycle, Serving
from .replies import document, refusal
from .routes import INFER, Routes

__all__ = ["App", "Limits"]

SERVER: Final = "turnout-predictor"
EXTENSIONS: Final = ("binary_tensor_data", "model_repository", "turnout_examples")
ATTEMPT: Final = b"x-turnout-attempt"  # `repeat`: a gateway sent it before, to another version
HTML: Final = b"text/html; charset=utf-8"


class App:
    """See `exchange.Application`. Its only state is the lifecycle's and the number of exchanges under way."""

    def __init__(
        self, model: str, version: str, lifecycle: Lifecycle, metrics: Metrics, limits: Limits | None = None
    ) -> None:
        self._model = model
        self._version = version
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._routes = Routes.of(model, version)
        self._headers: tuple[Header, ...] = ((b"x-model-version", version.encode("latin-1", "replace")),)
        self._limits = limits or Limits()
        self._inference = Inference(
            model, version, lifecycle, self._limits, self._headers, self._finish, metrics.exceeded
        )
        metrics.limits = self._limits.server.limits()
        self._answers: dict[str, Callable[[], Reply]] = {
            "server": self._server,
            "models": lambda: document({"models": [self._model]}),
            "live": lambda: Reply(200, (b'{"live":true}',)),
            "ready": self._ready,
            "metadata": lambda: Reply(200, (self._loaded().metadata,)),
            "model_ready": self._model_ready,
            "examples": lambda: Reply(200, (self._loaded().examples,)),
            "index": self._index,
            "load": self._fixed,
            "unload": self._fixed,
            "v1_models": lambda: document({"models": [self._model]}),
            "v1_model": self._v1_model,
            "metrics": lambda: Reply(200, (self._metrics.exposition(),), (), CONTENT_TYPE),
            "openapi": self._openapi,
            "docs": self._docs,
        }

    def is_closing(self) -> bool:
        return self._lifecycle.is_draining

    def opened(self, exchange: Exchange) -> None:
        try:
            exchange.route = self._routes.resolve(exchange.method, exchange.target)
        except RequestError:
            return  # `read` says so
        if exchange.route in INFER:
            exchange.is_repeat = self._limits.trust_attempt and exchange.headers.get(ATTEMPT) == b"repeat"
            exchange.start = "cold" if self._lifecycle.serving is None else "warm"
            self._metrics.inflight += 1

    def read(self, exchange: Exchange) -> None:
        if exchange.route in INFER:
            self._inference.begin(exchange)
            return
        try:
            if exchange.refusal is not None:
                raise exchange.refusal
            name = exchange.route or self._routes.resolve(exchange.method, exchange.target)
            reply = self._answers[name]()
        except RequestError as fault:
            if isinstance(fault, BeyondLimit):
                self._metrics.exceeded(fault.limit)
            reply = refusal(fault, exchange)
        self._finish(exchange, reply._replace(headers=(*self._headers, *reply.headers)))

    def lost(self, exchange: Exchange) -> None:
        if exchange.pending is not None:
            exchange.pending.cancel()
        if exchange.route in INFER:
            self._metrics.inflight -= 1

    def _finish(self, exchange: Exchange, reply: Reply) -> None:
        if exchange.is_lost:
            return
        encoding = exchange.headers.get(b"accept-encoding")
        chosen = b"" if encoding is None else accepted(encoding)
        size = sum(len(part) for part in reply.parts) if chosen else 0
        if size < WORTH_BYTES:
            self._send(exchange, reply)
        elif size < aside.REPLY_BYTES:
            self._send(exchange, _compressed(reply, chosen))
        else:
            packing = asyncio.get_running_loop().run_in_executor(aside.EXECUTOR, _compressed, reply, chosen)
            exchange.pending = packing
            packing.add_done_callback(partial(self._packed, exchange))

    def _packed(self, exchange: Exchange, done: asyncio.Future[Reply]) -> None:
        if not exchange.is_lost and not done.cancelled():
            self._send(exchange, done.result())

    def _send(self, exchange: Exchange, reply: Reply) -> None:
        exchange.send(exchange, reply)
        if exchange.route in INFER:
            attempt = "repeat" if exchange.is_repeat else "first"
            self._metrics.inflight -= 1
            self._metrics.answered(exchange.start, attempt, reply.status, time.perf_counter() - exchange.begun)

    # -- answers that need no model --------------------------------------------------------------------------

    def _server(self) -> Reply:
        return document({"name": SERVER, "version": own_version(), "extensions": EXTENSIONS})

    def _ready(self) -> Reply:
        is_ready = self._lifecycle.unready() is None
        return Reply(200, (b'{"ready":true}',)) if is_ready else Reply(503, (b'{"ready":false}',))

    def _model_ready(self) -> Reply:
        self._check_ready()
        return document({"name": self._model, "ready": True})

    def _v1_model(self) -> Reply:
        self._check_ready()
        return document({"name": self._model, "ready": "True"})

    def _check_ready(self) -> None:
        why = self._lifecycle.unready()
        if why is not None:
            code = "draining" if self._lifecycle.is_draining else "not_ready"
            raise Unavailable(f"model {self._model!r} is not ready: {why}", code)

    def _index(self) -> Reply:
        why = self._lifecycle.unready()
        state = "LOADING" if self._lifecycle.serving is None else "UNAVAILABLE" if why else "READY"
        return document([{"name": self._model, "version": self._version, "state": state, "reason": why or ""}])

    def _fixed(self) -> Reply:
        raise RequestError("unsupported", "a process serves one version from start to end; deploy another ModelVersion")

    def _openapi(self) -> Reply:
        from .openapi import describe

        serving = self._lifecycle.serving
        contract = serving.contract if serving else None
        examples = orjson.loads(serving.examples)["examples"] if serving else []
        return document(describe(self._model, self._version, contract, examples, self._limits.server.max_dimensions))

    def _docs(self) -> Reply:
        from .docs_page import page

        return Reply(200, (page(self._model, self._version),), (), HTML)

    def _loaded(self) -> Serving:
        serving = self._lifecycle.serving
        if serving is None:
            raise Unavailable(f"model {self._model!r} is loading; try again")
        return serving


def _compressed(reply: Reply, encoding: bytes) -> Reply:
    headers = (*reply.headers, (b"content-encoding", encoding), (b"vary", b"accept-encoding"))
    return reply._replace(parts=(compress(reply.parts, encoding),), headers=headers)


@functools.cache
def own_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("turnout")
    except PackageNotFoundError:
        return "unknown"  # run from a source tree

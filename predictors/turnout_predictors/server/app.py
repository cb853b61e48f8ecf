"""The V2 REST server as one raw ASGI application: no framework, and nothing imported that a request does not
need.

Every reply is JSON, errors too, and the connection survives them. One model per process.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from turnout_predictors.batching.engine import NOTHING, Outputs, Work
from turnout_predictors.errors import InvalidInput, RequestError, Unavailable
from turnout_predictors.telemetry.metrics import CONTENT_TYPE, Metrics

from .http import (
    CLOSE,
    Disconnected,
    Header,
    Receive,
    Scope,
    Send,
    error_body,
    error_headers,
    headers_of,
    read_body,
    reply,
)
from .lifecycle import Lifecycle, Serving
from .request import InferRequest, parse
from .response import encode
from .routes import Routes

log = logging.getLogger(__name__)

SERVER: Final = "turnout-predictor"
EXTENSIONS: Final = ("turnout_examples",)
_Answer = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Limits:
    """`timeout_seconds` is the longest a request may take; it is answered a little earlier than it counts
    as hung.
    """

    timeout_seconds: float = 60.0
    body_bytes: int = 8 << 20

    @property
    def request_seconds(self) -> float:
        return self.timeout_seconds - min(1.0, self.timeout_seconds * 0.05)


class App:
    """Routes requests to the engine. Its only state is the lifecycle's."""

    def __init__(
        self, model: str, version: str, lifecycle: Lifecycle, metrics: Metrics, limits: Limits | None = None
    ) -> None:
        self._model = model
        self._version = version
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._limits = limits or Limits()
        self._routes = Routes.of(model, version)
        self._version_header: Header = (b"x-model-version", version.encode("latin-1", "replace"))
        self._loop = asyncio.get_running_loop()
        self._answers: dict[str, Callable[[], _Answer]] = {
            "server": self._server,
            "models": self._models,
            "live": lambda: (200, b'{"live":true}'),
            "ready": self._ready,
            "metadata": self._metadata,
            "model_ready": self._model_ready,
            "examples": self._examples,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        try:
            name = self._routes.resolve(scope["method"], scope["path"], scope["raw_path"])
        except RequestError as fault:
            await self._refuse(scope, send, fault)
            return
        if name == "infer":
            await self._infer(scope, receive, send)
        elif name == "metrics":
            await reply(send, 200, self._metrics.exposition(), self._headers(), CONTENT_TYPE)
        else:
            await self._say(scope, send, self._answers[name])

    async def _say(self, scope: Scope, send: Send, answer: Callable[[], _Answer]) -> None:
        try:
            status, body = answer()
        except RequestError as fault:
            await self._refuse(scope, send, fault)
        else:
            await reply(send, status, body, self._headers())

    async def _refuse(self, scope: Scope, send: Send, fault: RequestError) -> None:
        headers = [*self._headers(), *error_headers(fault)]
        await reply(send, fault.status, error_body(fault, headers_of(scope)), headers)

    def _headers(self) -> list[Header]:
        return [self._version_header, CLOSE] if self._lifecycle.is_draining else [self._version_header]

    # -- answers that need no model --------------------------------------------------------------------------

    def _server(self) -> _Answer:
        return 200, orjson.dumps({"name": SERVER, "version": _own_version(), "extensions": EXTENSIONS})

    def _models(self) -> _Answer:
        return 200, orjson.dumps({"models": [self._model]})

    def _ready(self) -> _Answer:
        is_ready = self._lifecycle.unready() is None
        return (200, b'{"ready":true}') if is_ready else (503, b'{"ready":false}')

    def _model_ready(self) -> _Answer:
        why = self._lifecycle.unready()
        if why is not None:
            code = "draining" if self._lifecycle.is_draining else "not_ready"
            raise Unavailable(f"model {self._model!r} is not ready: {why}", code)
        return 200, orjson.dumps({"name": self._model, "ready": True})

    def _metadata(self) -> _Answer:
        return 200, self._loaded().metadata

    def _examples(self) -> _Answer:
        return 200, self._loaded().examples

    def _loaded(self) -> Serving:
        serving = self._lifecycle.serving
        if serving is None:
            raise Unavailable(f"model {self._model!r} is loading; try again")
        return serving

    # -- infer -----------------------------------------------------------------------------------------------

    async def _infer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        headers = headers_of(scope)
        start = "cold" if self._lifecycle.serving is None else "warm"
        attempt = "repeat" if headers.get(b"x-turnout-attempt") == b"repeat" else "first"
        self._metrics.inflight.inc()
        try:
            status, body, extra = await self._answer(scope, receive, headers)
            await reply(send, status, body, [*self._headers(), *extra])
            self._metrics.answered(start, attempt, status, time.perf_counter() - begun)
        except Disconnected:
            pass
        finally:
            self._metrics.inflight.dec()

    async def _answer(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]
    ) -> tuple[int, bytes, list[Header]]:
        try:
            return 200, await self._outputs(scope, receive, headers), []
        except RequestError as fault:
            return fault.status, error_body(fault, headers), error_headers(fault)
        except (Disconnected, asyncio.CancelledError):
            raise
        except Exception as fault:  # a fault of ours: the caller still gets JSON and keeps the connection
            log.exception("answering %s failed", scope["path"])
            broken = RequestError("model_error", f"the server failed with {type(fault).__name__}")
            return broken.status, error_body(broken, headers), []

    async def _outputs(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        _check_framing(headers)
        deadline = self._loop.time() + self._seconds(headers)
        body = await read_body(receive, headers, self._limits.body_bytes)
        serving = self._lifecycle.serving
        if serving is None:
            serving = await self._lifecycle.await_serving(deadline - self._loop.time())
        request = parse(body, serving.contract)
        settings = serving.contract.settings
        if request.parameters:
            deadline = min(deadline, self._loop.time() + _timeout(request))
            settings = _settings(request, settings)
        work = Work(
            request.inputs,
            request.outputs,
            deadline,
            settings,
            request.dims,
            request.id,
            request.parameters,
            NOTHING if serving.contract.signature else _all_headers(scope),
        )
        outputs: Outputs = await serving.engine.submit(work)
        return encode(self._model, self._version, request.id, outputs, serving.contract.output_types)

    def _seconds(self, headers: dict[bytes, bytes]) -> float:
        """What the request may take: the server's limit, or less if the caller says so."""
        given = headers.get(b"x-request-deadline-ms")
        if given is None:
            return self._limits.request_seconds
        if not given.isdigit() or len(given) > 12:
            raise InvalidInput("must be whole milliseconds from now", "headers.X-Request-Deadline-Ms")
        return min(self._limits.request_seconds, int(given) / 1000)


@functools.cache
def _own_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("turnout")
    except PackageNotFoundError:
        return "unknown"  # run from a source tree


def _check_framing(headers: dict[bytes, bytes]) -> None:
    if b"inference-header-content-length" in headers:
        raise InvalidInput("binary tensors are not served; send JSON data", "headers.Inference-Header-Content-Length")
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        raise RequestError(
            "unsupported_encoding",
            f"Content-Encoding {encoding.decode('latin-1')!r} is not served; send the body as it is",
            field="headers.Content-Encoding",
        )


def _timeout(request: InferRequest) -> float:
    """V2's `timeout` parameter, in microseconds."""
    value = request.parameters.get("timeout")
    if value is None:
        return float("inf")
    if type(value) is not int or value < 0:
        raise InvalidInput("timeout must be whole microseconds", "parameters.timeout")
    return value / 1e6 if value else float("inf")


def _settings(request: InferRequest, base: Any) -> Any:
    """The version's settings, overridden by the request's `settings` parameter (a JSON object as a string)."""
    text = request.parameters.get("settings")
    if text is None:
        return base
    try:
        values = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InvalidInput("settings must be a JSON object as a string", "parameters.settings")
    if base is None:
        raise RequestError("unknown_setting", "the model has no settings", field="parameters.settings")
    from turnout_predictors.settings import override

    return override(base, values)


def _all_headers(scope: Scope) -> dict[str, str]:
    """For foreign models, whose predict takes headers."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

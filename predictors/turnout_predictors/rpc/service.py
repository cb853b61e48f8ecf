"""The calls of `inference.GRPCInferenceService` and of `grpc.health.v1`: same lifecycle, engine and errors as HTTP.

A call's deadline and cancellation are its request's. Errors carry HTTP's code, field and request id as trailing
metadata.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext
from typing import Any, Final, NoReturn
from urllib.parse import quote

import grpc
import orjson

from turnout_predictors.batching.engine import NOTHING, Work
from turnout_predictors.errors import BeyondLimit, RequestError, Unavailable
from turnout_predictors.server.app import EXTENSIONS, SERVER, own_version
from turnout_predictors.server.inference import CARRIER, Limits, timeout_of
from turnout_predictors.server.lifecycle import Lifecycle
from turnout_predictors.server.response import told
from turnout_predictors.server.views import with_view
from turnout_predictors.telemetry.metrics import Metrics
from turnout_predictors.telemetry.traces import CANCELLED, Trace

from . import logged
from .stubs import SERVICE, messages
from .translate import read, write

log = logging.getLogger(__name__)
Context = Any  # grpc.aio.ServicerContext; the library ships no types

STATUS: Final = {  # by HTTP's
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse: its one field is the status
_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
WATCH_SECONDS: Final = 1.0


class Service:
    """One model of one version."""

    def __init__(self, model: str, version: str, lifecycle: Lifecycle, metrics: Metrics, limits: Limits) -> None:
        self._model = model
        self._version = version
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._limits = limits
        self._pb = messages()
        self._loop = asyncio.get_running_loop()

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        calls = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ServerMetadata": self.server_metadata,
            "ModelReady": self.model_ready,
            "ModelMetadata": self.model_metadata,
            "ModelInfer": self.model_infer,
            "RepositoryModelLoad": self.fixed,
            "RepositoryModelUnload": self.fixed,
        }
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                call,
                request_deserializer=self._read_infer if name == "ModelInfer" else self._reader(name),
                response_serializer=getattr(self._pb, f"{name}Response").SerializeToString,
            )
            for name, call in calls.items()
        }
        health = {
            "Check": grpc.unary_unary_rpc_method_handler(self.health),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch_health),
        }
        return [
            grpc.method_handlers_generic_handler(SERVICE, methods),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
        ]

    def _reader(self, name: str) -> Callable[[bytes], Any]:
        read_message: Callable[[bytes], Any] = getattr(self._pb, f"{name}Request").FromString
        return read_message

    def _read_infer(self, raw: bytes) -> Any:
        """None for what is too large: who answers says so."""
        return self._pb.ModelInferRequest.FromString(raw) if len(raw) <= self._limits.server.max_body_bytes else None

    # -- answers that need no model --------------------------------------------------------------------------

    async def server_live(self, _: Any, context: Context) -> Any:
        return self._pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: Any, context: Context) -> Any:
        return self._pb.ServerReadyResponse(ready=self._lifecycle.unready() is None)

    async def server_metadata(self, _: Any, context: Context) -> Any:
        return self._pb.ServerMetadataResponse(name=SERVER, version=own_version(), extensions=EXTENSIONS)

    async def model_ready(self, asked: Any, context: Context) -> Any:
        await self._check_names(asked.name, asked.version, context)
        return self._pb.ModelReadyResponse(ready=self._lifecycle.unready() is None)

    async def model_metadata(self, asked: Any, context: Context) -> Any:
        await self._check_names(asked.name, asked.version, context)
        serving = self._lifecycle.serving
        if serving is None:
            await _abort(context, Unavailable(f"model {self._model!r} is loading; try again"))
        described = orjson.loads(serving.metadata)
        tensor = self._pb.ModelMetadataResponse.TensorMetadata
        return self._pb.ModelMetadataResponse(
            name=described["name"],
            versions=described["versions"],
            platform=described["platform"],
            inputs=[tensor(**each) for each in described["inputs"]],
            outputs=[tensor(**each) for each in described["outputs"]],
        )

    async def fixed(self, _: Any, context: Context) -> NoReturn:
        message = "a process serves one version from start to end; deploy another ModelVersion"
        await _abort(context, RequestError("unsupported", message))

    async def health(self, asked: bytes, context: Context) -> bytes:
        """Of the server and of its service alike; there is one model."""
        await self._check_health_of(asked, context)
        return _SERVING if self._lifecycle.unready() is None else _NOT_SERVING

    async def watch_health(self, asked: bytes, context: Context) -> AsyncIterator[bytes]:
        await self._check_health_of(asked, context)
        last = b""
        while True:
            now = _SERVING if self._lifecycle.unready() is None else _NOT_SERVING
            if now != last:
                yield now
                last = now  # and look again: it may have changed while this was told
            elif self._lifecycle.is_draining:
                return  # or the drain would wait for who only watches
            else:
                await asyncio.sleep(WATCH_SECONDS)

    async def _check_health_of(self, asked: bytes, context: Context) -> None:
        name = asked[2:].decode("utf-8", "replace")  # HealthCheckRequest: its one field is the service's name
        if name not in ("", SERVICE, self._model):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"service {name!r} is not served here")

    async def _check_names(self, model: str, version: str, context: Context) -> None:
        fault = self._unknown(model, version)
        if fault is not None:
            await _abort(context, fault)

    def _unknown(self, model: str, version: str) -> RequestError | None:
        if model != self._model:
            return RequestError("unknown_model", f"model {model!r} is not served here; {self._model!r} is")
        if version not in ("", self._version):
            message = f"version {version!r} of {model!r} is not served here; {self._version!r} is"
            return RequestError("unknown_version", message)
        return None

    # -- infer -----------------------------------------------------------------------------------------------

    async def model_infer(self, message: Any, context: Context) -> Any:
        begun = time.perf_counter()
        given = dict(context.invocation_metadata() or ())
        start = "cold" if self._lifecycle.serving is None else "warm"
        is_repeat = self._limits.trust_attempt and given.get("x-turnout-attempt") == "repeat"
        self._metrics.inflight += 1
        fault: RequestError | None = None
        answer: Any = None
        trace = self._trace(given, begun)
        try:
            answer = await self._infer(message, context, given, trace, is_repeat=is_repeat)
        except RequestError as refused:
            fault = refused
            if isinstance(refused, BeyondLimit):
                self._metrics.exceeded(refused.limit)
        except Exception as broken:  # a fault of ours: told as HTTP tells it
            log.exception("answering ModelInfer failed")
            fault = RequestError("model_error", f"the server failed with {type(broken).__name__}")
        finally:
            self._metrics.inflight -= 1
            if trace is not None:
                trace.end(
                    fault.status if fault else 200 if answer is not None else CANCELLED, fault.code if fault else ""
                )
        serving = self._lifecycle.serving
        if serving is not None and serving.payloads is not None:
            logged.offer(serving.payloads, message, fault or answer, given, self._tenant(given))
        attempt, code = "repeat" if is_repeat else "first", fault.status if fault else 200
        self._metrics.answered(start, attempt, code, time.perf_counter() - begun, "grpc")
        if fault is not None:
            await _abort(context, fault, str(given.get("x-request-id", "")))
        return answer

    def _trace(self, given: Mapping[Any, Any], begun: float) -> Trace | None:
        serving = self._lifecycle.serving
        if serving is None or serving.traces is None:
            return None
        carrier = {name: str(given.get(name, "")) for name in CARRIER}
        called = {"rpc.system": "grpc", "rpc.service": SERVICE, "rpc.method": "ModelInfer"}
        return serving.traces.begin(f"infer {self._model}", carrier, begun, **called)

    async def _infer(
        self, message: Any, context: Context, given: dict[Any, Any], trace: Trace | None, *, is_repeat: bool
    ) -> Any:
        if message is None:
            most = self._limits.server.max_body_bytes
            raise BeyondLimit("max_body_bytes", f"the message is larger than {most} bytes; send fewer rows")
        unknown = self._unknown(message.model_name, message.model_version)
        if unknown is not None:
            raise unknown
        left = context.time_remaining()
        seconds = self._limits.request_seconds if left is None else min(left, self._limits.request_seconds)
        deadline = self._loop.time() + seconds
        tenant = self._tenant(given)
        serving = self._lifecycle.serving or await self._lifecycle.await_serving(seconds, tenant)
        contract = serving.contract
        request, raw = read(message, contract)
        effective = serving.settings_for(request.parameters, tenant)
        if request.parameters:
            deadline = min(deadline, self._loop.time() + timeout_of(request))
        headers = NOTHING if contract.signature else {str(name): str(value) for name, value in given.items()}
        work = Work(
            request.inputs,
            request.outputs,
            deadline,
            effective.values,
            request.dims,
            request.id,
            request.parameters,
            headers,
            tenant,
        )
        with trace.within() if trace is not None else nullcontext():
            pending = serving.engine.submit(work)
        outputs = await pending
        answer = self._pb.ModelInferResponse(model_name=self._model, model_version=self._version, id=request.id or "")
        shown = outputs if request.shown is None else with_view(outputs, request.shown)
        write(self._pb, answer, shown, contract.output_types, raw=raw)
        for name, text in told(request, contract, effective, outputs).items():
            answer.parameters[name].string_param = text
        if serving.count is not None and not is_repeat:
            serving.count(outputs)
        return answer

    def _tenant(self, given: Mapping[Any, Any]) -> str:
        return str(given.get("x-tenant", "")) if self._limits.trust_tenant else ""


async def _abort(context: Context, fault: RequestError, request_id: str = "") -> NoReturn:
    trailing = [("code", fault.code), ("request-id", _printable(request_id) or uuid.uuid4().hex)]
    if fault.field is not None:
        trailing.append(("field", _printable(fault.field)))
    if fault.retry_after is not None:
        trailing.append(("retry-after", str(fault.retry_after)))
    message = f"{fault.field}: {fault.message}" if fault.field else fault.message
    await context.abort(STATUS[fault.status], message, tuple(trailing))
    raise AssertionError("abort returned")


def _printable(text: str) -> str:
    """As metadata may carry it: what is no printable ASCII is percent-encoded, as in the message itself."""
    return quote(text, safe=_PRINTABLE)

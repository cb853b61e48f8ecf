"""Traces: a span for each prediction, in the trace of whoever asked (W3C `traceparent`), exported with OpenTelemetry.

The library is imported only where the version asks for traces; without, a request pays for one look at None. Spans are
sent in batches by a thread of the library's, which drops what it cannot hold.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from turnout_predictors.errors import DEPENDENCY_MISSING, StartError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span, Tracer

NAME: Final = "turnout_predictors"
CANCELLED: Final = 499  # as proxies write of clients that went away
SEND_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Trace:
    """One prediction's part of a trace, until it is ended."""

    _span: Span

    def within(self) -> AbstractContextManager[object]:
        """Tasks that are made inside continue it: a predictor that asks others passes it on."""
        from opentelemetry.trace import use_span

        return use_span(self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    def end(self, status: int, code: str = "") -> None:
        """`status` as of HTTP; `code`: of the error, if it was one. What is the server's fault marks the span."""
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("http.response.status_code", status)
        if code:
            self._span.set_attribute("error.type", code)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Traces:
    """`begin` is called on the event loop, and does not wait."""

    def __init__(self, processor: SpanProcessor, share: float, identity: tuple[str, str, str]) -> None:
        """`share`: of the traces that begin here; what a caller has decided counts more."""
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        model, version, revision = identity
        named = {"service.name": model, "service.version": version, "service.instance.id": revision}
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)), resource=Resource.create(named), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer: Tracer = self._provider.get_tracer(NAME)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, name: str, carrier: Mapping[str, str], begun: float, **attributes: str) -> Trace:
        """`carrier`: headers, of which `traceparent` and `tracestate` count. `begun`: of `time.perf_counter`."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        started = time.time_ns() - int((time.perf_counter() - begun) * 1e9)
        parent = self._propagator.extract(carrier, Context())
        given: Any = attributes
        return Trace(self._tracer.start_span(name, parent, SpanKind.SERVER, attributes=given, start_time=started))

    def close(self) -> None:
        """Sends what is left, as long as that takes no more than some seconds. Blocks."""
        last = Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(SEND_SECONDS)


def open_traces(address: str, share: float, identity: tuple[str, str, str]) -> Traces | None:
    """None without an address. StartError if the library is not there. Imports for a moment: not for the event loop."""
    if not address:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as fault:
        raise StartError(
            DEPENDENCY_MISSING, f"settings.server.traces needs OpenTelemetry ({fault}); install turnout[traces]"
        ) from None
    exporter = OTLPSpanExporter(endpoint=address, timeout=SEND_SECONDS)
    return Traces(BatchSpanProcessor(exporter), share, identity)

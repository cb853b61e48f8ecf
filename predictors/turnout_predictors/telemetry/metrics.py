"""The predictor's own metrics, in a registry of their own: kserve's and the client library's defaults stay
out.

Every series carries model, version and revision. Children are bound once and kept by their labels, so a
request costs two dictionary look-ups, not a label resolution. Names and edges are a contract with the judge.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

# The E6 series: six edges per decade, none more than 1.5 times the one before. The same in every build,
# because histograms of two versions are compared edge by edge.
EDGES_SECONDS: Final = (
    *(round(step * 10.0**power, 6) for power in (-3, -2, -1, 0) for step in (1.0, 1.5, 2.2, 3.3, 4.7, 6.8)),
    *(10.0, 15.0, 22.0, 33.0, 47.0, 60.0),
)
PHASES: Final = ("pull", "import", "load", "warmup")
CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

_IDENTITY: Final = ("model", "version", "revision")


class Metrics:
    """All series of one process."""

    def __init__(self, model: str, version: str, revision: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside every counter, which nobody reads
        self._identity = (model, version, revision)
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "turnout_predictor_requests",
            "Requests answered, by status code as sent.",
            (*_IDENTITY, "protocol", "start", "attempt", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "turnout_predictor_request_seconds",
            "Seconds from a request's head to its response.",
            (*_IDENTITY, "protocol", "start", "attempt", "outcome"),
            buckets=EDGES_SECONDS,
            registry=self.registry,
        )
        self.inflight = 0  # read when somebody asks: a gauge's lock would be paid by every request
        inflight = self._gauge("inflight", "Requests accepted and not yet answered.").labels(*self._identity)
        inflight.set_function(lambda: self.inflight)
        self._start_seconds = self._gauge("start_seconds", "Seconds each phase of the start took.", "phase")
        self._threads = self._gauge("threads", "Threads planned for a pool of the numeric libraries.", "pool")
        self._info = self._gauge("info", "1; what is served.", "digest", "space", "runtime", "backend", "package")
        self._bound_requests: dict[tuple[str, str, int], Counter] = {}
        self._bound_seconds: dict[tuple[str, str, str], Histogram] = {}

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"turnout_predictor_{name}", text, (*_IDENTITY, *labels), registry=self.registry)

    def answered(self, start: str, attempt: str, code: int, seconds: float) -> None:
        """One infer request over HTTP has been answered with `code`."""
        counter = self._bound_requests.get((start, attempt, code))
        if counter is None:
            counter = self._requests.labels(*self._identity, "http", start, attempt, str(code))
            self._bound_requests[start, attempt, code] = counter
        counter.inc()
        outcome = "ok" if code < 400 else "client" if code < 500 else "error"
        histogram = self._bound_seconds.get((start, attempt, outcome))
        if histogram is None:
            histogram = self._seconds.labels(*self._identity, "http", start, attempt, outcome)
            self._bound_seconds[start, attempt, outcome] = histogram
        histogram.observe(seconds)

    def phase(self, phase: str, seconds: float) -> None:
        self._start_seconds.labels(*self._identity, phase).set(seconds)

    def threads(self, pool: str, count: int) -> None:
        self._threads.labels(*self._identity, pool).set(count)

    def info(self, *, digest: str, space: str, runtime: str, backend: str, package: str) -> None:
        self._info.labels(*self._identity, digest, space, runtime, backend, package).set(1)

    def exposition(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self.registry)

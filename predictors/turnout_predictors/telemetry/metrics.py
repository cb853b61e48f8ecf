"""The predictor's own metrics, in a registry of their own: kserve's and the client library's defaults stay
out.

Every series carries model, version and revision. Counts are plain numbers that the event loop alone writes, so a
request pays no lock and no label resolution; they become series when somebody asks. Names and edges are a
contract with the judge.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from .payloads import RESULTS

# The E12 series: twelve edges per decade, none more than 1.25 times the one before, so that what is slower by half lies
# beyond the next edge wherever between two of them stable lies, with room for its spread. Every second one is of E6,
# which earlier builds had: histograms of two versions are compared along the edges that both have.
EDGES_SECONDS: Final = (
    *(
        round(step * 10.0**power, 6)
        for power in (-3, -2, -1, 0)
        for step in (1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2)
    ),
    *(10.0, 12.0, 15.0, 18.0, 22.0, 27.0, 33.0, 39.0, 47.0, 56.0, 60.0),
)
EDGES_INSIDE: Final = (*(round(step * 1e-4, 6) for step in (1.0, 2.2, 4.7)), *EDGES_SECONDS[::2])
"""Of parts of a request, which nothing is judged by."""
EDGES_ROWS: Final = tuple(float(2**power) for power in range(13))
EDGES_RATIO: Final = tuple(step / 10 for step in range(11))
PHASES: Final = ("pull", "import", "load", "warmup")
DROPPED: Final = ("full", "deadline", "cancelled")
RECALLED: Final = ("miss", "shared", "hit")
CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

_IDENTITY: Final = ("model", "version", "revision")
_PREFIX: Final = "turnout_predictor_"
_Labels = tuple[str, ...]


class Buckets:
    """A histogram that one thread writes."""

    __slots__ = ("counts", "edges", "sum")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.sum += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Upper edges as text with the counts up to them, as the exposition wants them."""
        total, shown = 0.0, []
        for edge, count in zip((*self.edges, float("inf")), self.counts, strict=True):
            total += count
            shown.append((floatToGoString(edge), total))  # type: ignore[no-untyped-call]
        return shown


class Metrics(Collector):
    """All series of one process. An `Observer` of the scheduler."""

    def __init__(self, model: str, version: str, revision: str) -> None:
        self.identity = (model, version, revision)
        self.registry = CollectorRegistry()
        self.inflight = 0
        self.queued: Callable[[], int] = lambda: 0
        self._requests: dict[tuple[str, str, str, int], int] = {}
        self._seconds: dict[tuple[str, str, str, str], Buckets] = {}
        self._queue, self._forward = Buckets(EDGES_INSIDE), Buckets(EDGES_INSIDE)
        self._rows, self._padding = Buckets(EDGES_ROWS), Buckets(EDGES_RATIO)
        self._tokens = 0.0
        self._dropped = dict.fromkeys(DROPPED, 0)
        self._recalled = dict.fromkeys(RECALLED, 0)
        self.payloads: Mapping[str, int] = dict.fromkeys(RESULTS, 0)
        self.limits: Mapping[str, float] = {}
        self._exceeded: dict[str, int] = {}
        self._phases: dict[str, float] = {}
        self._threads: dict[str, int] = {}
        self._info: _Labels | None = None
        self.registry.register(self)

    def answered(self, start: str, attempt: str, code: int, seconds: float, protocol: str = "http") -> None:
        """One infer request has been answered with `code`."""
        outcome = "ok" if code < 400 else "client" if code < 500 else "error"
        counted = (protocol, start, attempt, code)
        self._requests[counted] = self._requests.get(counted, 0) + 1
        timed = (protocol, start, attempt, outcome)
        buckets = self._seconds.get(timed)
        if buckets is None:
            buckets = self._seconds[timed] = Buckets(EDGES_SECONDS)
        buckets.observe(seconds)

    def forwarded(self, *, rows: int, tokens: float, padding: float, seconds: float, waited: Sequence[float]) -> None:
        self._tokens += tokens
        self._forward.observe(seconds)
        self._rows.observe(rows)
        self._padding.observe(padding)
        for each in waited:
            self._queue.observe(each)

    def dropped(self, reason: str) -> None:
        self._dropped[reason] += 1

    def recalled(self, *, miss: int, shared: int, hit: int) -> None:
        for result, rows in zip(RECALLED, (miss, shared, hit), strict=True):
            self._recalled[result] += rows

    def exceeded(self, limit: str) -> None:
        """A request was refused for what is more than one of the limits takes."""
        self._exceeded[limit] = self._exceeded.get(limit, 0) + 1

    def phase(self, phase: str, seconds: float) -> None:
        self._phases[phase] = seconds

    def threads(self, pool: str, count: int) -> None:
        self._threads[pool] = count

    def info(self, *, digest: str, space: str, runtime: str, backend: str, package: str) -> None:
        self._info = (digest, space, runtime, backend, package)

    def exposition(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self.registry)

    # -- as series -------------------------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        requests = [((*labels, str(code)), float(count)) for (*labels, code), count in self._requests.items()]
        shared = ("protocol", "start", "attempt")
        yield self._counter("requests", "Requests answered, by status code as sent.", (*shared, "code"), requests)
        yield self._histogram(
            "request_seconds",
            "Seconds from a request's head to its response.",
            (*shared, "outcome"),
            self._seconds.items(),
        )
        for name, text, buckets in (
            ("queue_seconds", "Seconds a request's rows waited for their forward.", self._queue),
            ("forward_seconds", "Seconds of a forward.", self._forward),
            ("batch_rows", "Rows in a forward.", self._rows),
            ("batch_padding_ratio", "Share of a forward that is padding, by the rows' lengths.", self._padding),
        ):
            yield self._histogram(name, text, (), [((), buckets)])
        yield self._counter("rows", "Rows computed.", (), [((), self._rows.sum)])
        yield self._counter("tokens", "What rows cost, by the model's own lengths.", (), [((), self._tokens)])
        dropped = [((reason,), float(count)) for reason, count in self._dropped.items()]
        yield self._counter("dropped", "Requests that got no forward.", ("reason",), dropped)
        recalled = [((result,), float(rows)) for result, rows in self._recalled.items()]
        yield self._counter("cache", "Rows that were compared with others, by what came of it.", ("result",), recalled)
        payloads = [((result,), float(events)) for result, events in self.payloads.items()]
        text = "Requests and answers of the payload log, by what became of them."
        yield self._counter("payload_log", text, ("result",), payloads)
        limits = [((limit,), value) for limit, value in self.limits.items()]
        yield self._gauge("limit", "What the server's settings say, by name.", ("limit",), limits)
        beyond = [((limit,), float(self._exceeded.get(limit, 0))) for limit in self.limits]
        yield self._counter("beyond_limit", "Requests refused for being beyond a limit.", ("limit",), beyond)
        yield self._gauge("inflight", "Requests accepted and not yet answered.", (), [((), self.inflight)])
        yield self._gauge("queue_rows", "Rows that wait for a forward.", (), [((), self.queued())])
        phases = [((phase,), seconds) for phase, seconds in self._phases.items()]
        yield self._gauge("start_seconds", "Seconds each phase of the start took.", ("phase",), phases)
        pools = [((pool,), count) for pool, count in self._threads.items()]
        yield self._gauge("threads", "Threads planned for a pool of the numeric libraries.", ("pool",), pools)
        known = [] if self._info is None else [(self._info, 1)]
        yield self._gauge("info", "1; what is served.", ("digest", "space", "runtime", "backend", "package"), known)

    def _counter(self, name: str, text: str, labels: _Labels, values: Iterable[tuple[_Labels, float]]) -> Metric:
        family = CounterMetricFamily(_PREFIX + name, text, labels=(*_IDENTITY, *labels))
        for given, value in values:
            family.add_metric((*self.identity, *given), value)
        return family

    def _gauge(self, name: str, text: str, labels: _Labels, values: Iterable[tuple[_Labels, float]]) -> Metric:
        family = GaugeMetricFamily(_PREFIX + name, text, labels=(*_IDENTITY, *labels))
        for given, value in values:
            family.add_metric((*self.identity, *given), value)
        return family

    def _histogram(self, name: str, text: str, labels: _Labels, values: Iterable[tuple[_Labels, Buckets]]) -> Metric:
        family = HistogramMetricFamily(_PREFIX + name, text, labels=(*_IDENTITY, *labels))
        for given, buckets in values:
            family.add_metric((*self.identity, *given), buckets.cumulated(), buckets.sum)
        return family

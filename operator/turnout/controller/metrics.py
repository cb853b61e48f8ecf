"""The loop's own numbers for Prometheus, under `turnout_`; series of a model that is gone go with it.

The only importer of `prometheus_client` on the control side's loop. Labels are bounded by the models that exist. What
is told of versions is kept as plain numbers and becomes series when somebody asks: a fleet has ten thousands of them.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from turnout.controller.queue import Queue
from turnout.rollout.plan import Plan
from turnout.rollout.snapshot import ModelKey, Snapshot

_VERSION = ("namespace", "model", "version")
_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class _Told(NamedTuple):
    """A version as it was last looked at; `state` is empty while it has none."""

    version: str
    weight: int
    ready: int
    state: str


class Versions(Collector):
    """Three gauges for each version of each model."""

    def __init__(self) -> None:
        self.told: dict[ModelKey, tuple[_Told, ...]] = {}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        weight = GaugeMetricFamily("turnout_version_weight", "Observed share in percent.", labels=_VERSION)
        ready = GaugeMetricFamily("turnout_version_ready_pods", "Ready pods.", labels=_VERSION)
        state = GaugeMetricFamily("turnout_version_state", "1 for the state it is in.", labels=(*_VERSION, "state"))
        for key, versions in self.told.items():
            for each in versions:
                labels = (key.namespace, key.model, each.version)
                weight.add_metric(labels, each.weight)
                ready.add_metric(labels, each.ready)
                if each.state:
                    state.add_metric((*labels, each.state), 1)
        return weight, ready, state


class Metrics:
    """A `Meter` that a scrape can read."""

    def __init__(self, queue: Queue, leads: Callable[[], bool]) -> None:
        self._registry = registry = CollectorRegistry()
        self._seconds = Histogram("turnout_reconcile_seconds", "Time of one pass.", registry=registry, buckets=_BUCKETS)
        self._passes = Counter("turnout_reconciles", "Passes by outcome.", ("outcome",), registry=registry)
        self._splits = Counter("turnout_split_writes", "Splits written.", ("namespace", "model"), registry=registry)
        self._versions = Versions()
        registry.register(self._versions)
        depth = Gauge("turnout_queue_depth", "Models that are due and wait.", registry=registry)
        depth.set_function(lambda: queue.depth)
        overdue = Gauge("turnout_queue_overdue_seconds", "How long the first of them has waited.", registry=registry)
        overdue.set_function(lambda: queue.overdue)
        leader = Gauge("turnout_operator_leader", "1 for the replica that works, 0 for a standby.", registry=registry)
        leader.set_function(lambda: float(leads()))

    def looked(self, snapshot: Snapshot, plan: Plan) -> None:
        key = snapshot.key
        if plan.route is not None:
            self._splits.labels(key.namespace, key.model).inc()
        now = ((version, plan.record.get(version.name, version.status)) for version in snapshot.versions)
        self._versions.told[key] = tuple(
            _Told(
                str(version.version),
                status.weight.observed,
                status.replicas.ready,
                status.state.value if status.state else "",
            )
            for version, status in now
        )

    def passed(self, key: ModelKey, seconds: float, outcome: str) -> None:
        self._seconds.observe(seconds)
        self._passes.labels(outcome).inc()

    def gone(self, key: ModelKey) -> None:
        self._versions.told.pop(key, None)
        if (key.namespace, key.model) in self._splits._metrics:  # removal of what is not there raises
            self._splits.remove(key.namespace, key.model)

    def exposition(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)

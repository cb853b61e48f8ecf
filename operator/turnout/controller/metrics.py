"""The loop's own numbers for Prometheus, under `turnout_`; series of a model that is gone go with it.

The only importer of `prometheus_client` on the control side's loop. Labels are bounded by the models that exist.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from turnout.controller.queue import Queue
from turnout.rollout.plan import Plan
from turnout.rollout.snapshot import ModelKey, Snapshot

_VERSION = ("namespace", "model", "version")
_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class Metrics:
    """A `Meter` that a scrape can read."""

    def __init__(self, queue: Queue, leads: Callable[[], bool]) -> None:
        self._registry = registry = CollectorRegistry()
        self._seconds = Histogram("turnout_reconcile_seconds", "Time of one pass.", registry=registry, buckets=_BUCKETS)
        self._passes = Counter("turnout_reconciles", "Passes by outcome.", ("outcome",), registry=registry)
        self._splits = Counter("turnout_split_writes", "Splits written.", ("namespace", "model"), registry=registry)
        self._weight = Gauge("turnout_version_weight", "Observed share in percent.", _VERSION, registry=registry)
        self._ready = Gauge("turnout_version_ready_pods", "Ready pods.", _VERSION, registry=registry)
        self._state = Gauge(
            "turnout_version_state", "1 for the state it is in.", (*_VERSION, "state"), registry=registry
        )
        depth = Gauge("turnout_queue_depth", "Models that are due and wait.", registry=registry)
        depth.set_function(lambda: queue.depth)
        overdue = Gauge("turnout_queue_overdue_seconds", "How long the first of them has waited.", registry=registry)
        overdue.set_function(lambda: queue.overdue)
        leader = Gauge("turnout_operator_leader", "1 for the replica that works, 0 for a standby.", registry=registry)
        leader.set_function(lambda: float(leads()))
        self._series: dict[ModelKey, tuple[set[tuple[str, ...]], set[tuple[str, ...]]]] = {}

    def looked(self, snapshot: Snapshot, plan: Plan) -> None:
        key = snapshot.key
        if plan.route is not None:
            self._splits.labels(key.namespace, key.model).inc()
        versions: set[tuple[str, ...]] = set()
        states: set[tuple[str, ...]] = set()
        for version in snapshot.versions:
            status = plan.record.get(version.name, version.status)
            labels = (key.namespace, key.model, str(version.version))
            versions.add(labels)
            self._weight.labels(*labels).set(status.weight.observed)
            self._ready.labels(*labels).set(status.replicas.ready)
            if status.state is not None:
                states.add((*labels, status.state.value))
                self._state.labels(*labels, status.state.value).set(1)
        self._keep_only(key, versions, states)

    def passed(self, key: ModelKey, seconds: float, outcome: str) -> None:
        self._seconds.observe(seconds)
        self._passes.labels(outcome).inc()

    def gone(self, key: ModelKey) -> None:
        self._keep_only(key, set(), set())
        del self._series[key]
        if (key.namespace, key.model) in self._splits._metrics:  # removal of what is not there raises
            self._splits.remove(key.namespace, key.model)

    def exposition(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def _keep_only(self, key: ModelKey, versions: set[tuple[str, ...]], states: set[tuple[str, ...]]) -> None:
        old_versions, old_states = self._series.get(key, (set(), set()))
        for labels in old_versions - versions:
            self._weight.remove(*labels)
            self._ready.remove(*labels)
        for labels in old_states - states:
            self._state.remove(*labels)
        self._series[key] = (versions, states)

"""What callers saw, and what each version did: from Envoy's own counters, since the engine's first start.

`.turnout/state/traffic.json`, written each second while something is asked:

    {"<namespace>/<model>": {"requests": 120, "errors": 0, "rate": 24.0,
                             "versions": {"<version>": {"requests": 12, "failed": 12, "repeated": 3,
                                                          "unrepeated": 0}}}}

requests  of a model: answers given to callers; of a version: requests that were first tried on it
errors    5xx answers that a caller got; a request that failed and was repeated well is none
failed    first tries on this version that brought no good answer (repeated elsewhere, or told the caller)
repeated  requests that failed elsewhere and were repeated on this version
unrepeated  first tries that failed on this version and were not repeated: stable had its share of repeats
rate      answers per second over the last second or so
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from turnout.gateway.reading import ShareCount, Stats
from turnout.gateway.topology import Backend, cluster_name, relayed_name, repeat_name
from turnout.rollout.snapshot import ModelKey


@dataclass(frozen=True, slots=True)
class VersionTraffic:
    """One version's part; see the module."""

    requests: int = 0
    failed: int = 0
    repeated: int = 0
    unrepeated: int = 0


@dataclass(frozen=True, slots=True)
class LocalTraffic:
    """One model's traffic; see the module."""

    requests: int = 0
    errors: int = 0
    rate: float = 0.0
    versions: Mapping[str, VersionTraffic] = field(default_factory=dict)


class Counting:
    """Adds up Envoy's counters, which begin anew whenever Envoy does."""

    def __init__(self, before: Mapping[str, LocalTraffic]) -> None:
        self.models: dict[str, LocalTraffic] = {key: _calm(model) for key, model in before.items()}
        self._shares: Mapping[str, ShareCount] = {}
        self._tries: Mapping[str, int] = {}

    def take(self, stats: Stats, backends: Iterable[Backend], seconds: float) -> frozenset[str]:
        """Add what has come since the last look, `seconds` ago; returns the clusters that were asked."""
        shares, tries = self._shares, self._tries
        self._shares, self._tries = stats.shares, stats.tries
        fresh: dict[str, int] = {}
        for backend in backends:
            share = _since(stats.shares.get(backend.cluster), shares.get(backend.cluster))
            repeats = repeat_name(backend.namespace, backend.revision)
            repeated = _grown(stats.tries.get(repeats, 0), tries.get(repeats, 0))
            key = str(ModelKey(backend.namespace, backend.model))
            fresh[key] = fresh.get(key, 0) + share.completed
            if share.completed or share.rescued or repeated:
                self._add(key, backend.version, share, repeated)
        for key, count in fresh.items():
            if count or key in self.models:
                model = self.models.get(key, LocalTraffic())
                self.models[key] = LocalTraffic(model.requests, model.errors, count / seconds, model.versions)
        return frozenset(name for name, count in stats.tries.items() if count != tries.get(name, 0)) | frozenset(
            name for name, active in stats.active.items() if active
        )

    def _add(self, key: str, version: str, share: ShareCount, repeated: int) -> None:
        model = self.models.get(key, LocalTraffic())
        old = model.versions.get(version, VersionTraffic())
        new = VersionTraffic(
            requests=old.requests + share.completed,
            failed=old.failed + share.failed_here,
            repeated=old.repeated + repeated,
            unrepeated=old.unrepeated + share.unrepeated,
        )
        self.models[key] = LocalTraffic(
            model.requests + share.completed, model.errors + share.failed, model.rate, {**model.versions, version: new}
        )


def asked(clusters: frozenset[str], namespace: str, revision: str) -> bool:
    """Whether a revision is among the clusters that were asked."""
    return any(name(namespace, revision) in clusters for name in (cluster_name, relayed_name, repeat_name))


def _calm(model: LocalTraffic) -> LocalTraffic:
    return LocalTraffic(model.requests, model.errors, 0.0, model.versions)


def _grown(now: int, before: int) -> int:
    return now - before if now >= before else now


def _since(now: ShareCount | None, before: ShareCount | None) -> ShareCount:
    now, before = now or ShareCount(), before or ShareCount()
    return ShareCount(
        completed=_grown(now.completed, before.completed),
        failed=_grown(now.failed, before.failed),
        rescued=_grown(now.rescued, before.rescued),
        unrepeated=_grown(now.unrepeated, before.unrepeated),
    )

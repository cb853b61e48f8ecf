"""What Envoy says of itself: the configuration it has really taken, and what it has counted.

Everything here reads the JSON of the admin interface; nothing trusts what was written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from turnout.gateway.routes import OWN
from turnout.gateway.topology import Resource
from turnout.rollout.snapshot import ModelKey, Share, Split

STATS_FILTER = (
    r"^(vhost\..*\.route\..*\.upstream_rq_(completed|5xx)"
    r"|cluster\..*\.upstream_rq_(total|active)"
    r"|cluster\..*/then/[^.]*\.upstream_rq_retry_(success|overflow)"
    r"|.*\.(cds|rds\.[^.]*)\.(version_text|update_rejected))$"
)
"""What to ask `/stats?format=json&filter=` for, so that the answer stays small."""

_ROUTE = re.compile(r"vhost\.[^.]*\.route\.(?P<cluster>[^.]+)\.upstream_rq_(?P<what>completed|5xx)")
_RELAY = re.compile(r"cluster\.(?P<cluster>[^.]+)/then/[^.]+\.upstream_rq_retry_(?P<what>success|overflow)")
_CLUSTER = re.compile(r"cluster\.(?P<cluster>[^.]+)\.upstream_rq_(?P<what>total|active)")
_FIELDS = {"completed": "completed", "5xx": "failed", "relay success": "rescued", "relay overflow": "unrepeated"}


@dataclass(frozen=True, slots=True)
class ShareCount:
    """Of one revision's share, in requests.

    `completed`: answered, by whomever; `failed`: with a 5xx; `rescued`: failed here and were answered elsewhere;
    `unrepeated`: failed here beyond the budget of repeats. The last two come from the relays: a route's own counter of
    them goes with it.
    """

    completed: int = 0
    failed: int = 0
    rescued: int = 0
    unrepeated: int = 0

    @property
    def failed_here(self) -> int:
        """First tries that brought no good answer."""
        return self.failed + self.rescued


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters by cluster name, since Envoy started; and which configuration it took."""

    shares: Mapping[str, ShareCount]
    tries: Mapping[str, int]
    active: Mapping[str, int]
    versions: Mapping[str, str]  # of `clusters` and `routes`
    rejected: int


def read_stats(answer: object) -> Stats:
    """Read `/stats?format=json`."""
    shares: dict[str, dict[str, int]] = {}
    clusters: dict[str, dict[str, int]] = {"total": {}, "active": {}}
    texts: dict[str, str] = {}
    rejected = 0
    for name, value in _values(answer):
        if (found := _ROUTE.fullmatch(name)) and found["cluster"] != OWN:
            _add(shares, found["cluster"], found["what"], value)
        elif found := _RELAY.fullmatch(name):
            _add(shares, found["cluster"], f"relay {found['what']}", value)
        elif found := _CLUSTER.fullmatch(name):
            clusters[found["what"]][found["cluster"]] = int(cast("int", value))
        elif name.endswith("version_text"):
            texts["routes" if ".rds." in name else "clusters"] = str(value)
        elif name.endswith("update_rejected"):
            rejected += int(cast("int", value))
    return Stats(
        shares={cluster: ShareCount(**counts) for cluster, counts in shares.items()},
        tries=clusters["total"],
        active=clusters["active"],
        versions=texts,
        rejected=rejected,
    )


def _add(shares: dict[str, dict[str, int]], cluster: str, what: str, value: object) -> None:
    counts = shares.setdefault(cluster, {})
    counts[_FIELDS[what]] = counts.get(_FIELDS[what], 0) + int(cast("int", value))


def _values(answer: object) -> Iterator[tuple[str, object]]:
    for entry in _objects(_get(answer, "stats")):
        if "name" in entry and "value" in entry:
            yield str(entry["name"]), entry["value"]


def read_splits(answer: object) -> dict[ModelKey, Split]:
    """The split of every model, from `/config_dump?resource=dynamic_route_configs`."""
    return {
        ModelKey(*str(host["name"]).split("/")): _split(_objects(host.get("routes")))
        for config in _objects(_get(answer, "configs"))
        for host in _objects(_get(config.get("route_config"), "virtual_hosts"))
        if str(host.get("name")).count("/") == 1
    }


def _split(routes: Iterable[Resource]) -> Split:
    """Cumulative thresholds back to shares, of one or two rungs each; the last rung has none and takes the rest."""
    shares: dict[str, int] = {}
    below = 0
    for route in routes:
        fraction = _get(_get(route.get("match"), "runtime_fraction"), "default_value")
        threshold = int(cast("int", _get(fraction, "numerator"))) if fraction is not None else 100
        name = str(route.get("name"))
        shares[name] = shares.get(name, 0) + threshold - below
        below = threshold
    return tuple(Share(*share) for share in shares.items())


def _get(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _objects(value: object) -> list[Resource]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

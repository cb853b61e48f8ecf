"""Clusters and endpoints: each revision three times, by how a request came to it, and relays between two.

A request that is repeated elsewhere when it fails must never wait for a pod that is gone; one that nobody else would
answer must. Which of the two it is depends on the route that it took, so each has a cluster of its own: whatever
order Envoy hears of new endpoints and new routes in, an old route still leads to endpoints that suit it.

A relay is Envoy's composite cluster: its nth try goes to its nth member. It marks the second one
(`x-turnout-attempt: repeat`), so that predictors count repeats apart; a mark from outside is stripped by the
routes.

Envoy's own retry budget is of no use here. It compares the retries of a cluster with that cluster's active requests:
a relay has the retries, and its members have the requests, so that any percentage would be one of nothing. What is
left of it is its least, a number of repeats at a time; the rest is a matter of routes.
"""

from collections.abc import Iterable

from turnout.gateway.topology import (
    Backend,
    Endpoint,
    Resource,
    Topology,
    relay_name,
    relayed_name,
    repeat_name,
)

ATTEMPT_HEADER = "x-turnout-attempt"
UNBOUNDED = 1_000_000  # the predictor's own queue is the limit, not a circuit breaker in front of it
SPARED = 20  # repeats at a time of a relay, for a route that is beyond the budget (its priority is HIGH)
IDLE_SECONDS = 30  # less than the predictors keep a connection, so that Envoy never writes into a closing one

_CONFIG = "type.googleapis.com/envoy.config"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_LIMITS = {f"max_{what}": UNBOUNDED for what in ("connections", "pending_requests", "requests", "retries")}


Relay = tuple[str, str, str]
"""Namespace, revision of the first try, revision of the second."""


def render_clusters(topology: Topology, endpoint_dir: str, kept: Iterable[Relay] = ()) -> tuple[Resource, ...]:
    """Every cluster, by name; the endpoints of each come from a file of its own in `endpoint_dir`.

    `kept`: relays that no route names any more but that requests may still be under way in.
    """
    plain = [_plain(name, endpoint_dir) for backend in topology.backends for name in _ways(backend)]
    relaying = [_relay(*relay) for relay in sorted(relays(topology).union(kept))]
    return tuple(sorted(plain + relaying, key=lambda cluster: str(cluster["name"])))


def render_endpoints(topology: Topology) -> dict[str, Resource]:
    """The endpoints of every cluster that has some, by cluster name."""
    ways = (way for backend in topology.backends for way in _ways(backend).items())
    return {name: _assignment(name, endpoints) for name, endpoints in ways}


def endpoint_file(cluster: str) -> str:
    """The file name for a cluster's endpoints."""
    return cluster.replace("/", "--") + ".json"


def _ways(backend: Backend) -> dict[str, tuple[Endpoint, ...]]:
    """Every cluster of a backend, and where it leads."""
    return {
        backend.cluster: backend.endpoints,
        relayed_name(backend.namespace, backend.revision): backend.relayed or backend.endpoints,
        repeat_name(backend.namespace, backend.revision): backend.endpoints,
    }


def relays(topology: Topology) -> frozenset[Relay]:
    """Every relay that a route of `topology` needs."""
    return frozenset(
        (fork.key.namespace, share.revision, fork.fallback)
        for fork in topology.forks
        for share in fork.split
        if fork.fallback and share.revision != fork.fallback
    )


def _plain(name: str, endpoint_dir: str) -> Resource:
    path = f"{endpoint_dir}/{endpoint_file(name)}"
    return {
        "@type": f"{_CONFIG}.cluster.v3.Cluster",
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {
            "eds_config": {"path_config_source": {"path": path}, "resource_api_version": "V3"},
            "service_name": name,
        },
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": _breakers(),
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": f"{IDLE_SECONDS}s"},
            }
        },
    }


def _breakers(repeats: int = UNBOUNDED) -> Resource:
    """By the priority of the route that a request took; `repeats`: at a time, of those beyond the budget."""
    return {"thresholds": [_LIMITS, {**_LIMITS, "priority": "HIGH", "max_retries": repeats}]}


def _relay(namespace: str, revision: str, fallback: str) -> Resource:
    members = (relayed_name(namespace, revision), repeat_name(namespace, fallback))
    return {
        "@type": f"{_CONFIG}.cluster.v3.Cluster",
        "name": relay_name(namespace, revision, fallback),
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.composite",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.clusters.composite.v3.ClusterConfig",
                "clusters": [{"name": member} for member in members],
            },
        },
        "circuit_breakers": _breakers(repeats=SPARED),
        "typed_extension_protocol_options": {_HTTP_OPTIONS: _marking_repeats()},
    }


def _marking_repeats() -> Resource:
    """Filters that run once per try. Envoy takes them from the relay, not from the member that it picks."""
    count = "request.headers['x-envoy-attempt-count']"
    mark = {"key": ATTEMPT_HEADER, "value": f"%CEL({count} == '1' ? 'first' : 'repeat')%"}
    mutation = {"append": {"header": mark, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    filters = "filters.http"
    return {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {"http_protocol_options": {}},
        "http_filters": [
            {
                "name": f"envoy.{filters}.header_mutation",
                "typed_config": {
                    "@type": f"{_EXTENSIONS}.{filters}.header_mutation.v3.HeaderMutation",
                    "mutations": {"request_mutations": [mutation]},
                },
            },
            {
                "name": f"envoy.{filters}.upstream_codec",
                "typed_config": {"@type": f"{_EXTENSIONS}.{filters}.upstream_codec.v3.UpstreamCodec"},
            },
        ],
    }


def _assignment(name: str, endpoints: Iterable[Endpoint]) -> Resource:
    members = [_endpoint(endpoint) for endpoint in sorted(endpoints)]
    return {
        "@type": f"{_CONFIG}.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": members}],
    }


def _endpoint(endpoint: Endpoint) -> Resource:
    address = {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
    return {"endpoint": {"address": address}}

"""Routes: which revision a request goes to, how long it may take, and what is repeated.

The split is a ladder of fractions, not Envoy's weighted clusters: each rung is a route, so that each share
has its own retry policy and its own counters. All rungs of one request see the same random number; the
thresholds are therefore cumulative, and the percents exact.
"""

import json
from datetime import timedelta
from itertools import accumulate

from turnout.gateway.clusters import ATTEMPT_HEADER
from turnout.gateway.topology import (
    Backend,
    Fork,
    Resource,
    Topology,
    cluster_name,
    model_host,
    relay_name,
    version_host,
)

ROUTES = "turnout"  # the one RouteConfiguration
OWN = "own"  # counters of version addresses: not a model's traffic
BUFFER_BYTES = 16 << 20  # a body that is to be repeated must fit; predictors take 8 MiB


def render_routes(topology: Topology) -> Resource:
    """The whole routing table."""
    known = {(backend.namespace, backend.revision): backend for backend in topology.backends}
    models = [_model(topology, fork, known) for fork in topology.forks]
    versions = [_version(topology, backend) for backend in topology.backends]
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "request_headers_to_remove": [ATTEMPT_HEADER],
        "ignore_port_in_host_matching": True,
        "virtual_hosts": [*models, *versions, _bare(topology, known)],
    }


Known = dict[tuple[str, str], Backend]


def _model(topology: Topology, fork: Fork, known: Known) -> Resource:
    everything: Resource = {"prefix": "/"}
    return _host(str(fork.key), [model_host(fork.key, topology.domain)], _ladder(topology, fork, known, everything))


def _version(topology: Topology, backend: Backend) -> Resource:
    host = version_host(backend.namespace, backend.version, topology.domain)
    action = _direct(topology, backend.cluster, backend)
    route: Resource = {
        "name": backend.revision,
        "stat_prefix": OWN,
        "match": {"prefix": "/"},
        "route": action,
    }
    return _host(f"{backend.cluster}/{OWN}", [host], [route])


def _bare(topology: Topology, known: Known) -> Resource:
    """Whoever names no host of ours: models of one namespace by their path, else an answer that helps."""
    forks = [fork for fork in topology.forks if fork.key.namespace == topology.bare_namespace]
    ladders = [
        rung
        for fork in forks
        for rung in _ladder(topology, fork, known, {"path_separated_prefix": f"/v2/models/{fork.key.model}"})
    ]
    return _host("bare", ["*"], [*ladders, _nobody(topology)])


def _nobody(topology: Topology) -> Resource:
    served = ", ".join(
        f"/v2/models/{fork.key.model} at {model_host(fork.key, topology.domain)}" for fork in topology.forks
    )
    error = f"No model serves this address. Served here: {served or 'nothing yet'}"
    body = json.dumps({"error": error, "code": "unknown_model"}) + "\n"
    return {
        "name": "nobody",
        "match": {"prefix": "/"},
        "direct_response": {"status": 404, "body": {"inline_string": body}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": "application/json"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }


def _host(name: str, domains: list[str], routes: list[Resource]) -> Resource:
    return {
        "name": name,
        "domains": domains,
        "include_request_attempt_count": True,
        "request_body_buffer_limit": BUFFER_BYTES,
        "routes": routes,
    }


def _ladder(topology: Topology, fork: Fork, known: Known, match: Resource) -> list[Resource]:
    thresholds = list(accumulate(share.percent for share in fork.split))
    rungs: list[Resource] = []
    for share, threshold in zip(fork.split, thresholds, strict=True):
        fraction = {"default_value": {"numerator": threshold, "denominator": "HUNDRED"}}
        rungs.append(
            {
                "name": share.revision,
                "stat_prefix": cluster_name(fork.key.namespace, share.revision),
                "match": match if threshold == thresholds[-1] else {**match, "runtime_fraction": fraction},
                "route": _action(topology, fork, share.revision, known),
            }
        )
    return rungs


def _action(topology: Topology, fork: Fork, revision: str, known: Known) -> Resource:
    namespace = fork.key.namespace
    first, second = known.get((namespace, revision)), known.get((namespace, fork.fallback))
    if first is None or second is None or first is second:
        return _direct(topology, cluster_name(namespace, revision), first)
    return {
        "cluster": relay_name(namespace, revision, fork.fallback),
        "timeout": _seconds(first.timeout + second.timeout + topology.wake_patience),
        "retry_policy": {
            "retry_on": "5xx",  # and resets, refused connections and timed-out tries, which count as such
            "num_retries": 1,
            "per_try_timeout": _seconds(first.timeout),
            "retry_back_off": {"base_interval": "0.001s"},
        },
    }


def _direct(topology: Topology, cluster: str, backend: Backend | None) -> Resource:
    """One revision alone. Only what never reached it is tried again: on another pod, or by waking one."""
    timeout = backend.timeout if backend else timedelta()
    return {
        "cluster": cluster,
        "timeout": _seconds(timeout + topology.wake_patience),
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset-before-request",
            "num_retries": 3,
            "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
        },
    }


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"

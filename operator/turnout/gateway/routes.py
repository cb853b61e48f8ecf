"""Routes: which revision a request goes to, how long it may take, and what is repeated.

The split is a ladder of fractions, not Envoy's weighted clusters: each rung is a route, so that each share
has its own retry policy and its own counters. All rungs of one request see the same random number; the
thresholds are therefore cumulative, and the percents exact.

Repeats must not bring stable down: of what it is asked at most a fifth may be repeats of what a candidate failed. That
is by lot, too, since the split is: of as many requests as make that fifth with stable's own each one is repeated, and
a share that is greater has a second rung, whose requests are repeated a few at a time. So a candidate with up to 20 %
costs no caller anything, however it fails.
"""

import json
from collections.abc import Iterator
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
from turnout.rollout.snapshot import Share

ROUTES = "turnout"  # the one RouteConfiguration
OWN = "own"  # counters of version addresses: not a model's traffic
BUFFER_BYTES = 16 << 20  # a body that is to be repeated must fit; predictors take 8 MiB
REPEATS_PERCENT = 20  # of what stable is asked
FAILURES = [500, 501, 502, 503]
"""What is repeated, besides what has no answer at all. Never 429 and 4xx, nor 504: the request's time is over."""


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
    ladder = list(_rungs(fork))
    thresholds = list(accumulate(share.percent for share, _ in ladder))
    rungs: list[Resource] = []
    for (share, in_budget), threshold in zip(ladder, thresholds, strict=True):
        fraction = {"default_value": {"numerator": threshold, "denominator": "HUNDRED"}}
        rungs.append(
            {
                "name": share.revision,
                "stat_prefix": cluster_name(fork.key.namespace, share.revision),
                "match": match if threshold == thresholds[-1] else {**match, "runtime_fraction": fraction},
                "route": _action(topology, fork, share.revision, known, in_budget=in_budget),
            }
        )
    return rungs


def _rungs(fork: Fork) -> Iterator[tuple[Share, bool]]:
    """Each share and whether its repeats are within the budget; in two where that has no room for all of it."""
    left = _budget(fork)
    for share in fork.split:
        is_repeated = bool(fork.fallback) and share.revision != fork.fallback
        within = min(share.percent, left) if is_repeated else share.percent
        if within:
            yield Share(share.revision, within), True
        if share.percent > within:
            yield Share(share.revision, share.percent - within), False
        left -= within if is_repeated else 0


def _budget(fork: Fork) -> int:
    """In percent of all requests: as many as are a fifth of what stable is asked if each of them is repeated."""
    own = sum(share.percent for share in fork.split if share.revision == fork.fallback)
    return own * REPEATS_PERCENT // (100 - REPEATS_PERCENT)


def _action(topology: Topology, fork: Fork, revision: str, known: Known, *, in_budget: bool) -> Resource:
    namespace = fork.key.namespace
    first, second = known.get((namespace, revision)), known.get((namespace, fork.fallback))
    if first is None or second is None or first is second:
        return _direct(topology, cluster_name(namespace, revision), first)
    return {
        "cluster": relay_name(namespace, revision, fork.fallback),
        "timeout": _seconds(first.timeout + second.timeout + topology.wake_patience),
        "priority": "DEFAULT" if in_budget else "HIGH",  # by which Envoy counts the repeats at a time
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",  # reset: timed-out tries, too
            "retriable_status_codes": FAILURES,
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

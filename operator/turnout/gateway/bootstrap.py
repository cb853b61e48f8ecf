"""What Envoy is started with: one listener, an admin socket, and where the rest is read from."""

from turnout.gateway.routes import ROUTES
from turnout.gateway.topology import Resource

LISTENER = "turnout"
STREAM_IDLE_SECONDS = 1200  # above every timeout that a ModelVersion may ask for, twice
DEADLINE = "x-request-deadline-ms"  # as a caller says it; whose time is over, nothing is repeated for
DEADLINE_GRACE_MS = 250  # the predictor says first that the time is over: in its own words, and counted

_HTTP = "type.googleapis.com/envoy.extensions.filters"


def render_bootstrap(*, host: str, port: int, admin_socket: str, clusters_file: str, routes_file: str) -> Resource:
    """The bootstrap; `clusters_file` and `routes_file` must exist when Envoy starts."""
    return {
        "node": {"id": LISTENER, "cluster": LISTENER},
        "admin": {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}},
        "dynamic_resources": {"cds_config": _file(clusters_file)},
        "static_resources": {"listeners": [_listener(host, port, routes_file)]},
    }


def render_discovery(version: str, resources: list[Resource]) -> Resource:
    """A discovery response, as Envoy reads it from a file."""
    return {"version_info": version, "resources": resources}


def _file(path: str) -> Resource:
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def _listener(host: str, port: int, routes_file: str) -> Resource:
    return {
        "name": LISTENER,
        "address": {"socket_address": {"address": host, "port_value": port}},
        "enable_reuse_port": False,  # else two Envoys could share a port without noticing
        "filter_chains": [{"filters": [_http_manager(routes_file)]}],
    }


def _http_manager(routes_file: str) -> Resource:
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": LISTENER,
            "use_remote_address": True,  # callers are outside: their x-envoy-* headers are stripped
            "normalize_path": True,
            "stream_idle_timeout": f"{STREAM_IDLE_SECONDS}s",
            "rds": {"route_config_name": ROUTES, "config_source": _file(routes_file)},
            "http_filters": [
                _deadline(),
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_HTTP}.http.router.v3.Router"},
                },
            ],
        },
    }


def _deadline() -> Resource:
    """A caller's own deadline ends all tries together; what is no number leaves the route's.

    One beyond `timeoutSeconds` changes nothing for the caller: there a predictor answers by itself.
    """
    asked = f"request.headers['{DEADLINE}']"
    header = {"key": "x-envoy-upstream-rq-timeout-ms", "value": f"%CEL(int({asked}) + {DEADLINE_GRACE_MS})%"}
    mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    return {
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": f"{_HTTP}.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": [mutation]},
        },
    }

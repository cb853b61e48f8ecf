"""What Envoy is started with: one listener, an admin socket, and where the rest is read from."""

from turnout.gateway.routes import ROUTES
from turnout.gateway.topology import Resource

LISTENER = "turnout"
STREAM_IDLE_SECONDS = 1200  # above every timeout that a ModelVersion may ask for, twice

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
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_HTTP}.http.router.v3.Router"},
                }
            ],
        },
    }

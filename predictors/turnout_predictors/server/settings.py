"""What a version may set of the server itself: bounds of requests and of connections, what is kept, and who is told.

    spec:
      predictor:
        settings:
          server: {max_rows: 512, head_seconds: 5}

All of it binds at the start: no request and no tenant may touch it. The rest of `settings` is the model's own. The
defaults need no import; pydantic, which the port must not wait for, comes in where a version says something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from turnout_predictors.errors import SETTINGS_INVALID, StartError

if TYPE_CHECKING:
    from turnout_predictors.settings import Settings

SECTION: Final = "server"
ABOVE_DATA: Final = 4  # levels: the document, `inputs`, the tensor, its `data`


def setting(default: Any, description: str, **bounds: Any) -> Any:
    """A field of the settings below, with what pydantic is to check."""
    return field(default=default, metadata={"description": description, **bounds})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds are checked before anything is allocated for what lies beyond them."""

    max_body_bytes: int = setting(
        8 << 20, "bytes of a body, packed and unpacked, and of a gRPC message", ge=1 << 10, le=1 << 30
    )
    max_head_bytes: int = setting(
        64 << 10, "bytes of a request's line and headers, and of its trailers", ge=4 << 10, le=1 << 20
    )
    max_tensors: int = setting(256, "tensors in a request, and outputs that it may want", ge=1, le=4096)
    max_rows: int = setting(1 << 17, "rows in a tensor, where the model declares how they are called", ge=1, le=1 << 24)
    max_depth: int = setting(
        16, "levels of a JSON document; a tensor has at most so many dimensions, less four", ge=6, le=64
    )
    queue_requests: int = setting(
        1024, "requests that may be unanswered; who comes beyond is told to come again", ge=1, le=1 << 17
    )
    queue_rows: int = setting(1 << 17, "rows that may wait for a forward", ge=1, le=1 << 24)
    head_seconds: float = setting(
        60.0, "seconds in which a request's head must arrive; never above timeoutSeconds", ge=0.1, le=600
    )
    idle_seconds: float = setting(
        # Longer than the proxies' own, so that they close idle connections, not we.
        65.0,
        "seconds after which a connection without a request is closed",
        ge=1,
        le=86400,
    )

    @property
    def max_dimensions(self) -> int:
        return self.max_depth - ABOVE_DATA

    def limits(self) -> Mapping[str, float]:
        """Every bound by its name, as the metric shows it."""
        return {each.name: float(getattr(self, each.name)) for each in fields(Limits)}


@dataclass(frozen=True, slots=True)
class ServerSettings(Limits):
    """All that stands in `server`."""

    cache_bytes: int = setting(0, "bytes of computed rows that are kept for equal ones; 0 keeps none", ge=0, le=1 << 36)
    cache_seconds: float = setting(300.0, "seconds for which a computed row is kept", ge=1, le=86400)
    payload_log: str = setting("", "where a sample of requests and answers goes: file:///path, or http and https")
    payload_share: float = setting(1.0, "share of the requests that is in that sample", ge=0, le=1)
    payload_queue_bytes: int = setting(16 << 20, "bytes of it that may wait; more is dropped", ge=1 << 10, le=1 << 30)
    payload_redact: str = setting("", "package.module:function that each is given to before it is written")
    traces: str = setting("", "where spans of predictions go: a collector's OTLP address for traces, by http or https")
    traces_share: float = setting(1.0, "share of the traces that begin here; callers decide on theirs", ge=0, le=1)


DEFAULTS: Final = ServerSettings()


def parted(settings: Mapping[str, Any]) -> tuple[ServerSettings, Mapping[str, Any]]:
    """The server's own, and what is left for the model. StartError names the setting that is wrong."""
    if SECTION not in settings:
        return DEFAULTS, settings
    own = settings[SECTION]
    if not isinstance(own, dict):
        raise StartError(SETTINGS_INVALID, f"settings.{SECTION} must be an object")
    rest = {name: value for name, value in settings.items() if name != SECTION}
    return bind_server(own), rest


def bind_server(values: Mapping[str, Any]) -> ServerSettings:
    from turnout_predictors.settings import bind

    return ServerSettings(**bind(schema(), dict(values), f"settings.{SECTION}").model_dump())


@cache
def schema() -> type[Settings]:
    """The same fields as a type of settings, which checks them."""
    from pydantic import create_model

    from turnout_predictors.settings import Settings, load

    kinds = get_type_hints(ServerSettings)
    described: dict[str, Any] = {
        each.name: (kinds[each.name], load(each.default, **each.metadata)) for each in fields(ServerSettings)
    }
    return create_model("ServerSettings", __base__=Settings, **described)

"""Settings of a predictor: a frozen pydantic model whose fields say when they may change.

`compute` settings change the forward and so part batches, `post` settings are applied per row afterwards, and
`load` settings bind once: no request may touch them.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import SETTINGS_INVALID, RequestError, StartError

When = Literal["compute", "post", "load"]
_WHEN: Final = "when"


class Settings(BaseModel):
    """Base of every predictor's settings. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def compute(default: Any, **bounds: Any) -> Any:
    """A setting that changes the forward (prompt, max_length)."""
    return Field(default, json_schema_extra={_WHEN: "compute"}, **bounds)


def post(default: Any, **bounds: Any) -> Any:
    """A setting applied per row after the forward (thresholds, top_k)."""
    return Field(default, json_schema_extra={_WHEN: "post"}, **bounds)


def load(default: Any, **bounds: Any) -> Any:
    """A setting that binds when the model is loaded (allow_pickle, device)."""
    return Field(default, json_schema_extra={_WHEN: "load"}, **bounds)


def when(settings: type[Settings], name: str) -> When:
    """When the field takes effect; undeclared means load, the strictest."""
    extra = settings.model_fields[name].json_schema_extra
    value = extra.get(_WHEN, "load") if isinstance(extra, dict) else "load"
    return value if value in ("compute", "post") else "load"  # type: ignore[return-value]


def bind(kind: type[Settings], values: dict[str, object], where: str = "settings") -> Settings:
    """The version's settings, or StartError naming field, fact and what is allowed."""
    try:
        return kind.model_validate(values)
    except ValidationError as fault:
        raise StartError(SETTINGS_INVALID, _explain(kind, fault, where)) from None


def override(base: Settings, values: dict[str, object]) -> Settings:
    """One request's settings over the version's. RequestError names the setting and the allowed ones."""
    kind = type(base)
    allowed = sorted(name for name in kind.model_fields if when(kind, name) != "load")
    for name in values:
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise RequestError(
                "unknown_setting",
                f"setting {name!r} cannot be given in a request; allowed: {known}",
                field=f"parameters.settings.{name}",
            )
    try:
        return kind.model_validate({**base.model_dump(), **values})
    except ValidationError as fault:
        raise RequestError(
            "invalid_input", _explain(kind, fault, "parameters.settings"), field="parameters.settings"
        ) from None


def _explain(kind: type[Settings], fault: ValidationError, where: str) -> str:
    first = fault.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join([where, *map(str, first["loc"])])
    if first["type"] == "extra_forbidden":
        return f"{path} is unknown; allowed: {', '.join(sorted(kind.model_fields)) or 'none'}"
    return f"{path}: {first['msg']}"

"""Which path means what. Exact targets first; then segments of the path, each percent-decoded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from turnout_predictors.errors import RequestError

GET: Final = ("GET", "HEAD")
POST: Final = ("POST",)
_MODEL_VERBS: Final = {"": "metadata", "ready": "model_ready", "infer": "infer", "examples": "examples"}
_FIXED: Final = {
    "/v2": "server",
    "/v2/": "server",
    "/v2/models": "models",
    "/v2/health/live": "live",
    "/v2/health/ready": "ready",
    "/v2/repository/index": "index",
    "/v1/models": "v1_models",
    "/v1/embeddings": "embeddings",
    "/v1/rerank": "rerank",
    "/rerank": "rerank",
    "/metrics": "metrics",
    "/openapi.json": "openapi",
    "/docs": "docs",
}
_METHODS: Final = {
    "infer": POST,
    "v1_predict": POST,
    "embeddings": POST,
    "rerank": POST,
    "load": POST,
    "unload": POST,
    "index": (*GET, *POST),  # the protocol says POST, people say GET
}
INFER: Final = frozenset({"infer", "v1_predict", "embeddings", "rerank"})


@dataclass(frozen=True, slots=True)
class Routes:
    """The table for one model and one version; another name is unknown_model, another version
    unknown_version.
    """

    model: str
    version: str
    exact: dict[bytes, str]

    @classmethod
    def of(cls, model: str, version: str) -> Routes:
        fixed = dict(_FIXED)
        plain = model if unquote(model) == model and "/" not in model else ""
        for base in (f"/v2/models/{plain}", f"/v2/models/{plain}/versions/{version}") if plain else ():
            fixed |= {f"{base}/{verb}" if verb else base: name for verb, name in _MODEL_VERBS.items()}
        return cls(model, version, {path.encode(): name for path, name in fixed.items()})

    def resolve(self, method: str, target: bytes) -> str:
        """The handler's name; RequestError with unknown_* or method_not_allowed."""
        path = target.partition(b"?")[0]
        name = self.exact.get(path) or self._by_segments(path)
        allowed = _METHODS.get(name, GET)
        if method not in allowed:
            shown = path.decode("latin-1")
            message = f"{method} is not served at {shown}; use {' or '.join(allowed)}"
            fault = RequestError("method_not_allowed", message)
            fault.allowed = allowed
            raise fault
        return name

    def _by_segments(self, path: bytes) -> str:
        segments = [unquote(segment) for segment in path.decode("latin-1").strip("/").split("/")]
        if segments[:2] == ["v2", "repository"] and len(segments) == 5 and segments[2] == "models":
            self._check_model(segments[3])
            if segments[4] in ("load", "unload"):
                return segments[4]
        if segments[:2] == ["v1", "models"] and len(segments) == 3:
            model, _, verb = segments[2].rpartition(":") if ":" in segments[2] else (segments[2], "", "")
            self._check_model(model)
            if verb in ("", "predict"):
                return "v1_predict" if verb else "v1_model"
        if len(segments) >= 3 and segments[:2] == ["v2", "models"]:
            self._check_model(segments[2])
            name = _MODEL_VERBS.get("/".join(self._without_version(segments[3:])))
            if name is not None:
                return name
        shown = path.decode("latin-1")
        raise RequestError("unknown_route", f"nothing is served at {shown}; GET /openapi.json says what is")

    def _check_model(self, model: str) -> None:
        if model != self.model:
            raise RequestError("unknown_model", f"model {model!r} is not served here; {self.model!r} is")

    def _without_version(self, rest: list[str]) -> list[str]:
        if len(rest) < 2 or rest[0] != "versions":
            return rest
        if rest[1] != self.version:
            raise RequestError(
                "unknown_version",
                f"version {rest[1]!r} of {self.model!r} is not served here; {self.version!r} is",
            )
        return rest[2:]

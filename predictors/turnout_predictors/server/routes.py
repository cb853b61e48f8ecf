"""Which path means what. Exact strings first; then segments of the raw path, each percent-decoded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from turnout_predictors.errors import RequestError

GET: Final = ("GET", "HEAD")
POST: Final = ("POST",)
_MODEL_VERBS: Final = {"": "metadata", "ready": "model_ready", "infer": "infer", "examples": "examples"}


@dataclass(frozen=True, slots=True)
class Routes:
    """The table for one model and one version; another name is unknown_model, another version
    unknown_version.
    """

    model: str
    version: str
    exact: dict[str, str]

    @classmethod
    def of(cls, model: str, version: str) -> Routes:
        fixed = {
            "/v2": "server",
            "/v2/": "server",
            "/v2/models": "models",
            "/v2/health/live": "live",
            "/v2/health/ready": "ready",
            "/metrics": "metrics",
        }
        plain = model if unquote(model) == model and "/" not in model else ""
        for base in (f"/v2/models/{plain}", f"/v2/models/{plain}/versions/{version}") if plain else ():
            fixed |= {f"{base}/{verb}" if verb else base: name for verb, name in _MODEL_VERBS.items()}
        return cls(model, version, fixed)

    def resolve(self, method: str, path: str, raw_path: bytes) -> str:
        """The handler's name; RequestError with unknown_* or method_not_allowed."""
        name = self.exact.get(path) or self._by_segments(raw_path)
        if method not in (POST if name == "infer" else GET):
            allowed = "POST" if name == "infer" else "GET"
            raise RequestError("method_not_allowed", f"{method} is not served at {path}; use {allowed}")
        return name

    def _by_segments(self, raw_path: bytes) -> str:
        segments = [unquote(segment) for segment in raw_path.decode("latin-1").strip("/").split("/")]
        if len(segments) < 3 or segments[:2] != ["v2", "models"]:
            raise self._unknown(raw_path)
        model, rest = segments[2], segments[3:]
        if model != self.model:
            raise RequestError("unknown_model", f"model {model!r} is not served here; {self.model!r} is")
        if len(rest) >= 2 and rest[0] == "versions":
            if rest[1] != self.version:
                raise RequestError(
                    "unknown_version",
                    f"version {rest[1]!r} of {model!r} is not served here; {self.version!r} is",
                )
            rest = rest[2:]
        name = _MODEL_VERBS.get("/".join(rest))
        if name is None:
            raise self._unknown(raw_path)
        return name

    def _unknown(self, raw_path: bytes) -> RequestError:
        return RequestError("unknown_route", f"nothing is served at {raw_path.decode('latin-1')}; GET /v2 says what is")

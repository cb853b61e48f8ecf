"""What can load a model, by name. A runtime is a module; it is imported by the loader, after the port is
open.

Each module has `import_libraries()`, which brings in what the model needs, and `load(start)`, which returns
the model. Both run on the model thread.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from turnout_predictors.artifacts import Artifact
from turnout_predictors.batching.engine import AsyncModel, Model
from turnout_predictors.errors import ARTIFACT_INVALID, DEPENDENCY_MISSING, RUNTIME_NOT_SERVED, StartError

RUNTIMES: Final[Mapping[str, str]] = {
    "sklearn": "sklearn",
    "sentence-transformers": "sentence_transformers",
    "custom": "custom",
}


@dataclass(frozen=True, slots=True)
class Start:
    """Everything a runtime may need to load one version."""

    model_name: str
    model_version: str
    artifact: Artifact | None
    settings: Mapping[str, Any]
    entrypoint: str
    threads: int

    def require_artifact(self) -> Artifact:
        if self.artifact is None:
            raise StartError(ARTIFACT_INVALID, "this runtime needs an artifact; set artifact.uri and its digest")
        return self.artifact


class Runtime(Protocol):
    def import_libraries(self) -> None: ...

    def load(self, start: Start) -> Model | AsyncModel: ...


def find(name: str) -> Runtime:
    """StartError if this build has no such runtime."""
    module = RUNTIMES.get(name)
    if module is None:
        raise StartError(RUNTIME_NOT_SERVED, f"runtime {name!r} is not served; served: {', '.join(RUNTIMES)}")
    return cast(Runtime, importlib.import_module(f".{module}", __name__))


def missing(fault: ImportError, extra: str) -> StartError:
    """The image lacks a library; says which extra brings it."""
    return StartError(
        DEPENDENCY_MISSING, f"{fault.name or fault} cannot be imported ({fault}); install turnout[{extra}]"
    )

"""The user's own class, named as `package.module:Class`: one of our Predictors, or any kserve.Model.

kserve is imported here, on the model thread, beside a port that already answers.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, Final

from turnout_predictors.batching.engine import AsyncModel, Model, Outputs, Work
from turnout_predictors.batching.thread import ModelThread
from turnout_predictors.errors import (
    DEPENDENCY_MISSING,
    ENTRYPOINT_INVALID,
    LOAD_FAILED,
    SETTINGS_INVALID,
    StartError,
)
from turnout_predictors.settings import bind
from turnout_predictors.signature import Signature

from . import Start, missing

PLATFORM: Final = "turnout_custom"


def import_libraries() -> None:
    try:
        import kserve  # noqa: F401
    except ImportError as fault:
        raise missing(fault, "predictor") from None


def load(start: Start) -> Model | AsyncModel:
    """StartError if the class cannot be imported, is no model, or does not load."""
    from kserve import Model as KserveModel

    from turnout_predictors.predictor import Predictor

    kind = resolve(start.entrypoint)
    if not (isinstance(kind, type) and issubclass(kind, KserveModel)):
        raise StartError(
            ENTRYPOINT_INVALID,
            f"entrypoint {start.entrypoint!r} is no class of turnout_predictors.Predictor or kserve.Model",
        )
    if issubclass(kind, Predictor):
        return _load_predictor(kind, start)
    from .foreign import load_foreign

    if start.settings:
        raise StartError(SETTINGS_INVALID, f"{start.entrypoint} is a plain kserve.Model and takes no settings")
    return load_foreign(kind, start)


def resolve(entrypoint: str) -> object:
    """What the entrypoint names."""
    module_name, _, attribute = entrypoint.partition(":")
    if not module_name or not attribute:
        raise StartError(ENTRYPOINT_INVALID, f"entrypoint {entrypoint!r} must be package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as fault:
        if fault.name and (module_name == fault.name or module_name.startswith(f"{fault.name}.")):
            raise StartError(
                ENTRYPOINT_INVALID,
                f"entrypoint {entrypoint!r}: there is no module {fault.name!r} in this image",
            ) from None
        raise StartError(
            DEPENDENCY_MISSING,
            f"entrypoint {entrypoint!r} imports {fault.name!r}, which is not in this image",
        ) from fault
    found: object = module
    for name in attribute.split("."):
        found = getattr(found, name, None)
    if found is None:
        raise StartError(ENTRYPOINT_INVALID, f"entrypoint {entrypoint!r}: {module_name} has no {attribute!r}")
    return found


def _load_predictor(kind: type[Any], start: Start) -> Model | AsyncModel:
    try:
        signature = kind.signature()
    except TypeError as fault:
        raise StartError(ENTRYPOINT_INVALID, str(fault)) from None
    predictor = kind(start.model_name)
    predictor.artifact = start.artifact
    predictor.settings = bind(kind.Settings, dict(start.settings))
    if predictor.load() is False:
        raise StartError(LOAD_FAILED, f"{start.entrypoint}.load() returned False")
    predictor.ready = True
    return serve_predictor(predictor, signature)


def serve_predictor(predictor: Any, signature: Signature | None = None) -> Model | AsyncModel:
    """A loaded Predictor as engines take it."""
    served = AsyncPredictor if inspect.iscoroutinefunction(predictor.predict) else ThreadPredictor
    return served(predictor, signature or predictor.signature())


class _Served:
    platform = PLATFORM

    def __init__(self, predictor: Any, signature: Any) -> None:
        self._predictor = predictor
        self.signature = signature
        self.settings = predictor.settings

    def _batch(self, work: Work) -> Any:
        return self._predictor.Inputs(**work.inputs)


class ThreadPredictor(_Served):
    """`def predict`: runs on the model thread. What the scheduler may know of it are the predictor's own words."""

    def __init__(self, predictor: Any, signature: Any) -> None:
        super().__init__(predictor, signature)
        self.whole = predictor.whole
        self.nondeterministic = predictor.nondeterministic
        if hasattr(predictor, "lengths"):
            self.lengths = lambda work: predictor.lengths(self._batch(work))
        if hasattr(predictor, "finish"):
            self.finish = predictor.finish

    def forward(self, work: Work) -> Outputs:
        return _arrays(self._predictor.predict(self._batch(work), work.settings))


class AsyncPredictor(_Served):
    """`async def predict`: runs on the event loop, for I/O."""

    async def infer(self, work: Work, thread: ModelThread) -> Outputs:
        return _arrays(await self._predictor.predict(self._batch(work), work.settings))


def _arrays(outputs: Any) -> Outputs:
    if isinstance(outputs, Mapping):
        return outputs
    arrays: Outputs = outputs.arrays()
    return arrays

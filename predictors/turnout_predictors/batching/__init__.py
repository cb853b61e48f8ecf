"""Where requests become forwards: one engine for models that compute, one for models that wait."""

from __future__ import annotations

from typing import Any, cast

from .budget import Budget
from .coroutines import Coroutines
from .engine import AsyncModel, Engine, Model, Outputs, Work
from .scheduler import Observer, Scheduler
from .thread import ModelThread

__all__ = [
    "AsyncModel",
    "Budget",
    "Coroutines",
    "Engine",
    "Model",
    "ModelThread",
    "Observer",
    "Outputs",
    "Scheduler",
    "Work",
    "engine_for",
]


def engine_for(
    model: Model | AsyncModel,
    thread: ModelThread,
    *,
    timeout_seconds: float,
    queue_limit: int,
    observer: Observer | None = None,
    **more: Any,
) -> Engine:
    """The engine that suits the model: one with `infer` waits, one with `forward` computes."""
    if hasattr(model, "infer"):
        return Coroutines(cast(AsyncModel, model), thread, timeout_seconds=timeout_seconds, queue_limit=queue_limit)
    return Scheduler(model, thread, timeout_seconds=timeout_seconds, queue_limit=queue_limit, observer=observer, **more)

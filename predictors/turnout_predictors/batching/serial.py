"""The engine of the skeleton: one forward at a time in order of arrival, no merging of requests.

What it already keeps of the scheduler's promises: a bounded queue, a deadline for each request, expired work
that costs no forward, and outputs that are checked against the signature before anybody sees them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from turnout_predictors.datatypes import DATATYPES
from turnout_predictors.errors import DeadlineExceeded, ModelError, Overloaded, RequestError
from turnout_predictors.signature import Signature, TensorSpec

from .engine import Array, AsyncModel, Model, Outputs, Work, as_array
from .thread import ModelThread

log = logging.getLogger(__name__)


class SerialEngine:
    """See `Engine`. `timeout_seconds` bounds a forward: beyond it the model counts as hung."""

    def __init__(
        self,
        model: Model | AsyncModel,
        thread: ModelThread,
        *,
        timeout_seconds: float,
        queue_limit: int = 1024,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._timeout_seconds = timeout_seconds
        self._queue_limit = queue_limit
        self._pending = 0
        self._start = self._starter(model)

    def submit(self, work: Work) -> asyncio.Future[Outputs]:
        if self._pending >= self._queue_limit:
            raise Overloaded(f"{self._pending} requests are waiting, the limit; try again")
        self._pending += 1
        future = self._start(work)
        timer = self._loop.call_at(work.deadline, _expire, future)
        future.add_done_callback(partial(self._ended, timer))
        return future

    def is_hung(self) -> bool:
        return self._thread.busy_seconds() > self._timeout_seconds

    def pending(self) -> int:
        return self._pending

    def _ended(self, timer: asyncio.TimerHandle, _: asyncio.Future[Outputs]) -> None:
        self._pending -= 1
        timer.cancel()

    def _starter(self, model: Model | AsyncModel) -> Callable[[Work], asyncio.Future[Outputs]]:
        infer = getattr(model, "infer", None)
        if infer is None:
            forward = getattr(model, "forward")  # noqa: B009 - the union's other half
            return lambda work: self._thread.submit(partial(_forward, forward, model.signature, work))
        return lambda work: _as_future(self._loop, _infer(infer, self._thread, model.signature, work))


def _as_future(loop: asyncio.AbstractEventLoop, steps: Coroutine[Any, Any, Outputs]) -> asyncio.Future[Outputs]:
    """A coroutine's result in a plain future, so that both kinds of model end, expire and are cancelled alike."""
    future: asyncio.Future[Outputs] = loop.create_future()
    task = loop.create_task(steps)
    task.add_done_callback(partial(_copy, future))
    future.add_done_callback(lambda _: task.cancel())
    return future


def _copy(future: asyncio.Future[Outputs], task: asyncio.Task[Outputs]) -> None:
    if future.done():
        if not task.cancelled():
            task.exception()  # seen: nobody waits for it any more
    elif task.cancelled():
        future.set_exception(ModelError("the model cancelled its own work"))
    elif (fault := task.exception()) is not None:
        future.set_exception(fault)
    else:
        future.set_result(task.result())


def _expire(future: asyncio.Future[Outputs]) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded("the request's deadline passed before the model answered"))


def _forward(forward: Callable[[Work], Outputs], signature: Signature | None, work: Work) -> Outputs:
    """Runs on the model thread."""
    try:
        outputs = forward(work)
    except RequestError:
        raise  # the model's own word on the request
    except Exception as fault:  # foreign code may raise anything; the caller learns the type alone
        raise _model_error(fault) from fault
    return outputs if signature is None else checked(signature, work, outputs)


async def _infer(infer: Any, thread: ModelThread, signature: Signature | None, work: Work) -> Outputs:
    try:
        outputs: Outputs = await infer(work, thread)
    except RequestError:
        raise
    except Exception as fault:  # as in _forward
        raise _model_error(fault) from fault
    return outputs if signature is None else checked(signature, work, outputs)


def _model_error(fault: Exception) -> ModelError:
    log.error("the model raised", exc_info=fault)
    return ModelError(f"the model raised {type(fault).__name__}")


def checked(signature: Signature, work: Work, outputs: Outputs) -> dict[str, Array]:
    """The wanted outputs in declared order, in their declared types and shapes; ModelError if they lie."""
    dims = dict(work.dims)
    kept: dict[str, Array] = {}
    for spec in signature.outputs:
        if spec.name not in work.outputs:
            continue
        if spec.name not in outputs:
            if spec.optional:
                continue
            raise _lie(f"output {spec.name!r} is missing; the model returned {', '.join(outputs) or 'none'}")
        array = as_array(outputs[spec.name])
        _check_shape(spec, array, dims)
        kept[spec.name] = _cast(spec, array)
    return kept


def _check_shape(spec: TensorSpec, array: Array, dims: dict[str, int]) -> None:
    fits = len(spec.shape) == array.ndim and all(
        size == (declared if isinstance(declared, int) else dims.setdefault(declared, size))
        for declared, size in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        bound = {name: size for name, size in dims.items() if name in spec.shape}
        raise _lie(f"output {spec.name!r} has shape {list(array.shape)}, declared {list(spec.shape)} with {bound}")


def _cast(spec: TensorSpec, array: Array) -> Array:
    datatype = DATATYPES[spec.datatype]
    if array.dtype == datatype.dtype:
        return array
    if (array.dtype.kind in "OUST") != (datatype.kind == "bytes"):
        raise _lie(f"output {spec.name!r} has type {array.dtype}, declared {spec.datatype}")
    return array.astype(datatype.dtype)


def _lie(message: str) -> ModelError:
    log.error("the model broke its declaration: %s", message)
    return ModelError(message)

"""The engine of models that wait for something else: requests run beside each other on the event loop."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from turnout_predictors.errors import DeadlineExceeded, ModelError, Overloaded, RequestError

from .door import Door
from .engine import AsyncModel, Outputs, Work
from .outputs import checked
from .thread import ModelThread

log = logging.getLogger(__name__)


class Coroutines:
    """See `Engine`. `timeout_seconds` bounds a step on the model thread: beyond it the model counts as hung."""

    def __init__(
        self, model: AsyncModel, thread: ModelThread, *, timeout_seconds: float, queue_limit: int = 1024
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._model = model
        self._thread = thread
        self._timeout_seconds = timeout_seconds
        self._door = Door(queue_limit)

    def submit(self, work: Work) -> asyncio.Future[Outputs]:
        if why := self._door.refusal(work.tenant):
            raise Overloaded(why)
        self._door.enter(work.tenant)
        future: asyncio.Future[Outputs] = self._loop.create_future()
        task = self._loop.create_task(self._infer(work))
        task.add_done_callback(partial(_copy, future))
        timer = self._loop.call_at(work.deadline, _expire, future)
        future.add_done_callback(partial(self._ended, work.tenant, task, timer))
        return future

    def is_hung(self) -> bool:
        return self._thread.busy_seconds() > self._timeout_seconds

    def pending(self) -> int:
        return len(self._door)

    def queued(self) -> int:
        return 0

    def _ended(
        self, tenant: str, task: asyncio.Task[Outputs], timer: asyncio.TimerHandle, _: asyncio.Future[Outputs]
    ) -> None:
        self._door.leave(tenant)
        timer.cancel()
        task.cancel()

    async def _infer(self, work: Work) -> Outputs:
        signature = self._model.signature
        try:
            outputs = await self._model.infer(work, self._thread)
            return outputs if signature is None else checked(signature, work.outputs, work.dims, outputs)
        except RequestError as fault:
            if isinstance(fault, ModelError):
                log.error("the model broke its declaration: %s", fault.message)
            raise  # else the model's own word on the request
        except Exception as fault:  # foreign code may raise anything; the caller learns the type alone
            log.error("the model raised", exc_info=fault)
            raise ModelError(f"the model raised {type(fault).__name__}") from fault


def _copy(future: asyncio.Future[Outputs], task: asyncio.Task[Outputs]) -> None:
    """A coroutine's result in a plain future, so that it ends, expires and is cancelled as every engine's."""
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

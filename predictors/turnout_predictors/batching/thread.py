"""The model thread: everything a model does happens on it, one call at a time.

The event loop never runs a model's code, so it answers probes during any forward. Results of calls that ended
close together reach the loop in one wake-up; under load that halves the cost of the crossing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
Done = Callable[[Any, BaseException | None], None]
_Call = tuple[Callable[[], bool] | None, Callable[[], Any], Done]
_Result = tuple[Done, Any, BaseException | None]


class ModelThread:
    """One daemon thread with a queue. Bounding the queue is the engine's business."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str = "model") -> None:
        self._loop = loop
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._results: deque[_Result] = deque()
        self._woken = False
        self.busy_since: float | None = None
        # A daemon: a forward that never returns must not keep a drained process alive.
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what is queued."""
        self._calls.put(None)

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Queues the call. A future that is cancelled or failed before its turn costs no call."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._calls.put((future.done, call, partial(_settle, future)))
        return future

    def run(self, call: Callable[[], Any], done: Done) -> None:
        """Queues the call; `done` gets its result or its fault, on the loop. Cheaper than a future."""
        self._calls.put((None, call, done))

    def busy_seconds(self) -> float:
        """How long the present call has been running; 0 when idle."""
        since = self.busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            is_settled, call, done = item
            if is_settled is not None and is_settled():
                continue
            self.busy_since = time.monotonic()
            try:
                self._report((done, call(), None))
            except BaseException as fault:  # foreign code: even SystemExit must reach the one who waits
                self._report((done, None, fault))
            finally:
                self.busy_since = None

    def _report(self, result: _Result) -> None:
        self._results.append(result)
        if not self._woken:
            # The loop clears the flag before it drains: an append seen with the flag set is always drained.
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._results:
            done, value, fault = self._results.popleft()
            done(value, fault)


def _settle(future: asyncio.Future[Any], value: Any, fault: BaseException | None) -> None:
    if future.done():
        return
    if fault is None:
        future.set_result(value)
    else:
        future.set_exception(_carried(fault))


def _carried(fault: BaseException) -> BaseException:
    """asyncio refuses StopIteration and ends the loop on SystemExit and KeyboardInterrupt."""
    if isinstance(fault, (StopIteration, SystemExit, KeyboardInterrupt)):
        return RuntimeError(f"{type(fault).__name__}: {fault}")
    return fault

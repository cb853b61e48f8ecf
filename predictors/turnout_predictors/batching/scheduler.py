"""The engine of models that compute: one forward at a time, of whatever waits, as soon as the last one ends.

No window: who comes alone goes alone, who queues shares a forward. Nobody can tell, by values, order, errors or
deadlines, that a forward was shared: one that fails is run again request by request. Everything here happens on
the event loop but the forward itself, which the model thread runs.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from turnout_predictors.errors import DeadlineExceeded, ModelError, Overloaded, RequestError
from turnout_predictors.signature import Signature

from .budget import Budget, Fit, choose
from .door import Door, has_room
from .engine import Array, Model, Outputs, Work, as_array
from .known import Known, Told
from .measuring import Unmeasured
from .merging import Layout, join, layout_of, part, rejoin, rows_of
from .outputs import checked
from .splitting import Job, split
from .thread import ModelThread
from .turns import Piece, Turns

log = logging.getLogger(__name__)


class Observer(Protocol):
    """What the scheduler tells about its work; called on the event loop."""

    def forwarded(self, *, rows: int, tokens: float, padding: float, seconds: float, waited: Sequence[float]) -> None:
        """`tokens`: what the rows cost by the model's own lengths; 0 where it says none."""

    def recalled(self, *, miss: int, shared: int, hit: int) -> None:
        """Rows of a forward that were compared with others: computed, of a forward in flight, of what is kept."""

    def dropped(self, reason: str) -> None:
        """A request got no forward: full, deadline or cancelled."""


class Scheduler:
    """See `Engine`. `timeout_seconds` bounds a forward: beyond it the model counts as hung.

    `queue_limit` requests may be unanswered, `queue_rows` rows may wait; more is refused at once, and so is what
    cannot be answered by its deadline as forwards have been going. `cache_bytes` of rows are kept for `cache_seconds`.
    """

    def __init__(
        self,
        model: Model,
        thread: ModelThread,
        *,
        timeout_seconds: float,
        queue_limit: int = 1024,
        queue_rows: int = 1 << 17,
        budget: Budget | None = None,
        cache_bytes: int = 0,
        cache_seconds: float = 0.0,
        observer: Observer | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._timeout_seconds = timeout_seconds
        self._door = Door(queue_limit)
        self._queue_rows = queue_rows
        self._observer = observer
        self._forward = _Forward(model, cache_bytes, cache_seconds)
        self._layout = self._forward.layout
        lengths = getattr(model, "lengths", None) if self._layout else None
        self._unmeasured = Unmeasured(lengths) if lengths is not None else None
        self._budget = budget or Budget(padded=getattr(model, "budget_padded", math.inf))
        self._turns = Turns()
        self._fit = Fit()
        self._live: set[Job] = set()
        self._is_running = False
        self._is_woken = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, work: Work) -> asyncio.Future[Outputs]:
        job = self._admit(work)
        self._live.add(job)
        self._door.enter(work.tenant)
        job.future.add_done_callback(partial(self._forget_if_cancelled, job))
        if self._unmeasured is not None:
            self._unmeasured.add(job)
        else:
            self._queue(job, None)
        if self._timer is None or work.deadline < self._timer.when():
            self._watch(work.deadline)
        if not self._is_running and not self._is_woken:
            # At the end of this turn of the loop: what arrives with it shares the forward, and nobody waited.
            self._is_woken = True
            self._loop.call_soon(self._dispatch)
        return job.future

    def is_hung(self) -> bool:
        return self._thread.busy_seconds() > self._timeout_seconds

    def pending(self) -> int:
        return sum(not job.future.done() for job in self._live)

    def queued(self) -> int:
        return self._turns.rows + (self._unmeasured.rows if self._unmeasured is not None else 0)

    # -- the door --------------------------------------------------------------------------------------------

    def _admit(self, work: Work) -> Job:
        """Overloaded if it would wait behind too much."""
        if work.deadline <= self._loop.time():
            self._drop("deadline")
            raise DeadlineExceeded("the request's deadline had passed when it came")
        job = Job(work, self._loop.create_future(), time.perf_counter(), rows_of(work) if self._layout else 1)
        if self._too_much(job) is not None:
            self._forget_cancelled()  # what they asked for is in nobody's way
            refusal = self._too_much(job)
            if refusal is not None:
                self._drop("full")
                raise refusal
        return job

    def _too_much(self, job: Job) -> Overloaded | None:
        tenant, rows, waiting = job.work.tenant, job.rows, self.queued()
        if why := self._door.refusal(tenant):
            return Overloaded(why, 1)
        if not waiting:
            return None
        if not has_room(self._queue_rows, waiting, self._rows_of(tenant) if tenant else 0, rows):
            return Overloaded(f"{waiting} rows are waiting; try again", 1)
        cost, count = self._turns.cost + rows, len(self._turns) + 1.0
        if self._unmeasured is not None:
            cost = self._turns.cost + (self._unmeasured.rows + rows) * self._unmeasured.typical
        if self._layout is not None:
            count = max(1.0, (waiting + rows) / self._budget.rows)
        seconds = self._fit.seconds(cost, count)
        if self._loop.time() + seconds <= job.work.deadline:
            return None
        message = f"what waits takes about {seconds:.1f} s more, which is beyond the request's deadline"
        return Overloaded(message, math.ceil(seconds))

    def _rows_of(self, tenant: str) -> int:
        measured = self._turns.rows_of(tenant)
        return measured + self._unmeasured.rows_of(tenant) if self._unmeasured is not None else measured

    def _queue(self, job: Job, lengths: Array | None) -> None:
        """Into the turns, in pieces that the budget takes."""
        if self._layout is None:
            pieces = [Piece(job, job.work, None, job.work.tenant, 1, 1.0, job.since)]
        else:
            pieces = split(job, self._layout, self._budget, lengths)
        for piece in pieces:
            self._turns.push(piece)

    # -- forwards --------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Starts the next forward, if none runs."""
        self._is_woken = False
        if self._is_running:
            return
        unmeasured = self._unmeasured
        pieces = choose(self._turns, self._budget, by_length=unmeasured is not None)
        if pieces:
            self._is_running = True
            forward = partial(self._forward, pieces, unmeasured)
            self._thread.run(forward, partial(self._ended, pieces))
        elif unmeasured is not None and len(unmeasured):
            self._is_running = True
            self._thread.run(unmeasured.measure, partial(self._ended, []))

    def _take_measured(self) -> None:
        for job, lengths in self._unmeasured.take() if self._unmeasured is not None else ():
            if isinstance(lengths, BaseException):
                self._fail(job, lengths)
            else:
                self._queue(job, lengths)

    def _ended(self, pieces: list[Piece], result: Any, fault: BaseException | None) -> None:
        self._is_running = False
        self._take_measured()
        if fault is not None and len(pieces) > 1:
            self._again(pieces)
        self._dispatch()
        if fault is not None:
            if len(pieces) == 1:
                self._fail(pieces[0].job, fault)
        elif pieces:
            outputs, began, seconds, told = result
            self._report(pieces, began, seconds, told)
            for piece, answer in zip(pieces, outputs, strict=True):
                self._answer(piece, answer)

    def _again(self, pieces: list[Piece]) -> None:
        """Somebody's rows broke the forward: each goes alone now, and only the culprit fails."""
        for piece in pieces:
            piece.key = None
        self._turns.put_back([piece for piece in pieces if piece.is_wanted])

    def _answer(self, piece: Piece, outputs: Outputs) -> None:
        job: Job = piece.job
        if job.future.done():
            self._leave(job)
            return
        if len(job.parts) > 1:
            job.parts[piece.place] = outputs
            job.left -= 1
            if job.left:
                return
            try:
                outputs = rejoin([part for part in job.parts if part is not None], job.order)
            except (KeyError, TypeError, ValueError) as fault:
                self._fail(job, ModelError(f"the outputs for parts of one request do not fit together: {fault!r}"))
                return
        self._leave(job)
        job.future.set_result(outputs)

    def _fail(self, job: Job, fault: BaseException) -> None:
        self._leave(job)
        if isinstance(fault, RequestError):
            if isinstance(fault, ModelError):
                log.error("the model broke its declaration: %s", fault.message)
        else:
            log.error("the model raised", exc_info=fault)
            fault = ModelError(f"the model raised {type(fault).__name__}")
        if not job.future.done():
            job.future.set_exception(fault)

    def _report(self, pieces: list[Piece], began: float, seconds: float, told: Told | None) -> None:
        rows = sum(piece.rows for piece in pieces)
        longest = max(piece.length for piece in pieces)
        share = 1.0
        if told is not None:
            if self._observer is not None:
                self._observer.recalled(miss=told.miss, shared=told.shared, hit=told.hit)
            if not told.miss and rows:
                return  # no forward
            share = told.miss / rows if rows else 1.0
            rows = told.miss
        self._fit.observe(rows * longest, seconds)
        if self._observer is not None:
            cost = sum(piece.cost for piece in pieces) * share
            padding = 1.0 - cost / (rows * longest) if rows else 0.0
            tokens = cost if self._unmeasured is not None else 0.0
            waited = [began - piece.since for piece in pieces]
            self._observer.forwarded(rows=rows, tokens=tokens, padding=padding, seconds=seconds, waited=waited)

    def _leave(self, job: Job) -> None:
        if job in self._live:
            self._live.discard(job)
            self._door.leave(job.work.tenant)

    # -- deadlines and those who leave ------------------------------------------------------------------------

    def _watch(self, deadline: float) -> None:
        """One timer, for the earliest deadline: most requests are answered long before it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._forget_cancelled()
        now = self._loop.time()
        for job in [job for job in self._live if job.work.deadline <= now]:
            self._leave(job)
            self._drop("deadline")
            job.future.set_exception(DeadlineExceeded("the request's deadline passed before the model answered"))
        self._purge()
        if self._live:
            self._watch(min(job.work.deadline for job in self._live))

    def _forget_cancelled(self) -> None:
        for job in [job for job in self._live if job.future.done()]:
            self._forget_if_cancelled(job, job.future)
        self._purge()

    def _purge(self) -> None:
        self._turns.purge()
        if self._unmeasured is not None:
            self._unmeasured.purge()

    def _forget_if_cancelled(self, job: Job, future: asyncio.Future[Outputs]) -> None:
        """As soon as its client is gone: a job keeps its request's tensors."""
        if future.cancelled() and job in self._live:
            self._leave(job)
            if self._unmeasured is not None:
                self._unmeasured.forget(job)
            self._drop("cancelled")

    def _drop(self, reason: str) -> None:
        if self._observer is not None:
            self._observer.dropped(reason)


class _Forward:
    """Runs on the model thread: requests of one key in, the outputs of each out."""

    def __init__(self, model: Model, cache_bytes: int, cache_seconds: float) -> None:
        self._model = model
        self._signature: Signature | None = model.signature
        self._finish = getattr(model, "finish", None)
        whole = bool(getattr(model, "whole", False))
        self.layout: Layout | None = layout_of(
            model.signature, model.settings, whole=whole, keeps_post=self._finish is None
        )
        is_repeatable = self.layout is not None and not getattr(model, "nondeterministic", False)
        if is_repeatable and (cache_bytes or hasattr(model, "lengths")):
            self._known: Known | None = Known(cache_bytes, cache_seconds)
        else:
            self._known = None

    def __call__(
        self, pieces: list[Piece], unmeasured: Unmeasured | None
    ) -> tuple[list[Outputs], float, float, Told | None]:
        """Outputs, when the forward began, the seconds it took, and where rows were compared what came of it.

        Then what has come meanwhile is measured.
        """
        began = time.perf_counter()
        works, told = [piece.work for piece in pieces], None
        try:
            if self.layout is not None:
                parts, told = self._merged(pieces, works, self.layout)
            else:
                parts = [self._one(works[0])]
            if self._finish is not None and self.layout is not None:
                parts = [self._finished(work, outputs) for work, outputs in zip(works, parts, strict=True)]
            return parts, began, time.perf_counter() - began, told
        finally:
            if unmeasured is not None:
                unmeasured.measure()

    def _one(self, work: Work) -> Outputs:
        outputs = self._model.forward(work)
        if self._signature is None:
            return outputs
        if self._finish is None or self.layout is None:
            return checked(self._signature, work.outputs, work.dims, outputs)
        rows, arrays = rows_of(work), {name: as_array(value) for name, value in outputs.items()}
        for name, array in arrays.items():
            if array.shape[:1] != (rows,):
                raise ModelError(f"{name!r} has shape {list(array.shape)} before finish(), for {rows} rows")
        return arrays

    def _merged(self, pieces: list[Piece], works: list[Work], layout: Layout) -> tuple[list[Outputs], Told | None]:
        joined, sizes = join(works, layout), [rows_of(work) for work in works]
        if self._known is None or not self._known.compares(joined):
            return part(self._one(joined), sizes), None
        since = [piece.since for piece, size in zip(pieces, sizes, strict=True) for _ in range(size)]
        outputs, told = self._known.compute(joined, layout, since, self._one)
        return part(outputs, sizes), told

    def _finished(self, work: Work, outputs: Outputs) -> Outputs:
        """Post settings are each request's own."""
        assert self._finish is not None
        assert self._signature is not None  # only declared models have settings
        return checked(self._signature, work.outputs, work.dims, self._finish(outputs, work.settings))

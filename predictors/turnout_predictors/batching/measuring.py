"""What rows cost, asked of the model where all of its code runs: on the model thread, between two forwards.

The event loop adds requests and takes measured ones away; the thread measures whatever has come, after each forward,
so under load nobody crosses from one to the other for it alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .engine import Array, Work
from .splitting import Job, checked_lengths

Measured = tuple[Job, Array | BaseException]
_SMOOTH: Final = 0.9


class Unmeasured:
    """The requests that wait to be measured; `rows` is their sum. `typical`: what a row has cost of late."""

    def __init__(self, lengths: Callable[[Work], Any]) -> None:
        self._lengths = lengths
        self._waiting: dict[Job, None] = {}
        self._todo: deque[Job] = deque()  # the thread takes from it
        self._done: deque[Measured] = deque()  # and puts here
        self.rows = 0
        self.typical = 1.0

    def __len__(self) -> int:
        return len(self._waiting)

    def rows_of(self, tenant: str) -> int:
        return sum(job.rows for job in self._waiting if job.work.tenant == tenant)

    def add(self, job: Job) -> None:
        self._waiting[job] = None
        self.rows += job.rows
        self._todo.append(job)

    def measure(self) -> None:
        """Runs on the model thread."""
        while self._todo:
            job = self._todo.popleft()
            if job.future.done():
                continue
            try:
                given = self._lengths(job.work) if job.rows else ()
                self._done.append((job, checked_lengths(given, job.rows)))
            except BaseException as fault:  # the model's own code: its request is told, as of a forward
                self._done.append((job, fault))

    def take(self) -> list[Measured]:
        """What has been measured and is still wanted."""
        found: list[Measured] = []
        while self._done:
            job, result = self._done.popleft()
            if self.forget(job) and not job.future.done():
                found.append((job, result))
                if not isinstance(result, BaseException) and job.rows:
                    self.typical = _SMOOTH * self.typical + (1 - _SMOOTH) * float(result.mean())
        return found

    def purge(self) -> None:
        """Forgets what nobody waits for any more; the thread will pass it over."""
        for job in [job for job in self._waiting if job.future.done()]:
            self.forget(job)

    def forget(self, job: Job) -> bool:
        """False if it was not here."""
        if job not in self._waiting:
            return False
        del self._waiting[job]
        self.rows -= job.rows
        return True

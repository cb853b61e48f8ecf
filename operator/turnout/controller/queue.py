"""Which model to look at next. A key waits once, and is never worked on twice at once.

News goes before what was merely scheduled: a pod that has died, or a person's edit, must not wait until a hundred
rollouts that began together have each made their next step. Nor must it wait for what these steps bring about, which
is news as well: of news, the key that has rested longest goes first, and what was scheduled is begun only while the
workers are no crowd, so that it is not the API server that is busy with a hundred steps at once. None of this lasts for
more than seconds. The queue knows keys and due times, nothing of what is done with them. All of it runs on one event
loop, so that no method but `take` ever waits; the clock must be the one that the loop's timers follow.
"""

import asyncio
import heapq
import random
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic
from typing import NamedTuple

from turnout.rollout.snapshot import ModelKey

FIRST_BACK_OFF = 0.5  # seconds; doubled by each failure in a row
LONGEST_BACK_OFF = 300.0
HEAD_START = 5.0  # seconds that news is ahead of what was scheduled, which therefore waits, but not for ever
RESTED = 1.0  # seconds without work after which a key has rested as long as any other


class Turn(NamedTuple):
    """When a key is due, and its place in the order, which never lies after that."""

    place: float
    due: float


class Queue:
    """Keys with due times: news first, of those who have rested; then in the order in which they are due."""

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),
        crowd: int = 2,
    ) -> None:
        """`crowd`: what was scheduled waits while so many keys are worked on; one that hangs must hold up nobody."""
        self._clock = clock
        self._jitter = jitter
        self._crowd = crowd
        self._turns: dict[ModelKey, Turn] = {}
        self._heap: list[tuple[Turn, ModelKey]] = []  # may hold outdated entries; `_turns` is the truth
        self._working: set[ModelKey] = set()
        self._failures: dict[ModelKey, int] = {}
        self._worked: dict[ModelKey, float] = {}  # when the work on it ended last
        self._graces: dict[ModelKey, asyncio.TimerHandle] = {}
        self._news = asyncio.Event()

    def add(self, key: ModelKey) -> None:
        """Something has happened to `key`: have it looked at next."""
        now = self._clock()
        self._wish(key, Turn(now - HEAD_START - min(RESTED, self._rested(key)), now))

    def add_in(self, key: ModelKey, delay: float | None) -> None:
        """What would be news in `delay` seconds, in place of what was said so before; None: nothing would."""
        if before := self._graces.pop(key, None):
            before.cancel()
        if delay is not None:
            self._graces[key] = asyncio.get_running_loop().call_later(delay, self.add, key)

    def schedule(self, key: ModelKey, delay: float) -> None:
        """Have `key` looked at in `delay` seconds, or sooner if it is due sooner already."""
        due = self._clock() + max(0.0, delay)
        self._wish(key, Turn(due, due))

    async def take(self) -> ModelKey:
        """The key that comes first, as soon as one is due; its worker ends with `done` or `failed`."""
        while (key := self._pop()) is None:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to_next()):  # wait_for loses cancellations before Python 3.12
                    await self._news.wait()
        self._working.add(key)
        return key

    def done(self, key: ModelKey, again: float | None = None) -> None:
        """`key` is worked on no more; look again in `again` seconds (0: next), or only when something happens."""
        self._failures.pop(key, None)
        if again is None:
            self._worked.pop(key, None)
        self._release(key, again)

    def failed(self, key: ModelKey, first: float = FIRST_BACK_OFF, most: float = LONGEST_BACK_OFF) -> float:
        """As `done`, with a jittered back-off that doubles with each failure in a row; returns the delay."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(most, first * 2.0 ** min(failures - 1, 32)) * self._jitter()
        self._release(key, delay)
        return delay

    def failures(self, key: ModelKey) -> int:
        """How often in a row the work on `key` has failed."""
        return self._failures.get(key, 0)

    @property
    def depth(self) -> int:
        """How many keys are due now and wait for a worker."""
        now = self._clock()
        return sum(turn.due <= now for turn in self._turns.values())

    @property
    def overdue(self) -> float:
        """For how many seconds the key that is due first has been waiting: the heartbeat of the workers."""
        idle = (turn.due for key, turn in self._turns.items() if key not in self._working)
        return max(0.0, self._clock() - min(idle, default=float("inf")))

    def _rested(self, key: ModelKey) -> float:
        """Seconds since the work on it ended."""
        return 0.0 if key in self._working else self._clock() - self._worked.get(key, -inf)

    def _wish(self, key: ModelKey, turn: Turn) -> None:
        before = self._turns.get(key, turn)
        best = Turn(min(before.place, turn.place), min(before.due, turn.due))
        if key not in self._turns or best != before:
            self._turns[key] = best
            self._offer(key)

    def _release(self, key: ModelKey, again: float | None) -> None:
        self._working.discard(key)
        if again is not None:
            self._worked[key] = self._clock()
        if again == 0:
            self.add(key)
        elif again is not None:
            self.schedule(key, again)
        if key in self._turns:  # it was added while it was worked on
            self._offer(key)
        self._news.set()  # what was scheduled may be begun now

    def _offer(self, key: ModelKey) -> None:
        if key not in self._working:
            heapq.heappush(self._heap, (self._turns[key], key))
            self._news.set()

    def _pop(self) -> ModelKey | None:
        """The next key if it is due. No await in here: that is what keeps two workers off one key."""
        while self._heap and self._begins() <= self._clock():
            turn, key = heapq.heappop(self._heap)
            if self._turns.get(key) == turn and key not in self._working:
                del self._turns[key]
                return key
        return None

    def _begins(self) -> float:
        """When the first of all may be taken: news at once, for its place lies so far in the past."""
        return self._heap[0][0].place + (HEAD_START if len(self._working) >= self._crowd else 0.0)

    def _seconds_to_next(self) -> float | None:
        return max(0.0, self._begins() - self._clock()) if self._heap else None

"""Which model to look at next. A key waits once, and is never worked on twice at once.

News goes before what was merely scheduled: a pod that has died, or a person's edit, must not wait until a hundred
rollouts that began together have each made their next step. Nor must it wait for what these steps bring about, which
is news as well: of news, the key that has rested longest goes first, and what was scheduled is begun only while the
workers are no crowd, so that it is not the API server that is busy with a hundred steps at once. What was scheduled
waits for seconds at most, and then has some of the workers for itself, never all: more may be late than can be done
before the next is due. The queue knows keys and due times, nothing of what is done with them. All of it runs on one
event loop, so that no method but `take` ever waits; the clock must be the one that the loop's timers follow.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from math import inf
from time import monotonic
from typing import NamedTuple

from turnout.rollout.snapshot import ModelKey

FIRST_BACK_OFF = 0.5  # seconds; doubled by each failure in a row
LONGEST_BACK_OFF = 300.0
HEAD_START = 5.0  # seconds that what was scheduled waits for news and for a crowd
RESTED = 1.0  # seconds without work after which a key has rested as long as any other


class Turn(NamedTuple):
    """When a key is due, and its place among its like: `is_news`, or scheduled."""

    place: float
    due: float
    is_news: bool


class Order:
    """Keys by their places; entries that are outdated by `turns` are dropped as they come up."""

    def __init__(self, turns: Mapping[ModelKey, Turn]) -> None:
        self._turns = turns
        self._heap: list[tuple[Turn, ModelKey]] = []

    def push(self, key: ModelKey) -> None:
        heapq.heappush(self._heap, (self._turns[key], key))

    def first(self, working: Container[ModelKey]) -> tuple[Turn, ModelKey] | None:
        """Of those whom nobody works on."""
        while self._heap:
            turn, key = self._heap[0]
            if self._turns.get(key) == turn and key not in working:
                return turn, key
            heapq.heappop(self._heap)
        return None


class Queue:
    """Keys with due times: news first, of those who have rested; then in the order in which they are due."""

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),
        crowd: int = 2,
    ) -> None:
        """`crowd`: what was scheduled waits while so many keys are worked on, and when it is late has so many workers;
        one that hangs must hold up nobody.
        """
        self._clock = clock
        self._jitter = jitter
        self._crowd = crowd
        self._turns: dict[ModelKey, Turn] = {}
        self._fresh, self._timed = Order(self._turns), Order(self._turns)  # news, and what was scheduled
        self._working: set[ModelKey] = set()
        self._lanes: dict[ModelKey, float] = {}  # what was scheduled and is worked on, since when
        self._failures: dict[ModelKey, int] = {}
        self._worked: dict[ModelKey, float] = {}  # when the work on it ended last
        self._graces: dict[ModelKey, asyncio.TimerHandle] = {}
        self._news = asyncio.Event()

    def add(self, key: ModelKey) -> None:
        """Something has happened to `key`: have it looked at next."""
        now = self._clock()
        self._wish(key, Turn(now - min(RESTED, self._rested(key)), now, is_news=True))

    def add_in(self, key: ModelKey, delay: float | None) -> None:
        """What would be news in `delay` seconds, in place of what was said so before; None: nothing would."""
        if before := self._graces.pop(key, None):
            before.cancel()
        if delay is not None:
            self._graces[key] = asyncio.get_running_loop().call_later(delay, self.add, key)

    def schedule(self, key: ModelKey, delay: float) -> None:
        """Have `key` looked at in `delay` seconds, or sooner if it is due sooner already."""
        due = self._clock() + max(0.0, delay)
        self._wish(key, Turn(due, due, is_news=False))

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
        due = min(before.due, turn.due)
        if before.is_news is turn.is_news:
            best = Turn(min(before.place, turn.place), due, turn.is_news)
        else:
            best = (before if before.is_news else turn)._replace(due=due)
        if key not in self._turns or best != before:
            self._turns[key] = best
            self._offer(key)

    def _release(self, key: ModelKey, again: float | None) -> None:
        self._working.discard(key)
        self._lanes.pop(key, None)
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
            (self._fresh if self._turns[key].is_news else self._timed).push(key)
            self._news.set()

    def _pop(self) -> ModelKey | None:
        """The next key if it may begin. No await in here: that is what keeps two workers off one key."""
        now, fresh, timed = self._clock(), self._fresh.first(self._working), self._timed.first(self._working)
        if timed is not None and now >= self._begins(timed[0], news=fresh is not None):
            self._lanes[timed[1]] = now
            fresh = timed
        if fresh is None:
            return None
        del self._turns[fresh[1]]
        return fresh[1]

    def _begins(self, turn: Turn, *, news: bool) -> float:
        """When what was scheduled may begin: late behind news or in a crowd, and then in a lane that is free."""
        if not news and len(self._working) < self._crowd:
            return turn.due
        frees = sorted(since + HEAD_START for since in self._lanes.values())  # what hangs has its lane no longer
        is_full = len(frees) >= self._crowd
        return max(turn.due + HEAD_START, frees[len(frees) - self._crowd] if is_full else turn.due)

    def _seconds_to_next(self) -> float | None:
        timed = self._timed.first(self._working)
        return None if timed is None else max(0.0, self._begins(timed[0], news=False) - self._clock())

"""Callers: real V2 requests with real images at a steady rate, every answer checked, every failure counted.

The load is open: a request is sent when its time has come, whether or not the former ones were answered, so that
nothing that hangs can hide behind those that wait for it.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp
import orjson

from demo.train import Questions

PATIENCE_SECONDS = 10.0
PATIENCE_WITH_SLEEPERS = 60.0  # a process must start first, and the machine may be busy
VERSION_HEADER = "X-Model-Version"


@dataclass(slots=True)
class Tally:
    """What all callers of a model have seen so far. Versions are numbers; `failures` are the last sentences."""

    sent: int = 0
    failed: int = 0
    answered: Counter[int] = field(default_factory=Counter)
    right: Counter[int] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    failed_at: list[tuple[float, float]] = field(default_factory=list)  # Unix times of sending and failing, as above

    def accuracy(self, version: int) -> float | None:
        answered = self.answered[version]
        return self.right[version] / answered if answered else None

    def fail(self, why: str, sent_at: float) -> None:
        self.failed += 1
        self.failures = [*self.failures[-9:], why]
        self.failed_at = [*self.failed_at[-9:], (sent_at, time.time())]


class Callers:
    """Everybody who asks one model. Use as a context: leaving it waits for the last answers."""

    def __init__(self, url: str, model: str, questions: Questions, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.tally = Tally()
        self._path = f"{url}/v2/models/{model}/infer"
        self._questions = self._forever(questions)
        self._patience_seconds = patience_seconds
        self._session: aiohttp.ClientSession | None = None
        self._flying: set[asyncio.Task[float]] = set()

    async def __aenter__(self) -> "Callers":
        timeout = aiohttp.ClientTimeout(total=self._patience_seconds)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._flying, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def keep_asking(self, per_second: float) -> None:
        """Until cancelled. Late wake-ups are made up for, so that the rate holds."""
        begin = time.perf_counter()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
            flight = asyncio.create_task(self.ask())
            self._flying.add(flight)
            flight.add_done_callback(self._flying.discard)

    async def ask(self) -> float:
        """One request: which version answered, and was it right? Returns how long it took, in seconds."""
        assert self._session is not None
        body, digit = next(self._questions)
        self.tally.sent += 1
        begin, sent_at = time.perf_counter(), time.time()
        try:
            async with self._session.post(self._path, data=body) as answer:
                self._judge(answer.status, answer.headers.get(VERSION_HEADER, ""), await answer.read(), digit, sent_at)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            self.tally.fail(f"{type(fault).__name__} {fault}".strip(), sent_at)
        took = time.perf_counter() - begin
        self.tally.slowest_seconds = max(self.tally.slowest_seconds, took)
        return took

    def _judge(self, status: int, version: str, body: bytes, digit: int, sent_at: float) -> None:
        """A wrong digit is the model's business; anything that is no digit is a failure."""
        try:
            predicted = orjson.loads(body)["outputs"][0]["data"][0] if status == 200 else None
        except (ValueError, LookupError, TypeError):
            predicted = None
        if predicted is None or not version.isdigit():
            self.tally.fail(f"{status}: {body[:200].decode(errors='replace')}", sent_at)
            return
        self.tally.answered[int(version)] += 1
        self.tally.right[int(version)] += predicted == digit

    @staticmethod
    def _forever(questions: Questions) -> Iterator[tuple[bytes, int]]:
        """Every question in turn, as a request body, with its answer."""
        pairs = [
            (_request(image.tolist()), int(digit))
            for image, digit in zip(questions.images, questions.digits, strict=True)
        ]
        return itertools.cycle(pairs)


def _request(image: list[float]) -> bytes:
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, len(image)], "data": image}
    return orjson.dumps({"inputs": [tensor]})

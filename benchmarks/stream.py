"""A steady stream of V2 requests that remembers what became of every one: for benchmarks and cluster tests.

Open loop: a request is sent when its moment comes, whatever became of those before, so that a hang cannot hide by
slowing its caller down. Runs in a thread of its own, so that synchronous tests can go on beside it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was sent and answered (seconds since the epoch), by which version, with which result.

    `status` is the HTTP status, 0 where there was none: `error` then names the exception.
    """

    sent: float
    done: float
    status: int
    version: str
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.status != 200

    @property
    def seconds(self) -> float:
        return self.done - self.sent


class Stream:
    """Sends `rate` requests a second to `url` while it is entered.

    `body` makes the n-th request's JSON. `timeout` is the caller's own patience in seconds.
    """

    def __init__(
        self,
        url: str,
        body: Callable[[int], Mapping[str, Any]],
        *,
        host: str = "",
        rate: float = 20,
        timeout: float = 10,
    ) -> None:
        self.answers: list[Answer] = []
        self._url, self._body, self._rate, self._timeout = url, body, rate, timeout
        self._headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sending, and wait for every answer that is still due."""
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        limit = aiohttp.ClientTimeout(total=self._timeout)
        connections = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=limit, connector=connections) as session, asyncio.TaskGroup() as tasks:
            began = time.monotonic()
            number = 0
            while not self._stop.is_set():
                tasks.create_task(self._send(session, number))
                number += 1
                await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        sent = time.time()
        status, version, error = 0, "", ""
        try:
            async with session.post(self._url, data=json.dumps(self._body(number)), headers=self._headers) as response:
                await response.read()
                status, version = response.status, response.headers.get("X-Model-Version", "")
        except (aiohttp.ClientError, TimeoutError) as fault:
            error = type(fault).__name__
        self.answers.append(Answer(sent, time.time(), status, version, error))

    # -- what became of them

    @property
    def failures(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.failed]

    def since(self, moment: float) -> list[Answer]:
        """Those sent after `moment`."""
        return [answer for answer in self.answers if answer.sent >= moment]

    def shares(self, moment: float = 0) -> dict[str, int]:
        """Answers by version, of those sent after `moment`."""
        return dict(Counter(answer.version for answer in self.since(moment) if not answer.failed))

    def explain(self) -> str:
        """The failures in a few words, for an assertion's message."""
        kinds = Counter(
            f"{answer.status or answer.error} of version {answer.version or '?'}" for answer in self.failures
        )
        return f"{len(self.failures)} of {len(self.answers)} failed: {dict(kinds)}"


def rows(values: Sequence[Sequence[float]], name: str = "features", datatype: str = "FP64") -> dict[str, Any]:
    """A V2 request of one tensor [len(values), len(values[0])]."""
    flat = [value for row in values for value in row]
    return {"inputs": [{"name": name, "datatype": datatype, "shape": [len(values), len(values[0])], "data": flat}]}

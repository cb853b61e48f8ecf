"""The counters of both sides, read as the judge's `pods` source reads them and kept for other rules to be replayed on.

Read by the operator's own code, on its own grid, but beside it: what it saw itself may differ by the requests of a
few milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise, starmap

import aiohttp
import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.traffic import BEYOND, POLL_SECONDS, Side, Traffic
from tests.cluster.rollouts.stage import Stage
from turnout.evidence.pods import Target, poll
from turnout.judge.protocol import PodCounters, Poll
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.objects import Pod, read
from turnout.platform.kubernetes.pods import target

Increments = tuple[int, int, int, int]
"""Requests and failures of the candidate, requests and failures of stable, between two polls."""


class Recorder:
    """Polls of several models, each a candidate `MODEL-2` beside `MODEL-1`; `at`: seconds since the epoch of each."""

    def __init__(self, ours: Stage, models: Iterable[str]) -> None:
        self.at: list[float] = []
        self._ours = ours
        self._totals: dict[str, list[Increments]] = {model: [] for model in models}

    def watch(self, polls: int) -> None:
        """Read at this many moments of the grid, and at one before them."""
        for _ in range(polls + 1):
            grid = (time.time() // POLL_SECONDS + 1) * POLL_SECONDS
            time.sleep(max(0.0, grid - time.time()))
            asyncio.run(self._read(grid))

    async def _read(self, grid: float) -> None:
        pods = self._ours.cluster.get("-n", self._ours.namespace, "pods")["items"]
        found = [one for raw in pods if isinstance(pod := read(resources.PODS, raw), Pod) and (one := target(pod))]
        async with aiohttp.ClientSession() as session:
            polls = await asyncio.gather(*(self._poll(session, model, grid, found) for model in self._totals))
        self.at.append(grid)
        for (model, totals), seen in zip(self._totals.items(), polls, strict=True):
            if seen.trouble or not (seen.canary and seen.stable):
                print(f"{model}: a poll was lost: {seen.trouble or 'a side is missing'}", flush=True)
                totals.append(totals[-1] if totals else (0, 0, 0, 0))  # the next one spans the gap
            else:
                totals.append((*_sum(seen.canary), *_sum(seen.stable)))

    async def _poll(self, session: aiohttp.ClientSession, model: str, grid: float, found: Sequence[Target]) -> Poll:
        sides = ([each for each in found if each.revision == f"{model}-{n}-predictor-00001"] for n in (2, 1))
        return await poll(session, datetime.fromtimestamp(grid, UTC), *sides)

    def increments(self) -> Mapping[str, list[Increments]]:
        """What came between two polls, by model."""
        return {model: list(starmap(_between, pairwise(kept))) for model, kept in self._totals.items()}


def _between(then: Increments, now: Increments) -> Increments:
    return now[0] - then[0], now[1] - then[1], now[2] - then[2], now[3] - then[3]


def _sum(pods: Sequence[PodCounters]) -> tuple[int, int]:
    return sum(pod.requests for pod in pods), sum(pod.errors for pod in pods)


def traffic_of(increments: Sequence[Increments]) -> Traffic:
    """One attempt as the replayed rules take it; latencies are not theirs to see."""
    columns = np.array(increments, dtype=np.int64)
    sides = [_side(columns[:, at], columns[:, at + 1]) for at in (0, 2)]
    return Traffic(sides[0], sides[1], np.zeros((1, len(columns)), dtype=bool))


def _side(requests: NDArray[np.int64], bad: NDArray[np.int64]) -> Side:
    shaped = requests[None, :, None], bad[None, :, None]
    return Side(*shaped, np.zeros((len(BEYOND), *shaped[0].shape), dtype=np.int64))

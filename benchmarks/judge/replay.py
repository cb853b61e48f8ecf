"""The real judge on simulated counters, poll after poll through its memory; the twin must say the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from benchmarks.judge.traffic import BEYOND, POLL_SECONDS, POLLS, Side, Traffic
from turnout.api.analysis import Analysis
from turnout.judge.protocol import Finding, PodCounters, Poll, Question
from turnout.judge.sequential import SequentialJudge

START = datetime(2026, 11, 21, tzinfo=UTC)
EDGES = (0.01, 0.1, 1.0)
"""Far apart: stable's shares beyond them are those of the cell, so that the judge chooses just these."""
HISTORY = 40_000


class Pods:
    """One side's counters, cumulated from increments."""

    def __init__(self, name: str, side: Side, run: int, beyond: Sequence[float]) -> None:
        self.name, self.side, self.run = name, side, run
        pods = side.requests.shape[2]
        self.requests, self.errors = [0] * pods, [0] * pods
        parts = [1.0, *beyond, 0.0]
        history = [round(HISTORY * (more - less)) for more, less in pairwise(parts)]
        self.latency = [list(history) for _ in range(pods)]

    def advance(self, poll: int) -> None:
        for pod in range(len(self.requests)):
            requests, bad = int(self.side.requests[self.run, poll, pod]), int(self.side.bad[self.run, poll, pod])
            slow = [requests - bad, *(int(each[self.run, poll, pod]) for each in self.side.slow), 0]
            self.requests[pod] += requests
            self.errors[pod] += bad
            for bucket in range(len(EDGES) + 1):
                self.latency[pod][bucket] += slow[bucket] - slow[bucket + 1]

    def read(self) -> tuple[PodCounters, ...]:
        started = START - timedelta(days=1)
        return tuple(
            PodCounters(f"{self.name}-{pod}", started, self.requests[pod], self.errors[pod], tuple(self.latency[pod]))
            for pod in range(len(self.requests))
        )


def polls(traffic: Traffic, run: int, intervals: int = POLLS, beyond: Sequence[float] = BEYOND) -> Iterator[Poll]:
    """What is read of one attempt: first what was there before, then after each interval. `beyond`: see `Cell`."""
    sides = (Pods("c", traffic.canary, run, beyond), Pods("s", traffic.stable, run, beyond))
    for poll in range(-1, intervals):
        at = START + timedelta(seconds=POLL_SECONDS * (poll + 1))
        if poll >= 0:
            for side in sides:
                side.advance(poll)
        since = at - timedelta(seconds=5) if poll >= 0 and traffic.discarded[run, poll] else START
        yield Poll(at, sides[0].read(), sides[1].read(), EDGES, weight=10, weight_since=since)


def replay(
    traffic: Traffic, run: int, analysis: Analysis, intervals: int = POLLS, beyond: Sequence[float] = BEYOND
) -> list[Finding]:
    """What the judge finds after each interval."""
    judge, memory = SequentialJudge(), ""
    findings = []
    for poll in polls(traffic, run, intervals, beyond):
        findings.append(judge.look(Question(analysis, memory, poll)))
        memory = findings[-1].status.memory
    return findings[1:]

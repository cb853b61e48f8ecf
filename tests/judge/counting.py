"""Pods that count, and an attempt that asks the judge poll after poll, as the engine does. Seeded; no clock."""

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from turnout.api.analysis import Analysis
from turnout.api.reasons import Reason
from turnout.api.rollout import AnalysisStep
from turnout.judge.protocol import End, Finding, Lifted, Outcome, PodCounters, Poll, Question
from turnout.judge.sequential import SequentialJudge
from turnout_predictors.telemetry.metrics import EDGES_SECONDS

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
EDGES = EDGES_SECONDS
STEP = AnalysisStep()


def analysis(**fields: object) -> Analysis:
    source = {"source": {"prometheus": "main"}} if "custom" in fields else {}
    return Analysis.model_validate({**source, **fields})


def only_errors(**fields: object) -> Analysis:
    return analysis(latency={"enabled": False}, **fields)


@dataclass
class Pod:
    """One replica's counters."""

    name: str
    started_at: datetime = START - timedelta(hours=1)
    requests: int = 0
    errors: int = 0
    ends: list[End] = field(default_factory=list)
    latency: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    outputs: dict[str, list[int]] = field(default_factory=dict)
    reference: dict[str, tuple[int, ...]] = field(default_factory=dict)
    bins: dict[str, str] = field(default_factory=dict)

    def serve(self, requests: int, errors: int, seconds: Sequence[float] = ()) -> None:
        """`seconds`: of the successes, in turn; 0.05 where none are given."""
        self.requests += requests
        self.errors += errors
        for index in range(requests - errors):
            self.latency[bisect_left(EDGES, seconds[index % len(seconds)] if seconds else 0.05)] += 1

    def end(self, at: datetime) -> None:
        """Its process ends and another begins in its place, whose counters begin anew."""
        self.requests = self.errors = 0
        self.latency = [0] * len(self.latency)
        self.outputs = {name: [0] * len(bins) for name, bins in self.outputs.items()}
        self.ends.append(End(self.name, at))

    def read(self) -> PodCounters:
        return PodCounters(
            self.name,
            self.started_at,
            self.requests,
            self.errors,
            tuple(self.latency),
            {name: tuple(bins) for name, bins in self.outputs.items()},
            dict(self.reference),
            dict(self.bins),
        )


@dataclass
class Attempt:
    """A rollout of one step at 10 %. `ask` is one look of the engine; the memory goes round.

    `judge`: one process', which lives as long as the attempt does; another one is a restart of the operator.
    """

    analysis: Analysis = field(default_factory=only_errors)
    canary: list[Pod] = field(default_factory=lambda: [Pod("c-0")])
    stable: list[Pod] = field(default_factory=lambda: [Pod("s-0")])
    weight: int = 10
    step: AnalysisStep | None = STEP
    step_index: int = 2
    at: datetime = START
    memory: str = ""
    finding: Finding | None = None
    stable_unhealthy: bool = False
    lifted: dict[tuple[Reason, str], Lifted] = field(default_factory=dict)
    judge: SequentialJudge = field(default_factory=SequentialJudge)

    def poll(self) -> Poll:
        return Poll(
            at=self.at,
            canary=tuple(pod.read() for pod in self.canary),
            stable=tuple(pod.read() for pod in self.stable),
            edges=EDGES,
            canary_ends=tuple(pod.ends[-1] for pod in self.canary if pod.ends),
            stable_ends=tuple(pod.ends[-1] for pod in self.stable if pod.ends),
            weight=self.weight,
            weight_since=START,
        )

    def question(self, poll: Poll | None) -> Question:
        elapsed = self.at - START
        asked = self.step, self.step_index, elapsed, self.stable_unhealthy
        return Question(self.analysis, self.memory, poll, *asked, lifted=self.lifted)

    def ask(self, **changes: object) -> Finding:
        """Reads both sides now, with some fields of the poll otherwise, and lets 15 s pass."""
        finding = self.judge.look(self.question(replace(self.poll(), **changes)))  # type: ignore[arg-type]
        if finding.outcome not in {Outcome.NO_DATA, Outcome.SOURCE_ERROR}:
            self.memory = finding.status.memory
        self.at += timedelta(seconds=15)
        self.finding = finding
        return finding

    def serve(self, canary: tuple[int, int], stable: tuple[int, int]) -> None:
        """Requests and errors of both sides, shared evenly among their pods."""
        for pods, (requests, errors) in ((self.canary, canary), (self.stable, stable)):
            for index, pod in enumerate(pods):
                share, extra = divmod(requests, len(pods))
                bad, more = divmod(errors, len(pods))
                served = share + (index < extra)
                pod.serve(served, min(served, bad + (index < more)))

    def run(self, rate: float, canary: float, stable: float, seed: int, polls: int = 40) -> Iterator[Finding]:
        """Polls of random traffic until a verdict; `rate` in requests a second, error rates as fractions."""
        draw = random.Random(seed)
        yield self.ask()
        for _ in range(polls):
            requests = round(rate * 15)
            ours = sum(draw.random() < self.weight / 100 for _ in range(requests))
            theirs = requests - ours
            bad = [sum(draw.random() < p for _ in range(n)) for n, p in ((ours, canary), (theirs, stable))]
            self.serve((ours, bad[0]), (theirs, bad[1]))
            yield self.ask()
            if self.finding and self.finding.outcome is not Outcome.HOLD:
                return

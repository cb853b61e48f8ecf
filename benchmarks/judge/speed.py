"""What a poll costs the processor: the judge's look, memory, words and status and all; beside it, the engine's course.

The pods count along the predictors' own edges, in a step with a clock, as in a rollout: no number that is read,
differenced or remembered there is left out here. Once with answers in every bucket, which no model has and none can
exceed, and once with lognormal times. The analysis is one object from poll to poll, as in the operator's cache, however
often the status is written. The bar is the judge's, in the median of several rounds.
"""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from math import log
from statistics import NormalDist

import numpy as np

from benchmarks.judge import replay
from benchmarks.judge.tables import OURS
from benchmarks.judge.traffic import POLL_SECONDS, SIGMA, Cell, simulate
from benchmarks.report import Row
from turnout.api.analysis import Analysis
from turnout.api.judgement import Trail
from turnout.api.rollout import AnalysisStep
from turnout.judge.protocol import PodCounters, Poll, Question
from turnout.judge.sequential import SequentialJudge
from turnout.rollout.trail import extended
from turnout_predictors.telemetry.metrics import EDGES_SECONDS

MOST_MICROSECONDS = 200
RUNS = 5
ROUNDS = 5
EVERY = timedelta(seconds=POLL_SECONDS)
STEP = AnalysisStep()
MEDIAN_SECONDS = 0.05
"""Of the lognormal times to answer."""


def speed() -> list[Row]:
    """Microseconds of the processor that a poll takes: of the judge, and then of the course that is written of it.

    The median of all rounds' medians, and the least of all polls.
    """
    rows = []
    for times, shaped in SHAPES.items():
        for pods in (1, 3):
            for name, assume in OURS.items():
                rounds = [list(_round(shaped, pods, Analysis(assume=assume))) for _ in range(ROUNDS)]
                middles = [[1e6 * statistics.median(each) for each in zip(*polls, strict=True)] for polls in rounds]
                look, course = (statistics.median(each) for each in zip(*middles, strict=True))
                least = 1e6 * min(look for polls in rounds for look, _ in polls)
                rows.append(
                    {
                        "assume": name,
                        "times to answer": times,
                        "pods a side": pods,
                        "median us": f"{look:.0f}",
                        "least us": f"{least:.0f}",
                        f"{MOST_MICROSECONDS} us": "met" if look <= MOST_MICROSECONDS else "missed",
                        "course, median us": f"{course:.0f}",
                    }
                )
    return rows


def _round(shaped: Shape, pods: int, analysis: Analysis) -> Iterator[tuple[float, float]]:
    traffic = simulate(Cell(200, 0.1, 0.02, pods=(pods, pods)), RUNS, seed=10)
    for run in range(RUNS):
        yield from taken(shaped(replay.polls(traffic, run)), analysis)


def taken(polls: Iterable[Poll], analysis: Analysis) -> Iterator[tuple[float, float]]:
    """Seconds of the processor for each poll after the first: of the judge's look, and of the course."""
    judge, memory = SequentialJudge(), ""
    trail: Trail | None = None
    for poll in polls:
        question = Question(analysis, memory, poll, STEP, 1, poll.at - replay.START)
        before = time.process_time()
        found = judge.look(question)
        between = time.process_time()
        trail = extended(trail, found.status, poll.at, poll.weight, EVERY)
        after = time.process_time()
        if memory:
            yield between - before, after - between
        memory = found.status.memory


def everywhere(polls: Iterable[Poll]) -> Iterator[Poll]:
    return map(finely, polls)


def finely(poll: Poll) -> Poll:
    """The same answers, in as many buckets as the predictors have."""
    canary, stable = (tuple(map(_spread, side)) for side in (poll.canary, poll.stable))
    return replace(poll, canary=canary, stable=stable, edges=EDGES_SECONDS)


def _spread(pod: PodCounters) -> PodCounters:
    ends = (0, *(bisect_left(EDGES_SECONDS, edge) + 1 for edge in replay.EDGES), len(EDGES_SECONDS) + 1)
    fine: list[int] = []
    for count, (start, end) in zip(pod.latency, pairwise(ends), strict=True):
        fine += _evenly(count, end - start)
    return replace(pod, latency=tuple(fine))


def _evenly(count: int, buckets: int) -> Sequence[int]:
    share, more = divmod(count, buckets)
    return [share + (bucket < more) for bucket in range(buckets)]


def lognormal(polls: Iterable[Poll]) -> Iterator[Poll]:
    """As many answers, each as slow as it happens: most buckets stay empty, as they do with any one model."""
    draw, times = np.random.default_rng(10), NormalDist(log(MEDIAN_SECONDS), SIGMA)
    shares = [after - before for before, after in pairwise((0.0, *(times.cdf(log(edge)) for edge in EDGES_SECONDS), 1))]
    known: dict[str, list[int]] = {}
    for poll in polls:
        for pod in (*poll.canary, *poll.stable):
            before = known.get(pod.pod, [0] * len(shares))
            drawn = draw.multinomial(sum(pod.latency) - sum(before), shares).tolist()
            known[pod.pod] = [old + new for old, new in zip(before, drawn, strict=True)]
        canary, stable = (
            tuple(replace(pod, latency=tuple(known[pod.pod])) for pod in side) for side in (poll.canary, poll.stable)
        )
        yield replace(poll, canary=canary, stable=stable, edges=EDGES_SECONDS)


Shape = Callable[[Iterable[Poll]], Iterator[Poll]]
SHAPES: dict[str, Shape] = {"in every bucket": everywhere, "lognormal": lognormal}

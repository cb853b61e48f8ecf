"""What a poll costs the processor: the judge's look, memory, words and status and all; beside it, the engine's course.

The pods count along the predictors' own edges, with answers in every bucket, in a step with a clock, as in a rollout:
no number that is read, differenced or remembered there is left out here. The bar is the judge's.
"""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from benchmarks.judge import replay
from benchmarks.judge.tables import OURS
from benchmarks.judge.traffic import POLL_SECONDS, Cell, Traffic, simulate
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
EVERY = timedelta(seconds=POLL_SECONDS)
STEP = AnalysisStep()


def speed() -> list[Row]:
    """Microseconds of the processor that a poll takes: of the judge, and then of the course that is written of it."""
    rows = []
    for pods in (1, 3):
        for name, assume in OURS.items():
            traffic = simulate(Cell(200, 0.1, 0.02, pods=(pods, pods)), RUNS, seed=10)
            both = [each for run in range(RUNS) for each in taken(traffic, run, Analysis(assume=assume))]
            looks, courses = ([1e6 * each[index] for each in both] for index in range(2))
            middle = statistics.median(looks)
            rows.append(
                {
                    "assume": name,
                    "pods a side": pods,
                    "median us": f"{middle:.0f}",
                    "least us": f"{min(looks):.0f}",
                    f"{MOST_MICROSECONDS} us": "met" if middle <= MOST_MICROSECONDS else "missed",
                    "course, median us": f"{statistics.median(courses):.0f}",
                }
            )
    return rows


def taken(traffic: Traffic, run: int, analysis: Analysis) -> Iterator[tuple[float, float]]:
    """Seconds of the processor for each poll after the first: of the judge's look, and of the course."""
    judge, memory = SequentialJudge(), ""
    trail: Trail | None = None
    for poll in map(finely, replay.polls(traffic, run)):
        read_anew = analysis.model_copy(deep=True)  # as the engine reads it with each status that was written
        question = Question(read_anew, memory, poll, STEP, 1, poll.at - replay.START)
        before = time.process_time()
        found = judge.look(question)
        between = time.process_time()
        trail = extended(trail, found.status, poll.at, poll.weight, EVERY)
        after = time.process_time()
        if memory:
            yield between - before, after - between
        memory = found.status.memory


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

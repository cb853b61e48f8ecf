"""The course of the evidence, for people: at most a few dozen moments of an attempt, in `status.analysis.trail`.

It is written with what is written anyway, never for its own sake, and nothing is decided by it. Full, it is thinned to
moments twice as far apart, so that it always spans the whole attempt.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import log

from turnout.api.judgement import AnalysisStatus, MetricStatus, MetricTrail, Trail

MOST = 48
HUNDRED = 100
BOUND = 9999
"""Hundredths of a logarithm; beyond, nothing is told apart, and a line keeps its length."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`at`: seconds since the trail began. `harm`, `passing`: natural logarithms of evidence; `passing` where due."""

    at: int
    weight: int
    harm: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    passing: Mapping[str, float] = field(default_factory=dict)


def extended(before: Trail | None, analysis: AnalysisStatus, at: datetime, weight: int, interval: timedelta) -> Trail:
    """The trail with what is known now at its end."""
    began = before.began if before else at
    known = moments(before) if before else ()
    elapsed = max(round((at - began).total_seconds()), known[-1].at if known else 0)
    now = Moment(
        elapsed,
        weight,
        logarithm(analysis.harm),
        {metric.name: logarithm(metric.harm) for metric in analysis.metrics if metric.harm},
        {metric.name: logarithm(metric.pass_) for metric in analysis.metrics if metric.pass_},
    )
    return _written(began, _thinned([*known, now], max(1, round(interval.total_seconds()))), analysis.metrics)


def logarithm(evidence: str) -> float:
    """Of a decimal string; what is none, or 0, is no evidence at all or a great deal against."""
    try:
        value = float(evidence) if evidence else 1.0
    except ValueError:
        return 0.0
    return log(value) if value > 0 else -BOUND / HUNDRED


def moments(trail: Trail) -> tuple[Moment, ...]:
    """What was written; nothing where it cannot be read."""
    try:
        harms = {metric.name: _numbers(metric.harm) for metric in trail.metrics}
        passes = {metric.name: _numbers(metric.pass_) for metric in trail.metrics if metric.pass_}
        rows = zip(_numbers(trail.seconds), _numbers(trail.weight), _numbers(trail.harm), strict=True)
        return tuple(
            Moment(at, weight, harm / HUNDRED, _at(index, harms), _at(index, passes))
            for index, (at, weight, harm) in enumerate(rows)
        )
    except (ValueError, IndexError):
        return ()


def _at(index: int, courses: Mapping[str, Sequence[int]]) -> Mapping[str, float]:
    return {name: course[index] / HUNDRED for name, course in courses.items() if course}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _thinned(points: Sequence[Moment], step: int) -> list[Moment]:
    """The first, the last, and between them such as are far enough apart."""
    while (points[-1].at - points[0].at) / step > MOST - 2:
        step *= 2
    return list(_apart(points, step))


def _apart(points: Sequence[Moment], step: int) -> Iterator[Moment]:
    kept = points[0]
    if len(points) > 1:
        yield kept
    for point in points[1:-1]:
        if point.at - kept.at >= step:
            kept = point
            yield kept
    yield points[-1]


def _written(began: datetime, points: Sequence[Moment], metrics: Sequence[MetricStatus]) -> Trail:
    return Trail(
        began=began,
        seconds=_line(point.at for point in points),
        weight=_line(point.weight for point in points),
        harm=_line(_hundredths(point.harm) for point in points),
        metrics=tuple(_course(metric, points) for metric in metrics if metric.harm or metric.pass_),
    )


def _course(metric: MetricStatus, points: Sequence[Moment]) -> MetricTrail:
    """A metric that was not there from the first has had no evidence until then."""
    harm = _line(_hundredths(point.metrics.get(metric.name, 0.0)) for point in points) if metric.harm else ""
    passing = _line(_hundredths(point.passing.get(metric.name, 0.0)) for point in points) if metric.pass_ else ""
    return MetricTrail.model_validate({"name": metric.name, "harm": harm, "pass": passing})


def _line(numbers: Iterator[int]) -> str:
    return " ".join(map(str, numbers))


def _hundredths(value: float) -> int:
    return max(-BOUND, min(BOUND, round(value * HUNDRED)))

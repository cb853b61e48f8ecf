"""The course of the evidence, for people: at most a few dozen moments of an attempt, in `status.analysis.trail`.

It is written with what is written anyway, never for its own sake, and nothing is decided by it. Full, it is thinned to
moments twice as far apart, so that it always spans the whole attempt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from math import log

from turnout.api.judgement import AnalysisStatus, MetricStatus, MetricTrail, Trail

MOST = 48
HUNDRED = 100
BOUND = 9999
"""Hundredths of a logarithm; beyond, nothing is told apart, and a line keeps its length."""
NUMBERS = re.compile(r"(?:-?[0-9]{1,7} )*-?[0-9]{1,7}").fullmatch


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
    seconds = _seconds(before) if before else []
    elapsed = max(round((at - began).total_seconds()), seconds[-1] if seconds else 0)
    lines = Lines(len(seconds), _thinned([*seconds, elapsed], max(1, round(interval.total_seconds()))))
    known = {metric.name: metric for metric in before.metrics} if before and seconds else {}
    return Trail.model_validate(
        {
            "began": began,
            "seconds": lines.extended(before.seconds if before else "", elapsed),
            "weight": lines.extended(before.weight if before else "", weight),
            "harm": lines.extended(before.harm if before else "", _hundredths(analysis.harm)),
            "metrics": [
                _course(metric, known.get(metric.name), lines)
                for metric in analysis.metrics
                if metric.harm or metric.pass_
            ],
        }
    )


@dataclass(frozen=True, slots=True)
class Lines:
    """So many moments were `known`; of them and the one that comes, those at `kept` stay."""

    known: int
    kept: Sequence[int]

    def extended(self, line: str, now: int) -> str:
        """A line with one number more. What was not there from the first has had no evidence until then."""
        if not self.known:
            return str(now)
        grown = f"{line or ' '.join('0' * self.known)} {now}"
        if len(self.kept) > self.known:
            return grown
        words = grown.split(" ")
        return " ".join([words[index] for index in self.kept])


def _course(metric: MetricStatus, before: MetricTrail | None, lines: Lines) -> dict[str, str]:
    harm, passing = (before.harm, before.pass_) if before else ("", "")
    return {
        "name": metric.name,
        "harm": lines.extended(harm, _hundredths(metric.harm)) if metric.harm else "",
        "pass": lines.extended(passing, _hundredths(metric.pass_)) if metric.pass_ else "",
    }


def _seconds(trail: Trail) -> list[int]:
    """Of each moment; none where a line cannot be read."""
    lines = [trail.seconds, trail.weight, trail.harm, *chain(*((each.harm, each.pass_) for each in trail.metrics))]
    spaces = trail.seconds.count(" ")
    whole = spaces < MOST and all(line.count(" ") == spaces and NUMBERS(line) for line in lines if line)
    return [*map(int, trail.seconds.split())] if whole and all(lines[:3]) else []


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


def _thinned(seconds: Sequence[int], step: int) -> Sequence[int]:
    """The indices of the first, the last, and between them such as are far enough apart."""
    while (seconds[-1] - seconds[0]) / step > MOST - 2:
        step *= 2
    last, kept = len(seconds) - 1, [0]
    for index in range(1, last):
        if seconds[index] - seconds[kept[-1]] >= step:
            kept.append(index)
    return [*kept, last] if last else kept


def _hundredths(evidence: str) -> int:
    """The logarithm of a decimal string, in hundredths."""
    return max(-BOUND, min(BOUND, round(logarithm(evidence) * HUNDRED)))

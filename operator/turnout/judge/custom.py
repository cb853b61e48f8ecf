"""Bounds of one's own: a number that has been out of them for as long as `for` says. Outside the judge's promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from types import MappingProxyType
from zlib import crc32

from turnout.api.analysis import CustomMetric, MetricAction

NOTHING_LIFTED: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Broken:
    """A bound that has been broken for long enough."""

    metric: CustomMetric
    value: float


def is_within(metric: CustomMetric, value: float) -> bool:
    return not ((metric.min and value < float(metric.min)) or (metric.max and value > float(metric.max)))


def silent(metrics: Sequence[CustomMetric], values: Mapping[str, float]) -> str:
    """The first deciding metric without a number, or empty."""
    return next((m.name for m in metrics if not m.dry_run and isnan(values.get(m.name, float("nan")))), "")


def identity(metric: CustomMetric) -> int:
    """Of the bound itself: metrics come, go and change places while a rollout runs."""
    return crc32(f"{metric.name}|{metric.min}|{metric.max}|{metric.query}".encode())


def moments(since: Sequence[int]) -> dict[int, int]:
    """Since when each bound is broken, by its identity; of those that are kept there is none."""
    return dict(zip(since[::2], since[1::2], strict=False))


def out_since(
    metrics: Sequence[CustomMetric], values: Mapping[str, float], before: Sequence[int], now: int
) -> tuple[int, ...]:
    """Identities of the bounds that are broken, each followed by since when; a silent one stays as it was."""
    if not metrics:
        return ()
    known, found = moments(before), list[int]()
    for metric in metrics:
        bound, value = identity(metric), values.get(metric.name, float("nan"))
        start = known.get(bound, 0)
        if not isnan(value):
            start = 0 if is_within(metric, value) else start or now
        if start:
            found += bound, start
    return tuple(found)


def is_let_pass(metric: CustomMetric, since: int, lifted: Mapping[str, int]) -> bool:
    return metric.action is MetricAction.PAUSE and since <= lifted.get(metric.name, 0)


def broken(
    metrics: Sequence[CustomMetric],
    values: Mapping[str, float],
    since: Sequence[int],
    now: int,
    lifted: Mapping[str, int] = NOTHING_LIFTED,
) -> Broken | None:
    """The first that decides and has been out for `for`; one that rolls back before one that pauses.

    `lifted`: until when a person has let a pausing metric pass; out since before that, it is the same happening.
    """
    starts = moments(since)
    found = [
        Broken(metric, values[metric.name])
        for metric in metrics
        if (start := starts.get(identity(metric), 0))
        and not metric.dry_run
        and metric.name in values
        and now - start >= metric.for_.seconds * 1000
        and not is_let_pass(metric, start, lifted)
    ]
    return min(found, key=lambda each: each.metric.action != "Rollback", default=None)

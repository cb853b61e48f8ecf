"""Bounds of one's own: a number that has been out of them for as long as `for` says. Outside the judge's promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from types import MappingProxyType

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


def out_since(
    metrics: Sequence[CustomMetric], values: Mapping[str, float], before: Sequence[int], now: int
) -> tuple[int, ...]:
    """Per metric the time since when it is out of bounds, 0 while it is within; a silent one stays as it was."""
    since = [*before, *(0 for _ in metrics)][: len(metrics)]
    for index, metric in enumerate(metrics):
        value = values.get(metric.name, float("nan"))
        if not isnan(value):
            since[index] = 0 if is_within(metric, value) else since[index] or now
    return tuple(since)


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
    found = [
        Broken(metric, values[metric.name])
        for metric, start in zip(metrics, since, strict=True)
        if start
        and not metric.dry_run
        and metric.name in values
        and now - start >= metric.for_.seconds * 1000
        and not is_let_pass(metric, start, lifted)
    ]
    return min(found, key=lambda each: each.metric.action != "Rollback", default=None)

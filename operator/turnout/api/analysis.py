"""`spec.analysis`: what the judge looks at, what it promises and what happens when it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from turnout.api.base import Authored, Boolean, Int32, Rule
from turnout.api.scalars import DecimalString, Duration


class Judge(StrEnum):
    SEQUENTIAL = "Sequential"
    THRESHOLD = "Threshold"


class Assumption(StrEnum):
    INDEPENDENT_REQUESTS = "IndependentRequests"
    CLUSTERED_ERRORS = "ClusteredErrors"
    POD_BURSTS = "PodBursts"


class MetricAction(StrEnum):
    """What a broken bound does."""

    PAUSE = "Pause"
    ROLLBACK = "Rollback"


class Against(StrEnum):
    """What a candidate's answers are compared with."""

    STABLE = "Stable"
    REFERENCE = "Reference"
    BOTH = "Both"


class Unproven(StrEnum):
    """What a step does that ends without proof."""

    HOLD = "Hold"
    ADVANCE = "Advance"
    ROLLBACK = "Rollback"


class PodsSource(Authored):
    """Read the predictors' own counters from their pods."""


class Source(Authored):
    """Where the numbers come from; empty means the pods themselves."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.pods) && size(self.prometheus) > 0)",
            sentence="source names prometheus or pods, not both",
            holds=lambda source: not (source.pods is not None and source.prometheus),
        ),
    )

    prometheus: str = Field(
        default="",
        max_length=63,
        description="prometheus is the name of an entry in the operator's settings (--prometheus NAME=URL); empty: "
        "none is named.",
        examples=["cluster"],
    )
    pods: PodsSource | None = Field(
        default=None,
        description="pods reads the counters of the pods themselves; it needs no Prometheus.",
        examples=[{}],
    )


def _is_fraction(text: DecimalString) -> bool:
    return 0 < (text.decimal or 0) < 1


def _tolerates(metric: str) -> Rule:
    return Rule(
        cel="size(self.tolerateRatio) > 0 && double(self.tolerateRatio) >= 1.0",
        sentence=f"{metric}.tolerateRatio is at least 1: below it, a candidate that equals stable would be rolled back",
        holds=lambda block: (block.tolerate_ratio.decimal or 0) >= 1,
        field="tolerateRatio",
    )


class ErrorsMetric(Authored):
    """Share of requests that failed: 5xx and timeouts."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _tolerates("errors"),
        Rule(
            cel="size(self.passBelow) > 0 && double(self.passBelow) > 0.0 && double(self.passBelow) < 1.0",
            sentence="errors.passBelow is a fraction between 0 and 1",
            holds=lambda metric: _is_fraction(metric.pass_below),
            field="passBelow",
        ),
    )

    enabled: Boolean = Field(default=True, description="enabled counts this metric in verdicts.", examples=[True])
    tolerate_ratio: DecimalString = Field(
        default=DecimalString("1.0"),
        description="tolerateRatio is how many times stable's error rate is still no harm.",
        examples=["1.5"],
    )
    pass_below: DecimalString = Field(
        default=DecimalString("0.01"),
        description="passBelow is the absolute error rate, a fraction, that the candidate must prove to be under.",
        examples=["0.005"],
    )
    weight: Int32 = Field(
        default=1,
        ge=1,
        le=100,
        description="weight is this metric's part in the sum of evidence of harm.",
        examples=[2],
    )


Quantile = DecimalString


class LatencyMetric(Authored):
    """Time to answer, by quantiles of stable's."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _tolerates("latency"),
        Rule(
            cel="self.quantiles.all(q, size(q) > 0 && double(q) > 0.0 && double(q) < 1.0)",
            sentence="each quantile is a fraction between 0 and 1: 0.99, not 99",
            holds=lambda metric: all(map(_is_fraction, metric.quantiles)),
            field="quantiles",
        ),
        Rule(
            cel="size(self.passRatio) > 0 && double(self.passRatio) > 1.0",
            sentence="latency.passRatio is greater than 1: no number of requests proves two versions equal",
            holds=lambda metric: (metric.pass_ratio.decimal or 0) > 1,
            field="passRatio",
        ),
        Rule(
            cel="size(self.passBelow) == 0 || double(self.passBelow) > 0.0",
            sentence="latency.passBelow is empty or more than 0 seconds",
            holds=lambda metric: not metric.pass_below or (metric.pass_below.decimal or 0) > 0,
            field="passBelow",
        ),
    )

    enabled: Boolean = Field(default=True, description="enabled counts this metric in verdicts.", examples=[True])
    quantiles: tuple[Quantile, ...] = Field(
        default=(Quantile("0.5"), Quantile("0.9"), Quantile("0.99")),
        min_length=1,
        max_length=5,
        description="quantiles is where stable's distribution gives the edges to compare at, each a fraction.",
        examples=[["0.5", "0.99"]],
    )
    tolerate_ratio: DecimalString = Field(
        default=DecimalString("1.0"),
        description="tolerateRatio is how many times stable's share of slow requests is still no harm.",
        examples=["1.2"],
    )
    pass_ratio: DecimalString = Field(
        default=DecimalString("1.5"),
        description="passRatio is the ratio to stable's share of slow requests that it must prove to be under.",
        examples=["2.0"],
    )
    pass_below: DecimalString = Field(
        default=DecimalString(""),
        description="passBelow is an absolute bound in seconds, for when stable is no control; empty means none.",
        examples=["0.25"],
    )
    weight: Int32 = Field(
        default=1,
        ge=1,
        le=100,
        description="weight is this metric's part in the sum of evidence of harm.",
        examples=[2],
    )


class DriftMetric(Authored):
    """How far the answers have moved from stable's, or from those at publishing."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.tolerance) > 0 && double(self.tolerance) > 0.0 && double(self.tolerance) < 1.0",
            sentence="drift.tolerance is a fraction between 0 and 1: no answers lie further apart than 1",
            holds=lambda metric: _is_fraction(metric.tolerance),
            field="tolerance",
        ),
    )

    enabled: Boolean = Field(
        default=False, description="enabled compares the distributions of answers.", examples=[True]
    )
    output: str = Field(
        default="",
        max_length=128,
        description="output is the output tensor that is compared; empty means the first.",
        examples=["label"],
    )
    against: Against = Field(
        default=Against.STABLE,
        description="against is what the answers are compared with: Stable, which answers the same callers, Reference, "
        "the rows that the candidate was published with, or Both. A distance from the reference only ever pauses.",
        examples=["Both"],
    )
    tolerance: DecimalString = Field(
        default=DecimalString("0.1"),
        description="tolerance is the distance that is no drift yet, a fraction.",
        examples=["0.2"],
    )
    action: MetricAction = Field(
        default=MetricAction.PAUSE,
        description="action is what drift does: Pause or Rollback.",
        examples=["Rollback"],
    )


class CustomMetric(Authored):
    """A query of one's own, with bounds; outside the judge's promise."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.min) > 0 || size(self.max) > 0",
            sentence="a custom metric has a min, a max or both",
            holds=lambda metric: bool(metric.min or metric.max),
        ),
        Rule(
            cel="size(self.min) == 0 || size(self.max) == 0 || double(self.min) <= double(self.max)",
            sentence="min of a custom metric is at most its max: no number lies within such bounds",
            holds=lambda metric: not (metric.min and metric.max) or Decimal(metric.min) <= Decimal(metric.max),
            field="min",
        ),
    )

    name: str = Field(
        pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        min_length=1,
        max_length=40,
        description="name is how the metric is called in status and events.",
        examples=["queue-depth"],
    )
    query: str = Field(
        min_length=1,
        max_length=2048,
        description="query is asked of the source, with the operator's own token for it, and must answer one number.",
        examples=["sum(queue_depth)"],
    )
    min: DecimalString = Field(
        default=DecimalString(""),
        description="min is the least value that is well; empty means none.",
        examples=["1"],
    )
    max: DecimalString = Field(
        default=DecimalString(""),
        description="max is the greatest value that is well; empty means none.",
        examples=["100"],
    )
    for_: Duration = Field(
        default=Duration("0s"),
        alias="for",
        description="for is how long the value must be out of bounds before it counts.",
        examples=["2m"],
    )
    dry_run: Boolean = Field(
        default=False, description="dryRun shows the metric and lets it decide nothing.", examples=[True]
    )
    action: MetricAction = Field(
        default=MetricAction.ROLLBACK,
        description="action is what a value out of bounds does: Pause or Rollback.",
        examples=["Pause"],
    )


def _between(name: str, low: str, high: str) -> Callable[[Analysis], bool]:
    return lambda analysis: Decimal(low) < (getattr(analysis, name).decimal or 0) < Decimal(high)


class Analysis(Authored):
    """How a candidate is judged."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.alpha) > 0 && double(self.alpha) > 0.0 && double(self.alpha) < 1.0",
            sentence="alpha is a fraction between 0 and 1",
            holds=_between("alpha", "0", "1"),
            field="alpha",
        ),
        Rule(
            cel="size(self.beta) > 0 && double(self.beta) > 0.0 && double(self.beta) < 1.0",
            sentence="beta is a fraction between 0 and 1",
            holds=_between("beta", "0", "1"),
            field="beta",
        ),
        Rule(
            cel="duration(self.interval) >= duration('5s') && duration(self.interval) <= duration('5m')",
            sentence="interval is between 5s and 5m",
            holds=lambda analysis: timedelta(seconds=5) <= analysis.interval.delta <= timedelta(minutes=5),
            field="interval",
        ),
        Rule(
            cel="duration(self.sourceGrace) <= duration('24h')",
            sentence="sourceGrace is at most 24h",
            holds=lambda analysis: analysis.source_grace.delta <= timedelta(hours=24),
            field="sourceGrace",
        ),
        Rule(
            cel="size(self.custom) == 0 || size(self.source.prometheus) > 0",
            sentence="custom metrics are queries of a Prometheus: name it in source.prometheus",
            holds=lambda analysis: not analysis.custom or bool(analysis.source.prometheus),
            field="custom",
        ),
    )

    source: Source = Field(
        default=Source(),
        description="source is where the numbers come from; empty means the pods themselves, as pods does.",
        examples=[{"pods": {}}],
    )
    judge: Judge = Field(
        default=Judge.SEQUENTIAL,
        description="judge is Sequential, which keeps its promise however often it looks, or Threshold, a fixed bound.",
        examples=["Sequential"],
    )
    assume: Assumption = Field(
        default=Assumption.CLUSTERED_ERRORS,
        description="assume is what errors are taken to come in: single requests, clusters, or bursts of a pod.",
        examples=["PodBursts"],
    )
    alpha: DecimalString = Field(
        default=DecimalString("0.01"),
        description="alpha is the probability, per attempt, of rolling back a version that is no worse than tolerated.",
        examples=["0.001"],
    )
    beta: DecimalString = Field(
        default=DecimalString("0.05"),
        description="beta is the probability of passing a version that should not pass.",
        examples=["0.01"],
    )
    interval: Duration = Field(
        default=Duration("15s"),
        description="interval is the time between two looks, on multiples of it since the epoch. From 5s to 5m.",
        examples=["30s"],
    )
    errors: ErrorsMetric = Field(
        default=ErrorsMetric(),
        description="errors compares the shares of requests that failed.",
        examples=[{"passBelow": "0.005"}],
    )
    latency: LatencyMetric = Field(
        default=LatencyMetric(),
        description="latency compares the times to answer.",
        examples=[{"quantiles": ["0.5", "0.99"]}],
    )
    drift: DriftMetric = Field(
        default=DriftMetric(),
        description="drift compares the distributions of the answers.",
        examples=[{"enabled": True}],
    )
    custom: Annotated[tuple[CustomMetric, ...], Field(json_schema_extra={"x-kubernetes-list-map-keys": ["name"]})] = (
        Field(
            default=(),
            max_length=10,
            description="custom is queries of one's own with bounds.",
            examples=[[{"name": "queue-depth", "query": "sum(queue_depth)", "max": "100"}]],
        )
    )
    on_inconclusive: Unproven = Field(
        default=Unproven.ADVANCE,
        description="onInconclusive is what happens when maxDuration is over, minRequests were seen and "
        "nothing is proven.",
        examples=["Hold"],
    )
    on_too_few_requests: Unproven = Field(
        default=Unproven.HOLD,
        description="onTooFewRequests is what happens when maxDuration is over and minRequests were not seen.",
        examples=["Advance"],
    )
    on_source_error: Unproven = Field(
        default=Unproven.HOLD,
        description="onSourceError is what happens when the source has not answered, or knew no request, "
        "for sourceGrace.",
        examples=["Rollback"],
    )
    source_grace: Duration = Field(
        default=Duration("5m"),
        description="sourceGrace is how long a silent source is put up with. At most 24h.",
        examples=["15m"],
    )
    dry_run: Boolean = Field(
        default=False, description="dryRun shows verdicts and lets them decide nothing.", examples=[True]
    )

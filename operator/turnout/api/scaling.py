"""`spec.scaling`: how many pods. All of it but containerConcurrency changes at any time, in place.

One effect of latencyCritical does not: Knative takes a delay of scaling down only at a revision's birth.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from turnout.api.base import Authored, Boolean, Int32, Rule
from turnout.api.scalars import Duration

CRON_PATTERN = r"^[-0-9*,/A-Za-z]+( [-0-9*,/A-Za-z]+){4}$"
Cron = Annotated[str, Field(pattern=CRON_PATTERN, max_length=100)]


class TargetMetric(StrEnum):
    CONCURRENCY = "concurrency"
    RPS = "rps"


class ScalingTarget(Authored):
    """What one pod is meant to carry."""

    metric: TargetMetric = Field(
        default=TargetMetric.CONCURRENCY,
        description="metric is what the autoscaler counts: requests at once, or requests per second.",
        examples=["concurrency"],
    )
    value: Int32 = Field(
        default=0,
        ge=0,
        le=100_000,
        description="value is how much of metric one pod carries; pods are added at 70 % of it. 0 leaves it to "
        "Knative: 100 requests at once or 200 a second, and at once no more than containerConcurrency.",
        examples=[8],
    )


class Floor(Authored):
    """A floor for certain hours."""

    schedule: Cron = Field(
        description="schedule is when the floor begins, as five cron fields.", examples=["0 8 * * 1-5"]
    )
    until: Cron = Field(description="until is when the floor ends, as five cron fields.", examples=["0 18 * * 1-5"])
    timezone: str = Field(
        default="UTC",
        pattern=r"^[A-Za-z0-9_+/-]+$",
        max_length=64,
        description="timezone is the IANA name of the zone in which schedule and until are read.",
        examples=["Europe/Berlin"],
    )
    min_replicas: Int32 = Field(
        ge=1, le=1000, description="minReplicas is the floor in pods while the window is open.", examples=[2]
    )


class DuringRollout(Authored):
    """What a rollout asks for beyond the floors."""

    canary_min: Int32 = Field(
        default=1,
        ge=1,
        le=1000,
        description="canaryMin is the least number of ready pods that a candidate needs before it gets any share.",
        examples=[2],
    )
    count_ready_pods: Boolean = Field(
        default=True,
        description="countReadyPods keeps stable at the pods it has when a rollout starts; false holds the "
        "floors and "
        "ignores how far stable has scaled.",
        examples=[True],
    )


class Scaling(Authored):
    """How many pods a version has, and when."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minReplicas <= self.maxReplicas",
            sentence="minReplicas is at most maxReplicas",
            holds=lambda scaling: scaling.min_replicas <= scaling.max_replicas,
            field="minReplicas",
        ),
        Rule(
            cel="!self.latencyCritical || self.minReplicas >= 1",
            sentence="a latencyCritical version needs a floor: minReplicas of at least 1",
            holds=lambda scaling: not scaling.latency_critical or scaling.min_replicas >= 1,
            field="minReplicas",
        ),
        Rule(
            cel="self.duringRollout.canaryMin <= self.maxReplicas",
            sentence="duringRollout.canaryMin is at most maxReplicas",
            holds=lambda scaling: scaling.during_rollout.canary_min <= scaling.max_replicas,
            field="duringRollout.canaryMin",
        ),
        Rule(
            cel="self.floors.all(f, f.minReplicas <= self.maxReplicas)",
            sentence="the minReplicas of every floor is at most maxReplicas",
            holds=lambda scaling: all(floor.min_replicas <= scaling.max_replicas for floor in scaling.floors),
            field="floors",
        ),
        Rule(
            cel="self.containerConcurrency == oldSelf.containerConcurrency",
            sentence="containerConcurrency is part of the pod template and immutable: make a new version",
            holds=lambda old, new: old.container_concurrency == new.container_concurrency,
            field="containerConcurrency",
            transition=True,
        ),
    )

    latency_critical: Boolean = Field(
        default=False,
        description="latencyCritical keeps at least one pod, takes Knative's activator out of the path, and keeps "
        "pods that are too many for 5m; the last only if it is set from the version's birth on.",
        examples=[True],
    )
    min_replicas: Int32 = Field(
        default=0,
        ge=0,
        le=1000,
        description="minReplicas is the floor in pods; 0 lets an idle version go to zero.",
        examples=[2],
    )
    max_replicas: Int32 = Field(
        default=3, ge=1, le=1000, description="maxReplicas is the ceiling in pods.", examples=[10]
    )
    target: ScalingTarget = Field(
        default=ScalingTarget(),
        description="target is what one pod is meant to carry.",
        examples=[{"metric": "rps", "value": 50}],
    )
    container_concurrency: Int32 = Field(
        default=0,
        ge=0,
        le=1000,
        description="containerConcurrency is the hard limit of requests at once in one pod; 0 means none. Immutable.",
        examples=[16],
    )
    scale_to_zero_retention: Duration = Field(
        default=Duration("30s"),
        description="scaleToZeroRetention is how long the last pod is kept after the autoscaler would end it.",
        examples=["5m"],
    )
    floors: tuple[Floor, ...] = Field(
        default=(),
        max_length=16,
        description="floors is higher floors for certain hours; the greatest that holds counts. Each time of a "
        "schedule comes once: in an hour that the clocks skip at its end, in one that they repeat at the first.",
        examples=[
            [
                {
                    "schedule": "0 8 * * 1-5",
                    "until": "0 18 * * 1-5",
                    "timezone": "Europe/Berlin",
                    "minReplicas": 2,
                }
            ]
        ],
    )
    during_rollout: DuringRollout = Field(
        default=DuringRollout(),
        description="duringRollout is what a rollout asks for beyond the floors.",
        examples=[{"canaryMin": 2}],
    )

"""`status.analysis`: what the judge says and must remember, and how it came to it; `status.stops`: what it stopped."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from turnout.api.base import Observed
from turnout.api.recorded import Count64, KnownReason, LongText, Percent, Readable, ReasonText, ShortText
from turnout.api.scalars import Time


class RequestCounts(Observed):
    """Requests of both sides in the step."""

    canary: Count64 = Field(
        default=0,
        description="canary is how many requests the candidate answered in the step.",
        examples=[412],
    )
    stable: Count64 = Field(
        default=0, description="stable is how many requests stable answered in the step.", examples=[3710]
    )


class MetricStatus(Observed):
    """What one metric says; numbers are decimal strings."""

    name: ShortText = Field(description="name is the metric's name.", examples=["errors"])
    harm: ShortText = Field(default="", description="harm is the evidence of harm so far.", examples=["0.8"])
    pass_: ShortText = Field(
        default="", alias="pass", description="pass is the evidence for a pass so far.", examples=["11.2"]
    )
    canary: ShortText = Field(default="", description="canary is the candidate's value.", examples=["0.0024"])
    stable: ShortText = Field(default="", description="stable is the value of stable.", examples=["0.0031"])
    edge: ShortText = Field(
        default="",
        description="edge is the seconds beyond which an answer counts as slow; empty where it is not latency.",
        examples=["0.047"],
    )


Course = Annotated[str, Field(max_length=512)]
"""Whole numbers, one for each moment of a trail, with spaces between them: a line for a person, not a page."""


class MetricTrail(Observed):
    """How the evidence of one metric came about."""

    name: ShortText = Field(description="name is the metric's name.", examples=["errors"])
    harm: Course = Field(
        default="",
        description="harm is the logarithm of the evidence of harm at each moment, in hundredths.",
        examples=["0 -12 85"],
    )
    pass_: Course = Field(
        default="",
        alias="pass",
        description="pass is the logarithm of the evidence for a pass at each moment, in hundredths.",
        examples=["0 40 93"],
    )


class Trail(Observed):
    """How the evidence of the attempt came about, thinned to a few dozen moments; nothing is decided by it."""

    began: Time = Field(description="began is the moment of the first poll.", examples=["2026-11-21T10:41:15Z"])
    seconds: Course = Field(description="seconds is each moment, in seconds since began.", examples=["0 15 30"])
    weight: Course = Field(
        default="", description="weight is the candidate's share at each moment, in percent.", examples=["10 10 10"]
    )
    harm: Course = Field(
        default="",
        description="harm is the logarithm of the evidence of harm of all metrics at each moment, in hundredths.",
        examples=["0 -6 50"],
    )
    metrics: tuple[MetricTrail, ...] = Field(
        default=(),
        max_length=16,
        description="metrics is the course of each metric.",
        examples=[[{"name": "errors", "harm": "0 -12 85"}]],
    )


class AnalysisStatus(Observed):
    """What the judge says and remembers."""

    verdict: ReasonText = Field(default="", description="verdict is the judge's last word.", examples=["Hold"])
    polled_at: Time | None = Field(
        default=None,
        description="polledAt is the moment up to which requests have been counted; nothing before the first counts.",
        examples=["2026-11-21T10:44:15Z"],
    )
    expected_at: Time | None = Field(
        default=None,
        description="expectedAt is when the step passes if it goes on like this.",
        examples=["2026-11-21T10:46:00Z"],
    )
    requests: RequestCounts = Field(
        default=RequestCounts(),
        description="requests is how many requests both sides answered in the step.",
        examples=[{"canary": 412, "stable": 3710}],
    )
    harm: ShortText = Field(
        default="",
        description="harm is the evidence of harm of all metrics together; at one over alpha it is proven.",
        examples=["0.8"],
    )
    metrics: tuple[MetricStatus, ...] = Field(
        default=(),
        max_length=16,
        description="metrics is what each metric says.",
        examples=[[{"name": "errors", "harm": "0.8"}]],
    )
    blind: tuple[ShortText, ...] = Field(
        default=(),
        max_length=5,
        description="blind is what cannot be judged, and why, a sentence each.",
        examples=[["drift is not judged: stable counts no answers of output score by bin"]],
    )
    trail: Annotated[Trail | None, Readable] = Field(
        default=None,
        description="trail is how the evidence came about, for people; turnout analyze draws it.",
        examples=[{"began": "2026-11-21T10:41:15Z", "seconds": "0 15 30", "harm": "0 -6 50"}],
    )
    memory: Annotated[str, Field(max_length=2048)] = Field(
        default="",
        description="memory is what the judge must remember, at most 2 KiB.",
        examples=["1:0.8:412"],
    )


class Stop(Observed):
    """What has stopped the rollout: a metric whose action is Pause, once for what it found, or its deadline.

    Only a person lifts that.
    """

    reason: KnownReason = Field(
        default=None, description="reason is what was found, one word of the closed list.", examples=["Drift"]
    )
    metric: ShortText = Field(default="", description="metric is the metric's name, or deadline.", examples=["drift"])
    level: ShortText = Field(
        default="",
        description="level is what was seen of the metric; what a person lets pass, it lets pass up to there.",
        examples=["0.31"],
    )
    message: LongText = Field(
        default="",
        description="message is the finding in one sentence.",
        examples=["the answers moved by 0.31"],
    )
    at: Time | None = Field(default=None, description="at is when it was found.", examples=["2026-11-21T10:41:07Z"])
    weight: Percent = Field(
        default=0, description="weight is the share that the version keeps while it is stopped.", examples=[10]
    )
    lifted_at: Time | None = Field(
        default=None,
        description="liftedAt is when a person moved the rollout on all the same; absent while it stands.",
        examples=["2026-11-21T10:51:07Z"],
    )

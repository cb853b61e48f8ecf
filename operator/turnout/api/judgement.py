"""`status.analysis`: what the judge says and must remember."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from turnout.api.base import Observed
from turnout.api.recorded import Count64, ReasonText, ShortText
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
    metrics: tuple[MetricStatus, ...] = Field(
        default=(),
        max_length=16,
        description="metrics is what each metric says.",
        examples=[[{"name": "errors", "harm": "0.8"}]],
    )
    memory: Annotated[str, Field(max_length=2048)] = Field(
        default="",
        description="memory is what the judge must remember, at most 2 KiB.",
        examples=["1:0.8:412"],
    )

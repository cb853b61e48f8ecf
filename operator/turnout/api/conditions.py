"""Conditions, in Kubernetes' usual form; Unknown until an operator has looked, so that a dead one is seen."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from turnout.api.base import Observed
from turnout.api.reasons import ConditionType, Reason
from turnout.api.recorded import Count64, LongText, ReasonText
from turnout.api.scalars import Time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Observed):
    """One condition, in Kubernetes' usual form."""

    type: ReasonText = Field(description="type is the name of the condition.", examples=["Ready"])
    status: ConditionStatus = Field(
        default=ConditionStatus.UNKNOWN, description="status is True, False or Unknown.", examples=["True"]
    )
    observed_generation: Count64 | None = Field(
        default=None,
        description="observedGeneration is the generation of the spec that the condition speaks of.",
        examples=[3],
    )
    last_transition_time: Time = Field(
        default=EPOCH,
        description="lastTransitionTime is when status last changed.",
        examples=["2026-11-21T10:41:07Z"],
    )
    reason: ReasonText = Field(
        default=Reason.Pending.value,
        min_length=1,
        description="reason is one word of the closed list of reasons.",
        examples=["Promoted"],
    )
    message: LongText = Field(
        default="", description="message is one sentence for a person.", examples=["version 7 is stable"]
    )


PENDING_CONDITIONS = tuple(
    Condition(type=kind.value, message="no operator has looked at this version yet") for kind in ConditionType
)
"""What a version says whose operator is dead or absent."""

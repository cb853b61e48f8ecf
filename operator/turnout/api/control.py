"""`spec.control`: the block that people on duty change; admission policy guards it by verbs of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from turnout.api.base import Authored, Boolean

Token = Annotated[str, Field(pattern=r"^[-._A-Za-z0-9]*$", max_length=64)]


class PromoteMode(StrEnum):
    NEXT_STEP = "NextStep"
    FULL = "Full"


class Promote(Authored):
    """Go on, once for each new token."""

    mode: PromoteMode = Field(
        default=PromoteMode.NEXT_STEP,
        description="mode is NextStep (end this step) or Full (all traffic at once).",
        examples=["Full"],
    )
    token: Token = Field(
        default="",
        description="token is any new word; each one acts once, whatever its mode, also if an older one comes back. "
        "Empty asks for nothing.",
        examples=["t1"],
    )


class Control(Authored):
    """What people on duty may say to a rollout."""

    paused: Boolean = Field(
        default=False,
        description="paused keeps the weight and stops the clocks of the plan until it is false again.",
        examples=[True],
    )
    abort: Boolean = Field(
        default=False,
        description="abort ends the rollout and takes the share away, or ends the wait for one; it wins over "
        "promote, and left true refuses a retry.",
        examples=[True],
    )
    promote: Promote = Field(
        default=Promote(),
        description="promote ends a step or the whole plan early.",
        examples=[{"mode": "NextStep", "token": "t1"}],
    )
    retry_token: Token = Field(
        default="",
        description="retryToken is any new word; each one starts one next attempt of a failed version.",
        examples=["again-1"],
    )

"""What the fields of `status` are made of: words that may be of another release, counts, limited texts."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from turnout.api.base import Int32, Int64
from turnout.api.reasons import Reason, Role, State
from turnout.api.rollout import Verb

Word = TypeVar("Word", bound=StrEnum)

LONGEST_TEXT = 2048


def _known(words: type[Word]) -> Callable[[object], object]:
    """A word of another release reads as None: it is looked at anew."""
    return lambda value: value if value is None or value in tuple(words) else None


def _clipped(value: object) -> object:
    """What does not fit is cut: a long message must not keep a status from being written."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[: LONGEST_TEXT - 1] + "…"
    return value


def _readable(value: object, parse: ValidatorFunctionWrapHandler) -> object:
    """A block that this release cannot read is as good as absent."""
    try:
        return parse(value)
    except ValidationError:
        return None


Readable = WrapValidator(_readable)

KnownState = Annotated[State | None, BeforeValidator(_known(State))]
KnownRole = Annotated[Role | None, BeforeValidator(_known(Role))]
KnownReason = Annotated[
    Reason | None, BeforeValidator(_known(Reason)), WithJsonSchema({"type": "string", "maxLength": 128})
]
"""No enum in the CRD: an operator that knows a new reason must be able to write it before the CRD does."""
KnownVerb = Annotated[Verb | None, BeforeValidator(_known(Verb))]

Percent = Annotated[Int32, Field(ge=0, le=100)]
Count32 = Annotated[Int32, Field(ge=0)]
Count64 = Annotated[Int64, Field(ge=0)]
ShortText = Annotated[str, Field(max_length=253)]
LongText = Annotated[str, BeforeValidator(_clipped), Field(max_length=LONGEST_TEXT)]
Address = Annotated[str, Field(max_length=1024)]
ReasonText = Annotated[str, Field(max_length=128)]
"""A reason as written, whoever wrote it; compare it with `Reason`."""

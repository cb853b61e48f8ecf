"""Small values with a written form: durations, decimals, names, digests, addresses, times.

They stay the strings that were written, so that what is read is written back unchanged; the number or the
`timedelta` is one property away. No floats: the API carries none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
DURATION_PATTERN = r"^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$"
DECIMAL_PATTERN = r"^([0-9]{1,9}(\.[0-9]{1,9})?)?$"
DIGEST_PATTERN = r"^(sha256:[0-9a-f]{64})?$"

_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}


@lru_cache(maxsize=1024)
def _seconds(text: str) -> float:
    """Remembered: the same few lengths are asked for in every pass."""
    return float(sum(Decimal(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text)))


@lru_cache(maxsize=1024)
def _delta(text: str) -> timedelta:
    return timedelta(seconds=_seconds(text))


class Written(str):
    """A string of one pattern that keeps its written form; models check it, `Written("x")` does not."""

    pattern: ClassVar[str]
    max_length: ClassVar[int]
    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(pattern=cls.pattern, max_length=cls.max_length, strict=True)
        return core_schema.no_info_after_validator_function(cls, text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": cls.pattern, "maxLength": cls.max_length}


class Duration(Written):
    """Go's way of writing a length of time: `30s`, `1h30m`, `500ms`."""

    pattern = DURATION_PATTERN
    max_length = 32
    __slots__ = ()

    @property
    def delta(self) -> timedelta:
        return _delta(self)

    @property
    def seconds(self) -> float:
        return _seconds(self)

    @classmethod
    def of(cls, delta: timedelta) -> Self:
        """The shortest usual writing of `delta`, to the millisecond; negative lengths become `0s`."""
        millis = max(0, round(delta.total_seconds() * 1000))
        hours, rest = divmod(millis, 3_600_000)
        minutes, rest = divmod(rest, 60_000)
        seconds, millis = divmod(rest, 1000)
        parts = ((hours, "h"), (minutes, "m"), (seconds, "s"), (millis, "ms"))
        return cls("".join(f"{number}{unit}" for number, unit in parts if number) or "0s")


class DecimalString(Written):
    """A number with its digits as written, `"0.01"`; empty where a field says that empty means off."""

    pattern = DECIMAL_PATTERN
    max_length = 20
    __slots__ = ()

    @property
    def decimal(self) -> Decimal | None:
        return Decimal(self) if self else None


class Digest(Written):
    """`sha256:` and 64 hexadecimal digits, or empty."""

    pattern = DIGEST_PATTERN
    max_length = 71
    __slots__ = ()


def _in_utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment, always aware and in UTC; RFC 3339 in JSON."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=40)]
"""A DNS-1035 label of at most 40 characters: Knative hashes longer revision names."""

OptionalName = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)]
"""The name of a Kubernetes object of the namespace, or empty."""

"""Durations, decimals and times: read, computed with, and written back as they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from turnout.api.scalars import DecimalString, Digest, Duration, Name, Time


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0s", 0), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("1.5h", 5400), ("1m1s1ms", 61.001)],
)
def test_a_duration_is_what_go_makes_of_it(written: str, seconds: float) -> None:
    duration = TypeAdapter(Duration).validate_python(written)
    assert duration == written
    assert duration.seconds == seconds
    assert duration.delta == timedelta(seconds=seconds)


@pytest.mark.parametrize("written", ["", "30", "1d", "-5s", "1 h", "5S", "PT5M", "1h1h1h1h1h", "999999s", 30, None])
def test_what_go_or_the_api_would_not_take_is_no_duration(written: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(written)


@given(st.integers(min_value=0, max_value=99_999 * 3_600_000))
def test_a_written_length_reads_as_the_same_length(millis: int) -> None:
    delta = timedelta(milliseconds=millis)
    assert TypeAdapter(Duration).validate_python(Duration.of(delta)).delta == delta


def test_what_is_negative_is_written_as_nothing() -> None:
    assert Duration.of(timedelta(seconds=-3)) == "0s"


@pytest.mark.parametrize(("written", "decimal"), [("0.01", Decimal("0.01")), ("1", Decimal(1)), ("", None)])
def test_a_decimal_keeps_its_digits(written: str, decimal: Decimal | None) -> None:
    assert TypeAdapter(DecimalString).validate_python(written).decimal == decimal


@pytest.mark.parametrize("written", [".5", "1.", "1e3", "-1", "0.1%", 0.1, 1])
def test_what_is_no_plain_number_is_no_decimal(written: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DecimalString).validate_python(written)


def test_a_digest_is_sha256_in_small_letters() -> None:
    TypeAdapter(Digest).validate_python("sha256:" + "a" * 64)
    with pytest.raises(ValidationError):
        TypeAdapter(Digest).validate_python("sha256:" + "A" * 64)


@pytest.mark.parametrize("name", ["a", "a-1", "a" * 40])
def test_a_name_is_a_label_of_at_most_40(name: str) -> None:
    assert TypeAdapter(Name).validate_python(name) == name


@pytest.mark.parametrize("name", ["", "1a", "a-", "A", "a.b", "a" * 41])
def test_what_is_no_such_label_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


def test_a_time_is_aware_and_in_utc() -> None:
    read = TypeAdapter(Time).validate_python("2026-11-21T12:41:07+02:00")
    assert read == datetime(2026, 11, 21, 10, 41, 7, tzinfo=UTC)
    assert read.tzinfo is UTC
    with pytest.raises(ValidationError):
        TypeAdapter(Time).validate_python("2026-11-21T12:41:07")

"""Moments as a person reads them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from turnout.api.moments import moment

AT = datetime(2026, 11, 23, 10, 0, 6, 999_999, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("at", "beside", "read"),
    [
        pytest.param(AT, None, "2026-11-23 10:00:06Z", id="by itself it has its day"),
        pytest.param(AT, AT - timedelta(hours=9), "10:00:06Z", id="the day is known"),
        pytest.param(AT, AT - timedelta(hours=48), "2026-11-23 10:00:06Z", id="the end of a pause of two days"),
        pytest.param(AT, AT - timedelta(hours=11), "2026-11-23 10:00:06Z", id="the evening before"),
        pytest.param(AT.astimezone(BERLIN), None, "2026-11-23 10:00:06Z", id="of another zone"),
        pytest.param(AT, datetime(2026, 11, 24, 0, 30, tzinfo=BERLIN), "10:00:06Z", id="beside another zone"),
        pytest.param(None, AT, "an unknown moment", id="nobody knows"),
    ],
)
def test_a_moment_has_its_zone_and_its_day_unless_the_day_is_known(
    at: datetime | None, beside: datetime | None, read: str
) -> None:
    assert moment(at, beside) == read

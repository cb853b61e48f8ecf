"""Moments as a person reads them: in UTC, and with the day wherever it could be taken for another.

Never relative to now: who looks twice reads the same, so that rest writes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: datetime | None, beside: datetime | None = None) -> str:
    """`2026-11-23 10:00:06Z`; `10:00:06Z` on the day of `beside`, a moment of which the reader knows the day.

    Only for what ends soon by itself: whoever reads what stands for days needs the day.
    """
    if at is None:
        return "an unknown moment"
    there = at.astimezone(UTC)
    is_known = beside is not None and beside.astimezone(UTC).date() == there.date()
    return f"{there:%H:%M:%SZ}" if is_known else f"{there:%Y-%m-%d %H:%M:%SZ}"

"""When a cron schedule comes, and what is wrong with one that never does: more than a pattern of the schema can say.

A schedule names times on the wall of its zone. Each of them comes once: in an hour that the clocks skip at its end, in
an hour that they repeat at the first. The zones are those of the system, or of the package tzdata where it has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from turnout.api.problems import Fault, nearest, shown
from turnout.api.scaling import Floor, Scaling

MARGIN = timedelta(hours=3)
"""More than any clock is ever set back or forward: a time on the wall is never further from its moment than that."""
MINUTE = timedelta(minutes=1)
SOME_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 – a time on the wall


@dataclass(frozen=True, slots=True, order=True)
class Occurrence:
    """A time of a schedule: when it is, and what the wall says. Ordered: times of a skipped hour by the wall."""

    at: datetime
    wall: datetime


@lru_cache(maxsize=4096)
def last(cron: str, zone: ZoneInfo, now: datetime) -> Occurrence | None:
    """The last time at or before `now`, a whole minute."""
    there = now.astimezone(zone).replace(tzinfo=None) + MARGIN
    found = (_occurrence(wall, zone) for wall in CronSim(cron, there, reverse=True))
    return next((time for time in found if time.at <= now), None)


@lru_cache(maxsize=4096)
def following(cron: str, zone: ZoneInfo, now: datetime) -> Occurrence | None:
    """The first time after `now`, a whole minute."""
    there = now.astimezone(zone).replace(tzinfo=None) - MARGIN
    found = (_occurrence(wall, zone) for wall in CronSim(cron, there))
    return next((time for time in found if time.at > now), None)


def _occurrence(wall: datetime, zone: ZoneInfo) -> Occurrence:
    there = wall
    while (at := there.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != there:
        there += MINUTE  # the clocks skip it
    return Occurrence(at, wall)


def zone_of(name: str) -> ZoneInfo | None:
    """None for a name that no zone has, a folder of zones among them."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def is_readable(floor: Floor) -> bool:
    return not any(_floor_faults(floor))


def schedule_faults(scaling: Scaling) -> tuple[Fault, ...]:
    """Each field of `spec.scaling.floors` that says no time, with what may stand there."""
    return tuple(
        Fault(("spec", "scaling", "floors", index, field), sentence)
        for index, floor in enumerate(scaling.floors)
        for field, sentence in _floor_faults(floor)
    )


def _floor_faults(floor: Floor) -> Iterator[tuple[str, str]]:
    for field, cron in (("schedule", floor.schedule), ("until", floor.until)):
        if wrong := _cron_fault(cron):
            yield field, f'found {shown(cron)}, {wrong}; write five cron fields, such as "0 8 * * 1-5"'
    if zone_of(floor.timezone) is None:
        near = nearest(floor.timezone, available_timezones())
        yield "timezone", f"found {shown(floor.timezone)}, must be the IANA name of a time zone, as Europe/Berlin{near}"


@lru_cache(maxsize=1024)
def _cron_fault(cron: str) -> str:
    """What is wrong with it; empty if nothing."""
    try:
        comes = next(CronSim(cron, SOME_DAY), None)
    except CronSimError as fault:
        return f"{str(fault).removeprefix('Bad ')} is not right"
    return "" if comes else "no day is ever like that"

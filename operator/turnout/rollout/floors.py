"""The pods that a version's owner always wants, and those for certain hours: the greatest that holds counts.

A floor that cannot be read holds all the time: it is told as Invalid, and whoever serves keeps the pods it may need.
"""

from collections.abc import Iterator
from datetime import datetime

from turnout.api.scaling import Floor, Scaling
from turnout.api.schedules import following, is_readable, last, zone_of


def wanted_pods(scaling: Scaling, now: datetime) -> int:
    """The floor in pods at `now`: minReplicas, that of a latency-critical version, and the schedules that hold."""
    held = (floor.min_replicas for floor in scaling.floors if holds(floor, now))
    return max(scaling.min_replicas, 1 if scaling.latency_critical else 0, *held)


def holds(floor: Floor, now: datetime) -> bool:
    """Its last beginning came after its last end; where both are one time it goes on without a break."""
    zone = zone_of(floor.timezone)
    if zone is None or not is_readable(floor):
        return True
    minute = now.replace(second=0, microsecond=0)
    began, ended = last(floor.schedule, zone, minute), last(floor.until, zone, minute)
    return began is not None and (ended is None or began >= ended)


def next_edge(scaling: Scaling, now: datetime) -> datetime | None:
    """When a schedule next begins or ends."""
    return min((edge for floor in scaling.floors for edge in _edges(floor, now)), default=None)


def _edges(floor: Floor, now: datetime) -> Iterator[datetime]:
    zone = zone_of(floor.timezone)
    if zone is None or not is_readable(floor):
        return
    minute = now.replace(second=0, microsecond=0)
    for cron in (floor.schedule, floor.until):
        if comes := following(cron, zone, minute):
            yield comes.at

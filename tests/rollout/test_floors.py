"""Floors by schedule: when they hold, across zones and daylight saving, and what they do to pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rollout.simulation import START, steps, version
from tests.rollout.world import World, canary, serving
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.scaling import Scaling
from turnout.rollout.floors import next_edge, wanted_pods

OFFICE = {"schedule": "0 8 * * 1-5", "until": "0 18 * * 1-5", "timezone": "Europe/Berlin", "minReplicas": 2}


def scaling(*floors: dict[str, Any], **further: Any) -> Scaling:
    return Scaling.model_validate({"maxReplicas": 9, **further, "floors": floors})


def floor(schedule: str, until: str, timezone: str = "Europe/Berlin", pods: int = 2) -> dict[str, Any]:
    return {"schedule": schedule, "until": until, "timezone": timezone, "minReplicas": pods}


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "pods"),
    [
        pytest.param("2026-11-20T07:59:59+01:00", 0, id="a second before it begins"),
        pytest.param("2026-11-20T08:00:00+01:00", 2, id="as it begins"),
        pytest.param("2026-11-20T17:59:59+01:00", 2, id="a second before it ends"),
        pytest.param("2026-11-20T18:00:00+01:00", 0, id="as it ends"),
        pytest.param("2026-11-21T12:00:00+01:00", 0, id="on a Saturday"),
        pytest.param("2026-07-20T08:00:00+02:00", 2, id="at eight of the summer's clock too"),
        pytest.param("2026-07-20T08:00:00+01:00", 2, id="which is nine there"),
        pytest.param("2026-07-20T07:30:00+01:00", 2, id="and half past eight there"),
    ],
)
def test_a_floor_holds_by_the_clock_of_its_zone(moment: str, pods: int) -> None:
    assert wanted_pods(scaling(OFFICE), at(moment)) == pods


@pytest.mark.parametrize(
    ("schedule", "until", "holds"),
    [
        # On 29 March 2026 Berlin's clocks go from 2:00 to 3:00, which is 1:00 UTC.
        pytest.param("30 2 * * *", "0 5 * * *", {"00:59": 0, "01:00": 2, "02:59": 2, "03:00": 0}, id="it begins there"),
        pytest.param("0 1 * * *", "30 2 * * *", {"00:30": 2, "00:59": 2, "01:00": 0}, id="it ends there"),
        pytest.param("15 2 * * *", "45 2 * * *", {"00:59": 0, "01:00": 0, "01:30": 0}, id="all of it is there"),
        pytest.param("0 1 * * *", "0 4 * * *", {"23:59": 0, "00:00": 2, "01:59": 2, "02:00": 0}, id="it is around it"),
    ],
)
def test_an_hour_that_the_clocks_skip(schedule: str, until: str, holds: dict[str, int]) -> None:
    wanted = scaling(floor(schedule, until))
    days = {hour: "28" if hour.startswith("23") else "29" for hour in holds}
    assert {h: wanted_pods(wanted, at(f"2026-03-{days[h]}T{h}:00+00:00")) for h in holds} == holds


@pytest.mark.parametrize(
    ("schedule", "until", "holds"),
    [
        # On 25 October 2026 Berlin's clocks go from 3:00 back to 2:00, which is 1:00 UTC.
        pytest.param("30 2 * * *", "0 4 * * *", {"00:29": 0, "00:30": 2, "01:30": 2, "03:00": 0}, id="it begins there"),
        pytest.param("0 1 * * *", "30 2 * * *", {"00:29": 2, "00:30": 0, "01:29": 0, "01:31": 0}, id="it ends there"),
        pytest.param("10 2 * * *", "40 2 * * *", {"00:10": 2, "00:40": 0, "01:20": 0}, id="all of it, once"),
    ],
)
def test_an_hour_that_the_clocks_repeat(schedule: str, until: str, holds: dict[str, int]) -> None:
    wanted = scaling(floor(schedule, until))
    assert {h: wanted_pods(wanted, at(f"2026-10-25T{h}:00+00:00")) for h in holds} == holds


@pytest.mark.parametrize(
    ("floors", "moment", "pods"),
    [
        pytest.param(
            (floor("0 8 * * *", "0 18 * * *"), floor("0 12 * * *", "0 13 * * *", pods=5)),
            "2026-11-20T12:30:00+01:00", 5, id="the greatest of two",
        ),
        pytest.param((floor("0 22 * * *", "0 6 * * *"),), "2026-11-20T02:00:00+01:00", 2, id="over midnight"),
        pytest.param((floor("0 8 * * 1-5", "0 8 * * 2-6"),), "2026-11-18T08:00:00+01:00", 2, id="end on beginning"),
        pytest.param((floor("0 8 * * 1-5", "0 8 * * 2-6"),), "2026-11-21T08:00:00+01:00", 0, id="and then its end"),
        pytest.param((floor("0 8 * * *", "0 8 * * *"),), "2026-11-20T07:00:00+01:00", 2, id="always"),
        pytest.param((floor("0 0 29 2 *", "0 0 1 3 *"),), "2028-02-29T12:00:00+01:00", 2, id="on leap days"),
        pytest.param((floor("0 9 * * *", "0 17 * * *", "Asia/Kolkata"),), "2026-11-20T03:30:00+00:00", 2, id="half"),
        pytest.param((floor("0 9 * * *", "0 17 * * *", "Australia/Lord_Howe"),), "2026-11-20T09:00+11:00", 2, id="LH"),
        pytest.param((floor("61 8 * * *", "0 9 * * *"),), "2026-11-20T12:00:00+01:00", 2, id="unreadable: it holds"),
        pytest.param((floor("0 8 * * *", "0 9 * * *", "Mars/Olympus"),), "2026-11-20T12:00:00+01:00", 2, id="no zone"),
    ],
)  # fmt: skip
def test_what_holds(floors: tuple[dict[str, Any], ...], moment: str, pods: int) -> None:
    assert wanted_pods(scaling(*floors), at(moment)) == pods


def test_minreplicas_and_a_latency_critical_version_hold_besides() -> None:
    assert wanted_pods(scaling(OFFICE, minReplicas=3), at("2026-11-20T12:00:00+01:00")) == 3
    assert wanted_pods(scaling(OFFICE, minReplicas=1, latencyCritical=True), START) == 1


def test_the_next_edge_is_the_first_of_all_and_there_is_none_without_a_schedule() -> None:
    two = scaling(OFFICE, floor("30 12 * * *", "0 13 * * *", "UTC"))
    assert next_edge(two, at("2026-11-20T12:45:00+00:00")) == at("2026-11-20T13:00:00+00:00")
    assert next_edge(two, at("2026-11-20T13:00:00+00:00")) == at("2026-11-20T17:00:00+00:00")
    assert next_edge(scaling(), START) is None
    assert next_edge(scaling(floor("61 * * * *", "0 0 * * *")), START) is None


CRONS = st.sampled_from(
    ["0 8 * * 1-5", "30 2 * * *", "0 3 * * *", "*/20 1-4 * * 0", "15 * * * *", "0 0 1 * *", "59 23 * * 6", "0 2 29 3 *"]
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
FLOORS = st.lists(st.builds(floor, CRONS, CRONS, ZONES, st.integers(1, 9)), min_size=1, max_size=3)
AROUND = st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"])


@given(floors=FLOORS, day=AROUND, minute=st.integers(-1440, 2880))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_nothing_changes_between_an_edge_and_the_next(floors: list[dict[str, Any]], day: str, minute: int) -> None:
    """So a look at each edge misses nothing: checked by looking at every minute of the hours after."""
    wanted, now = scaling(*floors), at(f"{day}T00:00:00+00:00") + timedelta(minutes=minute)
    minutes = [now + timedelta(minutes=passed) for passed in range(180)]
    for before, after in pairwise(minutes):
        if wanted_pods(wanted, before) != wanted_pods(wanted, after):
            assert next_edge(wanted, before) == after


# -- in a rollout


def soon(pods: int = 2, begins: int = 1, ends: int = 3) -> dict[str, Any]:
    return {
        "minReplicas": 0,
        "maxReplicas": 5,
        "floors": [floor(f"{begins} 10 * * *", f"{ends} 10 * * *", "UTC", pods)],
    }


def test_pods_come_and_go_at_the_edges_and_the_floor_is_told() -> None:
    world = serving(1, scaling=soon())
    world.idle("signals-1")
    world.run(120 - (world.now - START).total_seconds(), tick=timedelta(seconds=1))
    assert len(world.running["signals-1"].pods) == 2
    assert world.versions["signals-1"].status.replicas.floor == 2
    world.run(70, tick=timedelta(seconds=1))
    assert len(world.running["signals-1"].pods) == 0
    assert world.versions["signals-1"].status.replicas.floor == 0


def test_what_holds_is_part_of_the_capacity_that_a_rollout_needs() -> None:
    world = serving(1, scaling=soon(pods=4, begins=0, ends=59))
    canary(world, 2, 50, pause="5s", scaling={"maxReplicas": 5})
    assert world.versions["signals-2"].status.capacity == 4
    assert world.running["signals-2"].autoscaling.min_pods == 2
    world.run(20, until=lambda: world.state("signals-2") is State.Live)


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        pytest.param(floor("61 8 * * *", "0 9 * * *"), "floors[0].schedule", "minute is not right", id="no minute"),
        pytest.param(floor("0 8 * * *", "0 9 * * MON-FOO"), "floors[0].until", "day-of-week is not right", id="no day"),
        pytest.param(floor("0 8 30 2 *", "0 9 * * *"), "floors[0].schedule", "not right", id="no 30th of February"),
        pytest.param(floor("0 8 * * *", "0 9 * * *", "Europe/Berlln"), "timezone", "mean Europe/Berlin?", id="no zone"),
        pytest.param(floor("0 8 * * *", "0 9 * * *", "Europe"), "floors[0].timezone", "IANA name", id="a folder"),
        pytest.param(floor("0 8 * * *", "0 9 * * *", "/etc/localtime"), "floors[0].timezone", "IANA name", id="a path"),
    ],
)
def test_a_floor_that_says_no_time_is_refused_by_field(
    world: World, wrong: dict[str, Any], field: str, says: str
) -> None:
    world.apply(version(1, scaling={"maxReplicas": 5, "floors": [wrong]}))
    world.run(2)
    status = world.versions["signals-1"].status
    assert (status.state, status.reason) == (State.Rejected, Reason.Invalid)
    assert field in status.message
    assert says in status.message


def test_a_floor_that_becomes_unreadable_is_told_and_holds() -> None:
    world = serving(1)
    broken = soon()
    broken["floors"][0]["schedule"] = "99 10 * * *"
    world.apply(version(1, scaling=broken, rollout={"strategy": "AllAtOnce"}))
    world.run(5)
    accepted = world.versions["signals-1"].status.condition(ConditionType.Accepted)
    assert accepted is not None
    assert accepted.reason == "Invalid"
    assert (world.state("signals-1"), len(world.running["signals-1"].pods)) == (State.Live, 2)


def test_at_rest_nothing_is_written_between_edges() -> None:
    world = serving(1, scaling=soon(begins=0, ends=59))
    world.run(20, tick=timedelta(seconds=1))
    before = len(world.writes)
    world.run(600, tick=timedelta(seconds=10))
    assert world.writes[before:] == []


def test_a_canary_steps_through_an_edge(world: World) -> None:
    world = serving(1, scaling=soon(pods=3))
    world.apply(version(2, rollout=steps(20, 60, pause="40s"), scaling=soon(pods=3)))
    world.run(150, tick=timedelta(milliseconds=500))
    assert world.states() == {"signals-1": State.Standby, "signals-2": State.Live}
    assert len(world.running["signals-2"].pods) == 3

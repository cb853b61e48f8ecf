"""Dead or alive, and what freezes a Route: the table of what a revision's facts mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.rollout.simulation import START
from turnout.api.reasons import Reason
from turnout.rollout.health import FROZEN_AFTER, Death, death, freezes, next_look
from turnout.rollout.snapshot import Autoscaling, Crash, Pod, Revision, Route, Share

KNOBS = Autoscaling(0, 3, timedelta(seconds=30))
UP = Pod("a", ready=True)
UNREADY = replace(UP, ready=False)
LEAVING = replace(UP, ready=True, leaving=True)
OTHER = Pod("b", ready=False)
EXIT = Crash(START, 137)
DEADLINE = timedelta(minutes=1)
LONG_AGO, JUST_NOW = START - timedelta(seconds=4), START - timedelta(seconds=2)
R = Revision("r", "uid", servable=True, wanted=1, autoscaling=KNOBS)


@pytest.mark.parametrize(
    ("revision", "reason", "own_fault"),
    [
        pytest.param(None, Reason.RevisionGone, False, id="a revision that exists no more is dead"),
        pytest.param(replace(R, pods=(UP,), crash=EXIT), None, False, id="one ready pod is life"),
        pytest.param(replace(R, wanted=0), None, False, id="asleep is not dead"),
        pytest.param(replace(R, pods=(UNREADY,), crash=EXIT), Reason.Crashed, True, id="a crash is death at once"),
        pytest.param(
            replace(R, pods=(UNREADY,), ready_at=JUST_NOW), None, False, id="unready for two seconds is not dead"
        ),
        pytest.param(
            replace(R, pods=(UNREADY, OTHER), ready_at=LONG_AGO, ready_with=frozenset("a")),
            Reason.ReadinessLost,
            True,
            id="for four seconds it is",
        ),
        pytest.param(replace(R, pods=(UNREADY,)), Reason.ReadinessLost, True, id="when it was ready may be unknown"),
        pytest.param(
            replace(R, pods=(LEAVING,), ready_at=LONG_AGO), Reason.Evicted, False, id="a pod that leaves is evicted"
        ),
        pytest.param(
            replace(R, pods=(OTHER,), ready_at=LONG_AGO, ready_with=frozenset("a")),
            Reason.Evicted,
            False,
            id="its replacement is no fault",
        ),
        pytest.param(replace(R, ready_at=LONG_AGO), Reason.Evicted, False, id="no pod at all is no fault either"),
        pytest.param(
            replace(R, starting=True, starting_since=LONG_AGO), None, False, id="on its way up from zero it lives"
        ),
        pytest.param(
            replace(R, starting=True, crash=EXIT, pods=(UNREADY,)), None, False, id="also if it crashes on that way"
        ),
        pytest.param(
            replace(R, starting=True, starting_since=START - DEADLINE),
            Reason.ReadinessLost,
            False,
            id="but not for ever",
        ),
    ],
)
def test_what_is_dead(revision: Revision | None, reason: Reason | None, own_fault: bool) -> None:
    found = death(revision, START, DEADLINE)
    assert (found.reason if found else None) is reason
    assert (found.own_fault if found else False) is own_fault


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        pytest.param(None, None, id="gone for good"),
        pytest.param(replace(R, pods=(UP,)), None, id="alive"),
        pytest.param(replace(R, pods=(UNREADY,), ready_at=JUST_NOW), START + timedelta(seconds=1), id="in its grace"),
        pytest.param(replace(R, pods=(UNREADY,), ready_at=LONG_AGO), None, id="dead"),
        pytest.param(replace(R, starting=True, starting_since=START), START + DEADLINE, id="starting"),
        pytest.param(replace(R, starting=True), None, id="starting since nobody knows when"),
    ],
)
def test_when_to_look_again(revision: Revision | None, expected: object) -> None:
    assert next_look(revision, START, DEADLINE) == expected


@pytest.mark.parametrize(
    ("revision", "seconds", "expected"),
    [
        pytest.param(replace(R, servable=False), 11, Reason.TrafficStuck, id="not Ready and without a pod it freezes"),
        pytest.param(replace(R, servable=False), 9, None, id="before ten seconds nobody is blamed"),
        pytest.param(replace(R, servable=False, pods=(UP,)), 11, None, id="what answers is kept"),
        pytest.param(R, 11, None, id="what is Ready freezes nothing"),
        pytest.param(replace(R, name="other", servable=False), 11, None, id="who is not in the Route freezes nothing"),
    ],
)
def test_what_freezes_a_route(revision: Revision, seconds: int, expected: Reason | None) -> None:
    since = START - timedelta(seconds=seconds)
    route = Route("u", written=(Share("r", 100),), observed=(), in_sync=False, unsynced_since=since)
    found: Death | None = freezes(revision, route, START)
    assert (found.reason if found else None) is expected
    assert timedelta(seconds=10) == FROZEN_AFTER

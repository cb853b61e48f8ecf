"""Judged harmful: Frozen where policy says so, until a person decides; and what failed is not forgotten.

A failed version gets traffic again only by a new retry token, whatever else is wished of it meanwhile.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.judges import always, analysed, then
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, serving
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.reasons import ConditionType, EventReason, Reason, State
from turnout.api.status import ConditionStatus
from turnout.judge.protocol import Outcome

NAME = "signals-2"
FULL, NEXT = PromoteMode.FULL, PromoteMode.NEXT_STEP


def say(world: World, **control: Any) -> None:
    if "promote" in control:
        control["promote"] = Promote(mode=control["promote"][0], token=control["promote"][1])
    world.edit(NAME, control=Control(**control))


def finding(world: World) -> tuple[State | None, Reason | None]:
    verdict = world.versions[NAME].status.verdict
    return (verdict.outcome, verdict.reason) if verdict else (None, None)


def line(world: World) -> tuple[str, str]:
    """The last of its history."""
    last = world.versions[NAME].status.history[-1]
    return last.outcome, last.reason


# -- frozen


@pytest.fixture
def icy(served: World) -> World:
    """signals-2 is Frozen at 10 %."""
    served.judge = then(1, Outcome.HARM)
    plan = analysed(10, 50)
    plan["rollout"]["onFailure"] = "Freeze"
    served.apply(version(2, **plan))
    served.run(15, until=lambda: served.state(NAME) is State.Frozen)
    served.judge = always(Outcome.HOLD)
    return served


def test_a_frozen_version_keeps_its_share_for_as_long_as_nobody_decides(icy: World) -> None:
    before = len(icy.writes)
    icy.run(7200, tick=timedelta(seconds=20))
    assert (icy.percent(NAME), icy.writes[before:]) == (10, [])
    icy.restart_operator()
    icy.run(5)
    assert icy.percent(NAME) == 10


@pytest.mark.parametrize(
    ("control", "ends"),
    [
        pytest.param({"abort": True}, {NAME: State.Aborted, "signals-1": State.Live}, id="an abort"),
        pytest.param({"promote": (FULL, "t")}, {NAME: State.Live, "signals-1": State.Standby}, id="full promotion"),
        pytest.param({"retry_token": "r"}, {NAME: State.Progressing, "signals-1": State.Live}, id="a retry"),
        pytest.param({"promote": (NEXT, "t")}, {NAME: State.Frozen, "signals-1": State.Live}, id="not a next step"),
    ],
)
def test_a_person_ends_the_frost(icy: World, control: dict[str, Any], ends: dict[str, State]) -> None:
    say(icy, **control)
    icy.run(12)
    assert icy.states() == ends


@pytest.mark.parametrize(("desired", "ends"), [("Standby", State.RolledBack), ("Retired", State.Retired)])
def test_a_frozen_version_that_is_wanted_no_more_gives_up_its_share(icy: World, desired: str, ends: State) -> None:
    icy.edit(NAME, desired=desired)
    icy.run(5)
    assert (icy.state(NAME), icy.percent(NAME)) == (ends, 0)
    assert finding(icy) == (State.RolledBack, Reason.ErrorRate)


def test_a_newer_version_takes_a_frozen_ones_place_and_never_gives_it_back(icy: World) -> None:
    icy.apply(version(3, rollout=steps(20, pause="60s")))
    icy.run(10)
    assert icy.states() == {"signals-1": State.Live, NAME: State.RolledBack, "signals-3": State.Paused}
    assert (icy.percent(NAME), icy.percent("signals-3")) == (0, 20)
    assert all(len(split) <= 2 for split in icy.splits)


@pytest.mark.parametrize("how", ["crash", "evict", "remove"])
def test_a_frozen_version_that_dies_is_dropped(icy: World, how: str) -> None:
    icy.running[NAME].start_seconds = 20
    getattr(icy, how)(NAME)
    icy.run(8)
    assert (icy.state(NAME), icy.percent(NAME), icy.percent("signals-1")) == (State.RolledBack, 0, 100)
    assert finding(icy) == (State.RolledBack, Reason.ErrorRate)
    message = icy.versions[NAME].status.message
    assert message.startswith("errors: 9.1 % against 0.3 %; then "), "what it was frozen for comes first"


def test_a_frozen_version_carries_on_while_nothing_else_lives(icy: World) -> None:
    icy.crash("signals-1")
    icy.run(2)
    assert icy.percent(NAME) == 100
    icy.heal("signals-1")
    icy.run(15)
    assert (icy.percent(NAME), icy.state(NAME)) == (10, State.Frozen)


@pytest.mark.parametrize("policy", ["Queue", "Reject"])
def test_a_newcomer_that_would_not_replace_a_rollout_waits_for_the_person_too(icy: World, policy: str) -> None:
    icy.apply(version(3, rollout={**steps(20, pause="60s"), "onSupersede": policy}))
    icy.run(20)
    assert (icy.percent(NAME), icy.percent("signals-3"), icy.state(NAME)) == (10, 0, State.Frozen)
    say(icy, abort=True)
    icy.run(15)
    assert (icy.percent(NAME), icy.percent("signals-3"), icy.state(NAME)) == (0, 20, State.Aborted)


# -- what failed is not forgotten


FAILURES = {
    "RolledBack": (State.RolledBack, Reason.Crashed),
    "Frozen": (State.RolledBack, Reason.ErrorRate),
    "Failed": (State.Failed, Reason.WrongAnswer),
    "Aborted": (State.Aborted, Reason.Aborted),
}


def break_it(world: World, how: str) -> None:
    """signals-2 has failed in this way, and would do well from now on."""
    if how == "Failed":
        world.wrong_answers.add(NAME)
    world.judge = then(1, Outcome.HARM) if how == "Frozen" else always(Outcome.HOLD)
    plan = analysed(10, 50)
    plan["rollout"]["onFailure"] = "Freeze"
    world.apply(version(2, **plan))
    world.run(8)
    if how == "RolledBack":
        world.crash(NAME, again=False)
    if how == "Aborted":
        say(world, abort=True)
    world.run(12, until=lambda: world.state(NAME) is State(how))
    if how == "Aborted":
        say(world)
    world.wrong_answers.clear()
    world.judge = always(Outcome.PASS)


@pytest.fixture
def checked() -> World:
    return serving(1, check=Invariants())


@pytest.mark.parametrize("away", [("Standby",), ("Retired",), ("Standby", "Retired", "Standby")], ids="-".join)
@pytest.mark.parametrize("how", FAILURES)
def test_what_failed_returns_only_by_a_new_token_whatever_it_was_set_to_meanwhile(
    checked: World, how: str, away: tuple[str, ...]
) -> None:
    break_it(checked, how)
    split = len(checked.splits) if how != "Frozen" else len(checked.splits) + 1
    for desired in away:
        checked.edit(NAME, desired=desired)
        checked.run(45)
    checked.restart_operator()
    checked.edit(NAME, desired="Live")
    checked.run(600, tick=timedelta(seconds=1))
    status = checked.versions[NAME].status
    assert (status.state, status.reason, status.attempt) == (*FAILURES[how], 1)
    assert status.message.endswith("; waits for a new control.retryToken: turnout retry signals 2")
    ready = status.condition(ConditionType.Ready)
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, FAILURES[how][1])
    assert checked.splits[split:] == []
    assert line(checked) == FAILURES[how]
    say(checked, retry_token="again")
    checked.run(60, until=lambda: checked.state(NAME) is State.Live)
    assert (checked.versions[NAME].status.attempt, checked.versions[NAME].status.verdict) == (2, None)


def test_a_token_that_comes_with_the_wish_to_live_acts_at_once(checked: World) -> None:
    break_it(checked, "RolledBack")
    checked.edit(NAME, desired="Retired")
    checked.run(5)
    assert checked.versions[NAME].status.message.endswith("; waits for desired: Live and a new control.retryToken")
    checked.edit(NAME, desired="Live", control=Control(retry_token="again"))
    checked.run(60, until=lambda: checked.state(NAME) is State.Live)


def test_what_failed_and_is_wanted_again_is_told_as_that_and_not_as_another_rollback(checked: World) -> None:
    canary(checked, 2, 10, pause="60s")
    checked.crash(NAME)
    checked.run(60, until=lambda: checked.state(NAME) is State.RolledBack)
    checked.edit(NAME, desired="Retired")
    checked.run(5)
    before = len(checked.events)
    checked.edit(NAME, desired="Live")
    checked.run(30)
    (event,) = checked.events[before:]
    assert (event.reason, event.warning) == (EventReason.Caution, True)
    assert event.message.startswith("it is RolledBack as before: exit code 1: boom (found at ")
    assert event.message.endswith("waits for a new control.retryToken: turnout retry signals 2")


def test_what_failed_and_was_retired_is_nobodys_target_when_it_is_wanted_again(checked: World) -> None:
    """Nor does it end the rollout of another for a moment."""
    checked.wrong_answers.add("signals-3")
    checked.apply(version(3))
    checked.run(8)
    checked.edit("signals-3", desired="Retired")
    checked.run(5)
    canary(checked, 2, 30, pause="60s")
    checked.edit("signals-3", desired="Live")
    checked.run(5)
    assert checked.states() == {"signals-1": State.Live, NAME: State.Paused, "signals-3": State.Failed}


def test_a_crash_at_the_very_moment_of_a_withdrawal_is_told_as_that(checked: World) -> None:
    canary(checked, 2, 30, pause="60s")
    checked.crash(NAME)
    checked.edit(NAME, desired="Standby")
    checked.run(5)
    assert (checked.state(NAME), *line(checked)) == (State.RolledBack, "RolledBack", Reason.Crashed)


@pytest.mark.parametrize("then_what", ["withdrawn", "superseded"])
def test_harm_that_a_person_overruled_is_harm_again_if_it_does_not_get_through(icy: World, then_what: str) -> None:
    icy.frozen_until = icy.now + timedelta(seconds=20)
    say(icy, promote=(FULL, "t"))
    icy.run(2)
    assert icy.state(NAME) is State.Promoting
    if then_what == "withdrawn":
        icy.edit(NAME, desired="Standby")
    else:
        icy.apply(version(3, rollout=steps(20, pause="60s")))
    icy.run(40)
    assert (icy.state(NAME), *line(icy)) == (State.RolledBack, "RolledBack", Reason.ErrorRate)


def test_harm_that_a_person_overruled_stays_in_the_history(icy: World) -> None:
    say(icy, promote=(FULL, "t"))
    icy.run(12)
    status = icy.versions[NAME].status
    assert [(each.outcome, each.reason) for each in status.history] == [("Frozen", "ErrorRate"), ("Live", "Promoted")]
    assert status.verdict is None


def test_an_abort_of_a_frozen_version_keeps_what_it_was_frozen_for(icy: World) -> None:
    say(icy, abort=True)
    icy.run(12)
    assert line(icy) == ("Aborted", "ErrorRate")


def test_a_live_version_that_is_set_aside_for_an_older_one_has_not_failed(checked: World) -> None:
    checked.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    checked.run(15, until=lambda: checked.state(NAME) is State.Live)
    for desired in ("Standby", "Live"):
        checked.edit(NAME, desired=desired)
        checked.run(20)
    assert (checked.state(NAME), checked.versions[NAME].status.reason) == (State.Live, Reason.Promoted)


# -- beside one that is frozen


def test_a_newcomer_that_refuses_to_wait_is_refused_beside_a_frozen_one(icy: World) -> None:
    icy.apply(version(3, rollout={**steps(20, pause="60s"), "onSupersede": "Reject"}))
    icy.run(5)
    status = icy.versions["signals-3"].status
    assert (status.state, status.reason) == (State.Rejected, Reason.RolloutInProgress)
    assert status.message.startswith(f"{NAME} is frozen, and signals-3 says onSupersede: Reject")

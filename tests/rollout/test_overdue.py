"""An attempt over its deadline keeps its weight until a person says more; harm and death act all the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.judges import always, analysed, then
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.status import ConditionStatus
from turnout.judge.protocol import Outcome

NAME = "signals-2"
FULL, NEXT = PromoteMode.FULL, PromoteMode.NEXT_STEP
LATE = {**steps(30, 50, pause="40s"), "deadline": "1m"}
"""Its first step is over in time, its second is not."""


def condition(world: World) -> tuple[ConditionStatus, str]:
    stalled = world.versions[NAME].status.condition(ConditionType.Stalled)
    assert stalled is not None
    return stalled.status, stalled.reason


def promote(world: World, mode: PromoteMode, token: str = "go") -> None:
    world.edit(NAME, control=Control(promote=Promote(mode=mode, token=token)))


@pytest.fixture
def checked() -> World:
    return serving(1, check=Invariants())


@pytest.fixture
def late(checked: World) -> World:
    """signals-2 is over its deadline of a minute, at 30 %; its step of 90 s would have been over by now."""
    canary(checked, 2, 30, 50, pause="90s", rollout={"deadline": "1m"})
    checked.run(200)
    return checked


def test_what_is_over_its_deadline_is_stalled_and_told_and_keeps_its_weight(late: World) -> None:
    late.run(7200, tick=timedelta(seconds=20))
    status = late.versions[NAME].status
    assert (status.state, status.reason, late.percent(NAME)) == (State.Paused, Reason.DeadlineExceeded, 30)
    assert condition(late) == (ConditionStatus.TRUE, "DeadlineExceeded")
    assert status.message.startswith(
        "it takes longer than its deadline of 1m; 30 % until a person decides: "
        "a longer rollout.deadline or turnout promote signals lets its step go on; or turnout abort signals; "
        "over its deadline since "
    )
    told = entered(late.events)
    assert (told.count(f"{NAME} DeadlineExceeded"), told.count(f"{NAME} Paused")) == (1, 0)
    before = len(late.writes)
    late.run(7200, tick=timedelta(seconds=20))
    assert late.writes[before:] == []


@pytest.mark.parametrize("mode", [NEXT, FULL])
def test_a_person_lets_it_go_on_all_the_same(late: World, mode: PromoteMode) -> None:
    promote(late, mode)
    late.run(5)
    assert condition(late) == (ConditionStatus.FALSE, "NotStalled")
    late.run(200, until=lambda: late.state(NAME) is State.Live)


def test_a_longer_deadline_lets_it_go_on_until_that(late: World) -> None:
    rollout = late.versions[NAME].spec.rollout
    longer = version(2, rollout={"deadline": "10m"}).spec.rollout.deadline
    late.edit(NAME, rollout=rollout.model_copy(update={"deadline": longer}))
    late.run(50, until=lambda: late.percent(NAME) == 50)
    assert late.versions[NAME].status.stops == ()
    late.edit(NAME, rollout=rollout)
    late.run(300)
    assert (late.state(NAME), late.percent(NAME)) == (State.Paused, 50)
    assert entered(late.events).count(f"{NAME} DeadlineExceeded") == 2


@pytest.mark.parametrize("seconds", [40, 70, 71])
def test_a_word_before_the_deadline_does_not_count_for_it(checked: World, seconds: float) -> None:
    canary(checked, 2, 30, 50, 70, pause="40s", rollout={"deadline": "75s"})
    checked.run(seconds - 10)
    promote(checked, NEXT)
    checked.run(120)
    assert (checked.state(NAME), checked.versions[NAME].status.reason) == (State.Paused, Reason.DeadlineExceeded)


def test_a_promotion_that_comes_with_the_deadline_counts_as_after_it(checked: World) -> None:
    canary(checked, 2, 30, 50, pause="10m", rollout={"deadline": "1m"})
    checked.run(50)
    checked.now += timedelta(seconds=20)
    promote(checked, NEXT)
    checked.run(5)
    assert (checked.percent(NAME), condition(checked)) == (50, (ConditionStatus.FALSE, "NotStalled"))


@pytest.mark.parametrize("rollout", [{}, {"strategy": "AllAtOnce", "steps": []}], ids=["a plan", "all at once"])
def test_nothing_is_given_for_the_first_time_when_it_is_over(checked: World, rollout: dict[str, Any]) -> None:
    plan = {**steps(30), "deadline": "1m", **rollout}
    checked.silent.add(NAME)
    checked.apply(version(2, rollout=plan))
    checked.run(90)
    checked.silent.clear()
    checked.restart_operator()
    checked.run(60)
    assert (checked.percent(NAME), checked.versions[NAME].status.reason) == (0, Reason.DeadlineExceeded)
    assert len(checked.splits) == 1


def test_harm_and_death_act_all_the_same(late: World) -> None:
    late.crash(NAME)
    late.run(2)
    assert (late.state(NAME), late.percent(NAME)) == (State.RolledBack, 0)


def test_harm_is_still_looked_for(checked: World) -> None:
    checked.judge = then(20, Outcome.HARM)
    plan = analysed(30, 50, longest="1h")
    plan["rollout"]["deadline"] = "1m"
    checked.apply(version(2, **plan))
    checked.run(80)
    assert (checked.state(NAME), checked.percent(NAME)) == (State.Paused, 30)
    checked.run(60, until=lambda: checked.state(NAME) is State.RolledBack)


def test_no_proof_leads_on_when_it_is_over(checked: World) -> None:
    checked.judge = always(Outcome.HOLD)
    plan = analysed(30, 50, longest="1h")
    plan["rollout"]["deadline"] = "1m"
    checked.apply(version(2, **plan))
    checked.run(80)
    checked.judge = always(Outcome.PASS)
    checked.run(60)
    assert (checked.state(NAME), checked.percent(NAME)) == (State.Paused, 30)


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_evicted_around_the_deadline_returns_to_the_share_that_it_had(checked: World, when: str) -> None:
    canary(checked, 2, 30, 50, pause="90s", rollout={"deadline": "1m"})
    checked.running[NAME].start_seconds = 20
    checked.run(70 if when == "after" else 45)
    checked.evict(NAME)
    checked.run(10)
    assert checked.percent(NAME) == 0
    checked.run(120)
    assert (checked.percent(NAME), checked.versions[NAME].status.reason) == (30, Reason.DeadlineExceeded)


def test_a_pause_by_a_person_goes_over_into_that_of_the_deadline(late: World) -> None:
    late.edit(NAME, control=Control(paused=True))
    late.run(10)
    assert late.versions[NAME].status.reason is Reason.PausedByPerson
    late.edit(NAME, control=Control())
    late.run(10)
    assert (late.percent(NAME), late.versions[NAME].status.reason) == (30, Reason.DeadlineExceeded)


def test_the_first_of_its_model_is_told_of_it_and_goes_on() -> None:
    world = World(check=Invariants())
    world.silent.add("signals-1")
    world.apply(version(1, rollout={"deadline": "1m"}))
    world.run(90)
    stalled = world.versions["signals-1"].status.condition(ConditionType.Stalled)
    assert stalled is not None
    assert (stalled.status, stalled.message) == (
        ConditionStatus.TRUE, "the attempt takes longer than 1m; it goes on as soon as it can",
    )  # fmt: skip
    world.silent.clear()
    world.restart_operator()
    world.run(30, until=lambda: world.state("signals-1") is State.Live)


def test_the_fast_way_back_is_not_stopped_by_it(checked: World) -> None:
    checked.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    checked.run(15, until=lambda: checked.state(NAME) is State.Live)
    checked.run(700, tick=timedelta(seconds=1))
    rollout = checked.versions["signals-1"].spec.rollout
    short = version(1, rollout={"deadline": "1m"}).spec.rollout.deadline
    checked.edit("signals-1", rollout=rollout.model_copy(update={"deadline": short}))
    checked.running["signals-1"].start_seconds = 100
    checked.edit(NAME, desired="Standby")
    checked.run(120, until=lambda: checked.state("signals-1") is State.Live)


# -- what a person says, and what has no plan any more


def test_a_promotion_of_what_no_caller_has_met_counts_when_it_is_over(checked: World) -> None:
    checked.silent.add(NAME)
    checked.apply(version(2, rollout={**steps(30), "deadline": "1m"}))
    checked.run(90)
    stalled = checked.versions[NAME].status.condition(ConditionType.Stalled)
    assert stalled is not None
    assert "until a person puts that off, fully promotes or aborts it" in stalled.message
    promote(checked, FULL)
    checked.run(2)
    checked.silent.clear()
    checked.restart_operator()
    checked.run(30, until=lambda: checked.state(NAME) is State.Live)


def test_to_let_it_go_on_gives_no_approval_and_ends_no_analysis(checked: World) -> None:
    plan = [{"setWeight": 10}, {"approval": {}}, {"setWeight": 50}, {"pause": {}}]
    checked.apply(version(2, rollout={"steps": plan, "deadline": "1m"}))
    checked.run(90)
    assert checked.versions[NAME].status.reason is Reason.DeadlineExceeded
    promote(checked, NEXT, "seen")
    checked.run(30)
    assert (checked.percent(NAME), checked.versions[NAME].status.reason) == (10, Reason.AwaitingApproval)
    promote(checked, NEXT, "approved")
    checked.run(10)
    assert (checked.percent(NAME), checked.versions[NAME].status.reason) == (50, Reason.PausedByPlan)


def test_what_only_carries_on_is_over_no_deadline(checked: World) -> None:
    canary(checked, 2, 30, pause="10m", rollout={"deadline": "1m"})
    checked.crash("signals-1")
    checked.run(5)
    checked.edit(NAME, desired="Standby")
    checked.run(90)
    status = checked.versions[NAME].status
    assert (status.reason, checked.percent(NAME), status.stops) == (Reason.RollbackBlocked, 100, ())
    assert condition(checked) == (ConditionStatus.FALSE, "NotStalled")


def test_it_stops_nobody_for_the_sake_of_a_stable_that_is_gone(checked: World) -> None:
    checked.silent.add(NAME)
    checked.apply(version(2, rollout={"strategy": "AllAtOnce", "deadline": "1m"}))
    checked.run(90)
    checked.silent.clear()
    checked.restart_operator()
    checked.run(30)
    assert (checked.percent(NAME), checked.versions[NAME].status.reason) == (0, Reason.DeadlineExceeded)
    checked.delete("signals-1")
    checked.run(5)
    checked.remove("signals-1")
    checked.run(30, until=lambda: checked.state(NAME) is State.Live)

"""What people on duty ask for: what acts, what does not and why, each told once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.judges import always, analysed
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.reasons import ConditionType, EventReason, Reason, State
from turnout.api.status import ConditionStatus
from turnout.judge.protocol import Outcome

NAME = "signals-2"
FULL, NEXT = PromoteMode.FULL, PromoteMode.NEXT_STEP
PERSON = {"steps": [{"warmup": {"requests": 2}}, {"setWeight": 10}, {"approval": {}}, {"setWeight": 50}, {"pause": {}}]}


def say(world: World, name: str = NAME, **control: Any) -> None:
    if "promote" in control:
        control["promote"] = Promote(mode=control["promote"][0], token=control["promote"][1])
    world.edit(name, control=Control(**control))


def answers(world: World) -> list[str]:
    """What was told of the control block."""
    told = {EventReason.ControlAccepted, EventReason.ControlRejected}
    return [f"{event.version} {event.reason}: {event.message}" for event in world.events if event.reason in told]


def roll_out(world: World, rollout: dict[str, Any], **spec: Any) -> None:
    world.apply(version(2, rollout=rollout, **spec))
    world.run(8)


# -- steps that a person ends


def test_an_approval_and_a_pause_without_end_wait_for_a_person_each(served: World) -> None:
    roll_out(served, PERSON)
    served.run(3600, tick=timedelta(seconds=10))
    status = served.versions[NAME].status
    assert (status.state, status.reason, served.percent(NAME)) == (State.Paused, Reason.AwaitingApproval, 10)
    say(served, promote=(NEXT, "t1"))
    served.run(5)
    status = served.versions[NAME].status
    assert (status.state, status.reason, served.percent(NAME)) == (State.Paused, Reason.PausedByPlan, 50)
    served.run(3600, tick=timedelta(seconds=10))
    assert served.percent(NAME) == 50, "the token has acted once"
    say(served, promote=(NEXT, "t2"))
    served.run(5, until=lambda: served.state(NAME) is State.Live)
    assert len(answers(served)) == 2


def test_a_person_ends_a_pause_of_the_plan_and_an_analysis_early(served: World) -> None:
    served.judge = always(Outcome.HOLD)
    plan = analysed(10, 50, longest="1h")
    plan["rollout"]["steps"].insert(2, {"pause": {"duration": "1h"}})
    served.apply(version(2, **plan))
    served.run(8)
    for token in ("a", "b"):
        assert served.percent(NAME) == 10
        say(served, promote=(NEXT, token))
        served.run(3)
    assert served.percent(NAME) == 50


def test_a_token_that_is_left_acts_once_also_after_a_kill_before_any_write(served: World) -> None:
    roll_out(served, PERSON)
    say(served, promote=(NEXT, "t1"))
    for write in range(4):
        served.kill(before=write)
        served.run(3)
    assert served.percent(NAME) == 50
    assert served.versions[NAME].status.step.index == 4  # type: ignore[union-attr]


def test_nobody_waves_through_pods_that_are_missing_or_a_split_that_is_not_observed(served: World) -> None:
    canary(served, 2, 10, 50, pause="2s")
    served.frozen_until = served.now + timedelta(seconds=20)
    served.run(4)
    say(served, promote=(NEXT, "t1"))
    served.run(5)
    assert served.percent(NAME) == 10
    assert "waits until the weight is observed" in answers(served)[-1]


# -- full promotion


@pytest.mark.parametrize("seconds", [1, 2.6, 5])
def test_full_promotion_skips_the_plan_from_wherever_it_is(served: World, seconds: float) -> None:
    served.apply(version(2, rollout=PERSON, scaling={"minReplicas": 2}))
    served.run(seconds)
    say(served, promote=(FULL, "now"))
    served.run(15, until=lambda: served.state(NAME) is State.Live)
    assert served.splits[-1][0].percent == 100
    assert all(share.percent in {10, 90, 100} for split in served.splits for share in split)
    (answer,) = answers(served)
    assert answer.startswith(f"{NAME} ControlAccepted: control.promote Full with token now: ")


def test_full_promotion_waits_for_the_pods_that_all_traffic_needs(world: World) -> None:
    world.apply(version(1, scaling={"minReplicas": 3}))
    world.run(8)
    roll_out(world, PERSON, scaling={"maxReplicas": 5})
    world.running[NAME].start_seconds = 6
    say(world, promote=(FULL, "now"))
    world.run(4)
    status = world.versions[NAME].status
    assert (status.state, status.reason, world.percent(NAME)) == (State.Promoting, Reason.AwaitingCapacity, 10)
    world.run(8, until=lambda: world.state(NAME) is State.Live)


def test_full_promotion_never_skips_the_warmup(served: World) -> None:
    served.wrong_answers.add(NAME)
    served.apply(version(2, rollout=PERSON))
    served.run(1)
    say(served, promote=(FULL, "now"))
    served.run(8)
    assert served.state(NAME) is State.Failed
    assert served.percent("signals-1") == 100


# -- abort


@pytest.mark.parametrize("seconds", [0.5, 1, 2.6, 3.1, 5, 9.2])
def test_an_abort_takes_the_share_and_ends_as_aborted_from_wherever_it_is(served: World, seconds: float) -> None:
    served.apply(version(2, rollout=steps(10, 50, pause="3s")))
    served.run(seconds)
    say(served, abort=True)
    served.run(10)
    status = served.versions[NAME].status
    assert (status.state, status.reason, served.percent(NAME)) == (State.Aborted, Reason.Aborted, 0)
    assert status.control.aborted_at is not None
    assert status.history[-1].outcome == "Aborted"
    assert entered(served.events).count(f"{NAME} Aborted") == 1
    assert answers(served) == [f"{NAME} ControlAccepted: control.abort: its share is taken away"]
    stalled = status.condition(ConditionType.Stalled)
    assert stalled is not None
    assert (stalled.status, stalled.reason) == (ConditionStatus.TRUE, "Aborted")


@pytest.mark.parametrize("trouble", ["held", "paused", "evicted", "frozen route"])
def test_an_abort_ends_what_hangs(served: World, trouble: str) -> None:
    served.judge = always(Outcome.NO_DATA)
    served.apply(version(2, **analysed(10)))
    served.run(12)
    if trouble == "paused":
        say(served, paused=True)
    if trouble == "evicted":
        served.running[NAME].start_seconds = 600
        served.evict(NAME)
    if trouble == "frozen route":
        served.frozen_until = served.now + timedelta(seconds=8)
    served.run(5)
    say(served, abort=True, paused=trouble == "paused")
    served.run(10)
    assert served.state(NAME) is State.Aborted


def test_an_abort_of_the_first_version_leaves_it_undeployed(world: World) -> None:
    world.apply(version(1))
    world.run(1)
    say(world, "signals-1", abort=True)
    world.run(10)
    assert world.state("signals-1") is State.Aborted
    assert world.splits == []


@pytest.mark.parametrize("policy", ["Queue", "Reject", "Restart"])
def test_an_abort_of_one_that_waits_ends_the_wait_and_disturbs_nobody(served: World, policy: str) -> None:
    canary(served, 2, 30, pause="20s")
    waits = {**steps(20, pause="1s"), "onSupersede": policy}
    served.apply(version(3, rollout=waits, control={"abort": policy == "Restart"}))
    served.run(2)
    say(served, "signals-3", abort=True)
    served.run(60, until=lambda: served.state(NAME) is State.Live)
    served.run(30)
    status = served.versions["signals-3"].status
    assert (status.state, status.reason, status.attempt) == (State.Aborted, Reason.Aborted, 0)
    assert answers(served) == ["signals-3 ControlAccepted: control.abort: it waits no more"]
    assert served.states() == {"signals-1": State.Standby, NAME: State.Live, "signals-3": State.Aborted}
    say(served, "signals-3", retry_token="now")
    served.run(30, until=lambda: served.state("signals-3") is State.Live)


def test_an_abort_wins_over_a_promotion(served: World) -> None:
    roll_out(served, PERSON)
    say(served, abort=True, promote=(FULL, "now"))
    served.run(5)
    assert served.state(NAME) is State.Aborted
    assert "control.abort is true and wins over it" in "\n".join(answers(served))


def test_an_abort_at_the_very_moment_of_a_promotion_leaves_one_stable(served: World) -> None:
    canary(served, 2, 10, pause="2s")
    served.frozen_until = served.now + timedelta(minutes=1)
    served.run(5, until=lambda: len(served.written) == 1)
    say(served, abort=True)
    served.observed, served.route_due, served.frozen_until = served.written, None, None
    served.passes()
    served.run(5)
    assert served.states() == {"signals-1": State.Live, NAME: State.Aborted}


# -- what has no effect


@pytest.mark.parametrize(
    ("control", "says"),
    [
        pytest.param({"abort": True}, "control.abort has no effect: it is Live", id="abort"),
        pytest.param({"paused": True}, "control.paused has no effect: it is Live", id="paused"),
        pytest.param({"promote": (FULL, "t")}, "promote Full with token t has no effect: it is Live", id="full"),
        pytest.param({"promote": (NEXT, "t")}, "promote NextStep with token t has no effect: it is Live", id="next"),
        pytest.param({"retry_token": "r"}, "control.retryToken r has no effect: it is Live", id="retry"),
    ],
)
def test_a_wish_on_a_version_in_no_rollout_is_told_once_and_does_nothing(
    served: World, control: dict[str, Any], says: str
) -> None:
    say(served, "signals-1", **control)
    served.run(5)
    served.restart_operator()
    served.run(60)
    (answer,) = answers(served)
    assert answer.startswith("signals-1 ControlRejected: ")
    assert says in answer
    assert served.state("signals-1") is State.Live


def test_an_abort_that_was_refused_does_not_act_when_the_version_returns(served: World) -> None:
    say(served, "signals-1", abort=True)
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(15)
    served.edit(NAME, desired="Retired")
    served.run(15)
    assert served.states() == {"signals-1": State.Live, NAME: State.Retired}


def test_an_abort_that_is_left_true_begins_no_attempt_of_who_was_superseded(served: World) -> None:
    canary(served, 2, 10, pause="60s")
    canary(served, 3, 20, pause="60s")
    say(served, abort=True)
    served.run(3)
    served.edit("signals-3", desired="Retired")
    served.run(200)
    assert served.states() == {"signals-1": State.Live, NAME: State.Superseded, "signals-3": State.Retired}
    (answer,) = answers(served)
    assert answer.endswith("it is Superseded, in no rollout that could stop; none begins while it is true")
    say(served)
    served.run(30)
    assert (served.versions[NAME].status.attempt, served.percent(NAME)) == (2, 10)


@pytest.mark.parametrize(("was", "ends"), [("Standby", State.Standby), ("Retired", State.Aborted)])
def test_an_abort_that_is_left_true_ends_no_rollout_of_another(served: World, was: str, ends: State) -> None:
    canary(served, 2, 10, pause="20s")
    served.apply(version(3, rollout=steps(20), desired=was, control={"abort": True}))
    served.run(3)
    served.edit("signals-3", desired="Live")
    served.run(60, until=lambda: served.state(NAME) is State.Live)
    served.run(30)
    assert served.states() == {"signals-1": State.Standby, NAME: State.Live, "signals-3": ends}
    assert served.versions["signals-3"].status.attempt == 0


def test_a_token_of_the_manifest_that_creates_a_version_does_nothing_to_it(served: World) -> None:
    served.apply(version(2, rollout=PERSON, control={"promote": {"mode": "Full", "token": "old"}, "retryToken": "old"}))
    served.run(10)
    assert served.percent(NAME) == 10


def test_a_wish_to_be_paused_waits_for_the_rollout_and_is_not_told_as_refused(served: World) -> None:
    served.apply(version(2, rollout=PERSON, control={"paused": True}))
    served.run(10)
    assert served.versions[NAME].status.reason is Reason.PausedByPerson
    assert answers(served) == []


def test_a_promotion_while_paused_is_refused(served: World) -> None:
    roll_out(served, PERSON)
    say(served, paused=True, promote=(NEXT, "t1"))
    served.run(5)
    assert "control.paused is true" in answers(served)[-1]
    say(served, promote=(NEXT, "t1"))
    served.run(5)
    assert served.percent(NAME) == 10, "that token is spent"


def test_a_pause_that_is_lifted_together_with_a_promotion_goes_on_at_once(served: World) -> None:
    roll_out(served, PERSON)
    say(served, paused=True)
    served.run(2)
    say(served, paused=False, promote=(NEXT, "t1"))
    served.run(5)
    assert served.percent(NAME) == 50
    assert "ControlAccepted" in answers(served)[-1]


@pytest.mark.parametrize(
    ("plan", "policy", "until"),
    [
        (PERSON, "Proceed", ""),
        ({**analysed(10)["rollout"]}, "Proceed", ", this one passes its next analysis by absolute tests"),
        ({**analysed(10)["rollout"]}, "Hold", ""),
    ],
    ids=["nothing to prove", "an analysis to come", "by policy it waits"],
)
def test_where_stable_is_dead_the_message_and_the_answer_name_what_leads_out(
    served: World, plan: dict[str, Any], policy: str, until: str
) -> None:
    roll_out(served, {**plan, "onStableUnhealthy": policy})
    served.crash("signals-1")
    served.run(2)
    way = "turnout promote signals --full"
    assert served.versions[NAME].status.message == (
        "signals-1 is dead (exit code 1: boom); this one carries on until that is back"
        f"{until} or a person promotes it: {way}"
    )
    say(served, promote=(NEXT, "next"))
    served.run(1)
    why = f"no step ends while the stable version is dead: promote Full makes it the stable one: {way}"
    assert answers(served) == [
        f"signals-2 ControlRejected: control.promote NextStep with token next has no effect: {why}"
    ]
    say(served, promote=(FULL, "all"))
    served.run(5)
    assert served.state(NAME) is State.Live


def test_the_history_tells_the_share_that_it_had_and_not_the_one_that_was_planned(served: World) -> None:
    roll_out(served, PERSON)
    served.crash("signals-1")
    served.run(2)
    assert served.percent(NAME) == 100
    served.heal("signals-1")
    served.run(5)
    assert served.percent(NAME) == 10
    say(served, abort=True)
    served.run(5)
    history = served.versions[NAME].status.history
    assert (history[-1].outcome, history[-1].max_weight) == ("Aborted", 100)


def test_who_never_had_a_share_does_not_answer_for_a_dead_version(served: World) -> None:
    roll_out(served, PERSON, control={"paused": True})
    assert (served.state(NAME), served.percent(NAME)) == (State.Paused, 0)
    say(served, paused=True, abort=True)
    served.run(5)
    served.crash("signals-1")
    served.run(2)
    assert (served.versions[NAME].status.history[-1].max_weight, served.percent(NAME)) == (0, 0)

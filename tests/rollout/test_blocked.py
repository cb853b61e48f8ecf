"""A condemned version that carries on because nothing else lives: what is told of it, and what leads out."""

from __future__ import annotations

import pytest

from tests.rollout.judges import always, analysed
from tests.rollout.simulation import steps, version
from tests.rollout.test_controls import FULL, NAME, NEXT, answers, say
from tests.rollout.world import World, canary
from turnout.api.reasons import EventReason, Reason, State
from turnout.judge.protocol import Outcome

STABLE = "signals-1"
DEAD = "signals-1 is dead (exit code 1: boom); this one carries on until that is back"


def blocked(world: World, *, alone: bool = False) -> None:
    """Stable has died, the candidate carries on, and a person aborts it; `alone`: the dead one is deleted then."""
    canary(world, 2, 30, pause="200s")
    world.crash(STABLE)
    world.run(3)
    say(world, abort=True)
    world.run(3)
    if alone:
        world.delete(STABLE)
        world.run(5)
    status = world.versions[NAME].status
    assert (status.state, status.reason, world.percent(NAME)) == (State.Held, Reason.RollbackBlocked, 100)


def last_words(world: World, reason: EventReason, name: str = NAME) -> str:
    return next(event.message for event in reversed(world.events) if (event.version, event.reason) == (name, reason))


# -- what is told


def test_an_abort_that_takes_nothing_away_does_not_say_that_it_does(served: World) -> None:
    blocked(served)
    assert answers(served) == [
        "signals-2 ControlAccepted: control.abort: it keeps its share until signals-1 lives: nothing else does"
    ]


def test_an_abort_of_one_that_nobody_has_met_is_told_as_before(served: World) -> None:
    served.silent.add(NAME)
    served.apply(version(2, rollout=steps(30)))
    served.run(5)
    served.crash(STABLE)
    served.run(1)
    say(served, abort=True)
    served.run(1)
    assert answers(served) == ["signals-2 ControlAccepted: control.abort: its share is taken away"]


def test_its_message_holds_the_verdict_and_what_leads_out(served: World) -> None:
    blocked(served)
    ways = "control.abort: false and a new control.retryToken: turnout retry signals 2"
    found, until = "a person set control.abort (found at ", "a newer version takes over or a person decides: "
    message = served.versions[NAME].status.message
    assert message.startswith(found)
    assert message.endswith(f"; {DEAD}, {until}{ways}")
    assert last_words(served, EventReason.RollbackBlocked) == f"RollbackBlocked: {message}"
    served.delete(STABLE)
    served.run(2)
    message = served.versions[NAME].status.message
    assert message.startswith(found)
    assert message.endswith(f"; it carries on alone until {until}{ways}")


def test_harm_that_is_proven_while_stable_is_dead_can_be_read(served: World) -> None:
    served.judge = always(Outcome.HOLD)
    served.apply(version(2, **analysed(10, shortest="5s", longest="600s")))
    served.run(12)
    served.crash(STABLE)
    served.run(5)
    served.judge = always(Outcome.HARM)
    served.run(30)
    status = served.versions[NAME].status
    assert status.reason is Reason.RollbackBlocked
    assert status.message.startswith("errors: 9.1 % against 0.3 % (found at ")
    assert status.message.endswith("control.retryToken: turnout retry signals 2, or turnout promote signals --full")


# -- what leads out


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside the dead stable"])
def test_a_new_token_begins_its_next_attempt(served: World, *, alone: bool) -> None:
    blocked(served, alone=alone)
    say(served, retry_token="again")
    served.run(15)
    status = served.versions[NAME].status
    assert answers(served)[-1] == "signals-2 ControlAccepted: control.retryToken again: attempt 2 may begin"
    assert (status.attempt, served.percent(NAME)) == (2, 100)
    assert status.state is (State.Live if alone else State.Held)
    assert status.reason is (Reason.Promoted if alone else Reason.StableUnhealthy)
    assert (status.history[0].attempt, status.history[0].outcome) == (1, "Aborted")
    assert [[share.percent for share in split] for split in served.splits][2:] == [[100]], "it served all along"


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside the dead stable"])
def test_a_person_makes_it_stable_all_the_same(served: World, *, alone: bool) -> None:
    blocked(served, alone=alone)
    say(served, promote=(FULL, "now"))
    served.run(5)
    assert (served.state(NAME), served.percent(NAME)) == (State.Live, 100)
    assert alone or served.state(STABLE) is State.Standby


def test_who_had_withdrawn_it_may_want_it_back(served: World) -> None:
    canary(served, 2, 30, pause="200s")
    served.crash(STABLE)
    served.run(1)
    served.edit(NAME, desired="Standby")
    served.run(3)
    assert served.versions[NAME].status.reason is Reason.RollbackBlocked
    say(served, promote=(FULL, "now"))
    served.run(1)
    why = "desired is Standby: set it to Live, and it begins anew"
    assert answers(served) == [f"signals-2 ControlRejected: control.promote Full with token now has no effect: {why}"]
    served.edit(NAME, desired="Live")
    served.run(15)
    status = served.versions[NAME].status
    assert (status.attempt, status.reason, served.percent(NAME)) == (2, Reason.StableUnhealthy, 100)
    assert [line.outcome for line in status.history] == ["Standby"]


def test_stable_that_is_back_goes_before_a_person_who_overrules(served: World) -> None:
    blocked(served)
    served.heal(STABLE)
    served.run(5)
    assert (served.state(NAME), served.percent(STABLE)) == (State.Aborted, 100)


def test_the_next_step_is_none_and_the_answer_names_what_leads_out(served: World) -> None:
    blocked(served)
    say(served, promote=(NEXT, "next"))
    served.run(1)
    why = "its rollout has ended, and it carries on because nothing else lives"
    way = "promote Full makes it the stable one: turnout promote signals --full"
    assert answers(served)[-1] == (
        f"signals-2 ControlRejected: control.promote NextStep with token next has no effect: {why}: {way}"
    )


def test_an_abort_of_one_that_is_condemned_already_is_answered(served: World) -> None:
    served.judge = always(Outcome.HOLD)
    served.apply(version(2, **analysed(10, shortest="5s", longest="600s")))
    served.run(12)
    served.crash(STABLE)
    served.run(5)
    served.judge = always(Outcome.HARM)
    served.run(30)
    say(served, abort=True)
    served.run(1)
    why = "its rollout has ended already, and it carries on because nothing else lives"
    assert answers(served) == [f"signals-2 ControlRejected: control.abort has no effect: {why}"]


def test_harm_that_a_person_overrules_is_not_forgotten_if_it_never_becomes_stable(world: World) -> None:
    world.apply(version(1, scaling={"minReplicas": 2}))
    world.run(6)
    world.judge = always(Outcome.HOLD)
    world.apply(version(2, **analysed(10, shortest="5s", longest="600s")))
    world.run(12)
    world.crash(STABLE)
    world.run(5)
    world.judge = always(Outcome.HARM)
    world.run(20)
    world.running[NAME].start_seconds = 300
    world.judge = always(Outcome.HOLD)
    say(world, promote=(FULL, "now"))
    world.run(1)
    assert world.state(NAME) is State.Promoting, "it lacks a pod"
    world.apply(version(3, rollout=steps(10)))
    world.run(10)
    status = world.versions[NAME].status
    assert (status.state, status.reason) == (State.RolledBack, Reason.ErrorRate)


def test_one_that_was_rolled_back_before_says_that_it_answers_all_the_same(served: World) -> None:
    canary(served, 2, 30, pause="200s")
    served.crash(NAME, again=False)
    served.run(5)
    assert served.state(NAME) is State.RolledBack
    before = served.versions[NAME].status.message
    served.crash(STABLE)
    served.run(2)
    assert (served.state(NAME), served.percent(NAME)) == (State.RolledBack, 100)
    told = served.versions[NAME].status.message
    assert told == f"{before}; it answers 100 % meanwhile, for nothing else lives"
    served.heal(STABLE)
    served.run(5)
    assert served.versions[NAME].status.message == before


# -- the next version


def test_a_newer_one_that_gets_everything_at_once_is_told_why(served: World) -> None:
    blocked(served, alone=True)
    served.apply(version(3, rollout=steps(10, pause="60s")))
    served.run(10)
    assert (served.state("signals-3"), served.percent("signals-3")) == (State.Live, 100)
    assert not [line for line in served.trace if "signals-3" in line and "FirstVersion" in line]
    assert last_words(served, EventReason.WarmedUp, "signals-3") == (
        f"it answered its examples as the artifact says; {Reason.NoStable.sentence}"
    )

"""A metric whose action is Pause: it stops a rollout once for what it found, and a person alone lifts that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.judges import Scripted, always, analysed, then
from tests.rollout.simulation import version
from tests.rollout.world import World
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.reasons import EventReason, Reason, State
from turnout.judge.protocol import Outcome, Question

NAME = "signals-2"
STOPPED = State.Paused, Reason.Drift
SEEN = Control(promote=Promote(token="seen"))


def begin(world: World, judge: Any, *weights: int, rollout: dict[str, Any] | None = None, **analysis: Any) -> None:
    world.judge = judge
    blocks = analysed(*(weights or (10, 50)), **analysis)
    blocks["rollout"] |= rollout or {}
    world.apply(version(2, **blocks))
    world.run(15, until=lambda: world.percent(NAME) == (weights or (10,))[0])


@pytest.fixture
def stopped(served: World) -> World:
    begin(served, then(1, Outcome.PAUSE))
    served.run(12)
    assert stands(served) == STOPPED
    return served


def stands(world: World) -> tuple[State | None, Reason | None]:
    status = world.versions[NAME].status
    return status.state, status.reason


def says(world: World) -> str:
    return world.versions[NAME].status.message


def told(world: World, *reasons: EventReason) -> list[str]:
    return [event.message for event in world.events if event.version == NAME and event.reason in reasons]


def test_it_stays_stopped_for_ever_whatever_the_policies_say(served: World) -> None:
    begin(served, then(1, Outcome.PAUSE), onInconclusive="Rollback", onTooFewRequests="Rollback")
    served.run(600)
    assert stands(served) == STOPPED
    assert served.percent(NAME) == 10
    assert "its answers have moved by 0.4; 10 % until a person decides: turnout promote signals" in says(served)
    assert len(told(served, EventReason.Paused)) == 1


def _dies_and_comes_back(world: World) -> None:
    world.crash("signals-1")
    world.run(10)
    assert stands(world) == (State.Held, Reason.StableUnhealthy)
    assert "then it stays stopped: drift: its answers have moved" in says(world)
    world.heal("signals-1")


def _is_evicted(world: World) -> None:
    world.running[NAME].start_seconds = 10
    world.evict(NAME)
    world.run(5)
    assert stands(world) == (State.Held, Reason.Evicted)


def _has_no_source(world: World) -> None:
    world.source_trouble = "connection refused"
    world.run(60)
    world.source_trouble = ""


def _is_paused_and_resumed(world: World) -> None:
    world.edit(NAME, control=Control(paused=True))
    world.run(10)
    assert stands(world) == (State.Paused, Reason.PausedByPerson)
    assert "then it stays stopped: drift: its answers have moved" in says(world)
    world.edit(NAME, control=Control())


def _is_replanned(world: World) -> None:
    world.edit(NAME, rollout=version(2, **analysed(10, 20, 50)).spec.rollout)


def _loses_its_operator(world: World) -> None:
    world.restart_operator()


@pytest.mark.parametrize(
    "happens", [_dies_and_comes_back, _is_evicted, _has_no_source, _is_paused_and_resumed, _is_replanned,
                _loses_its_operator],
)  # fmt: skip
def test_nothing_but_a_word_given_after_it_lifts_it(stopped: World, happens: Callable[[World], None]) -> None:
    happens(stopped)
    stopped.run(60)
    assert stands(stopped) == STOPPED
    assert stopped.percent(NAME) == 10
    assert len(told(stopped, EventReason.Paused)) == 1 + (happens is _is_paused_and_resumed)
    stopped.edit(NAME, control=SEEN)
    stopped.run(5)
    assert stands(stopped)[0] is State.Progressing


def test_what_is_found_while_a_person_pauses_stops_it_after_that(served: World) -> None:
    begin(served, then(2, Outcome.PAUSE))
    served.edit(NAME, control=Control(paused=True))
    served.run(30)
    assert stands(served) == (State.Paused, Reason.PausedByPerson)
    served.edit(NAME, control=Control())
    served.run(5)
    assert stands(served) == STOPPED


def test_what_is_found_in_the_very_pass_of_a_plan_edit_stops_it(served: World) -> None:
    """The edit is in the snapshot that has the poll with the finding; the plan's next weight is never given."""

    def edits(seen: int, question: Question) -> Outcome:
        if seen != 1:
            return Outcome.HOLD
        edited = version(2, **analysed(10, 20, 50)).spec.rollout
        assert served.versions[NAME].spec.rollout.steps == edited.steps
        return Outcome.PAUSE

    begin(served, Scripted(lambda seen, question: Outcome.HOLD))
    while served.poll is None or int(memory(served)) < 1:
        served.run(0.1)
    served.judge = Scripted(edits)
    while served.now.second % 5 != 4 or served.now.microsecond < 800_000:
        served.run(0.1)
    served.edit(NAME, rollout=version(2, **analysed(10, 20, 50)).spec.rollout)
    assert served.poll is not None
    served.poll = replace(served.poll, at=served.poll.at + version(2, **analysed(10)).spec.analysis.interval.delta)
    served.passes()
    assert stands(served) == STOPPED
    plan = served.versions[NAME].status.plan
    assert plan is not None
    assert [step.set_weight for step in plan.steps if step.set_weight] == [10, 20, 50]


def memory(world: World) -> str:
    analysis = world.versions[NAME].status.analysis
    return (analysis.memory if analysis else "") or "0"


@pytest.mark.parametrize("mode", PromoteMode)
def test_a_word_given_before_it_was_found_is_refused(served: World, mode: PromoteMode) -> None:
    """Whoever gave it cannot have seen what stops it."""

    def promotes(seen: int, question: Question) -> Outcome:
        return Outcome.PAUSE if seen == 1 else Outcome.HOLD

    begin(served, Scripted(promotes))
    while memory(served) != "1":
        served.run(0.1)
    served.edit(NAME, control=Control(promote=Promote(mode=mode, token="early")))
    assert served.poll is not None
    served.poll = replace(served.poll, at=served.poll.at + version(2, **analysed(10)).spec.analysis.interval.delta)
    served.run(20)
    assert (stands(served), served.percent(NAME)) == (STOPPED, 10)
    (refusal,) = told(served, EventReason.ControlRejected)
    assert "its answers have moved by 0.4: look at it, then give a new token" in refusal
    served.edit(NAME, control=Control(promote=Promote(mode=mode, token="late")))
    served.run(5)
    assert stands(served)[0] is not State.Paused


def test_a_weight_that_it_had_not_got_is_not_given_while_it_is_stopped(served: World) -> None:
    """Stopped in a setWeight that waits for pods; they come, and the share stays what it was."""
    served.edit("signals-1", scaling=version(1, scaling={"minReplicas": 2}).spec.scaling)
    served.run(5)
    begin(served, always(Outcome.PASS), 10, 90)
    served.never_ready.add(NAME)
    served.run(20, until=lambda: stands(served) == (State.Progressing, Reason.AwaitingCapacity))
    served.judge = always(Outcome.PAUSE)
    served.run(8)
    assert stands(served) == STOPPED
    served.heal(NAME)
    served.run(30)
    assert (stands(served), served.percent(NAME)) == (STOPPED, 10)
    assert "10 % until a person decides" in says(served)
    served.edit(NAME, control=SEEN)
    served.run(5)
    assert served.percent(NAME) == 90


def test_what_is_found_while_its_pods_are_away_gives_it_back_the_share_that_it_left(served: World) -> None:
    """It is out of the split, and callers are still seen to meet it."""
    begin(served, always(Outcome.HOLD), 10, 50)
    served.frozen_until = served.now + timedelta(seconds=12)
    served.running[NAME].start_seconds = 30
    served.evict(NAME)
    served.run(4)
    assert stands(served) == (State.Held, Reason.Evicted)
    served.judge = always(Outcome.PAUSE)
    served.run(6)
    (stop,) = served.versions[NAME].status.stops
    assert stop.weight == 10
    served.run(40)
    assert (stands(served), served.percent(NAME)) == (STOPPED, 10)


def test_what_a_person_has_let_pass_stops_nothing_again(stopped: World) -> None:
    stopped.edit(NAME, control=SEEN)
    stopped.run(60, until=lambda: stopped.state(NAME) is State.Live)  # by onInconclusive
    assert len(told(stopped, EventReason.Paused)) == 1
    assert stopped.versions[NAME].status.stops == ()


@pytest.mark.parametrize(
    "judge",
    [
        pytest.param(Scripted(lambda seen, question: Outcome.PAUSE, level=0.6), id="more of the same"),
        pytest.param(Scripted(lambda seen, question: Outcome.PAUSE, metric="depth"), id="another metric"),
    ],
)
def test_what_is_worse_or_new_stops_it_again(stopped: World, judge: Scripted) -> None:
    stopped.edit(NAME, control=SEEN)
    stopped.run(3)
    stopped.judge = judge
    stopped.run(8)
    assert stands(stopped) == STOPPED
    assert len(told(stopped, EventReason.Paused)) == 2


def test_after_it_was_lifted_what_looks_too_much_like_harm_is_still_no_advance(stopped: World) -> None:
    def says_later(seen: int, question: Question) -> Outcome:
        over = question.step is not None and question.elapsed >= question.step.max_duration.delta
        return Outcome.INCONCLUSIVE if over else Outcome.PAUSE

    stopped.judge = Scripted(says_later, may_advance=False)
    stopped.edit(NAME, control=SEEN)
    stopped.run(60)
    assert stands(stopped) == (State.Held, Reason.Inconclusive)


def test_harm_and_an_abort_go_before_it(stopped: World) -> None:
    stopped.judge = always(Outcome.HARM)
    stopped.run(30)
    status = stopped.versions[NAME].status
    assert (status.state, status.reason) == (State.RolledBack, Reason.ErrorRate)
    assert status.stops == ()


def test_the_next_attempt_knows_nothing_of_it(stopped: World) -> None:
    stopped.edit(NAME, control=Control(abort=True))
    stopped.run(40, until=lambda: stopped.state(NAME) is State.Aborted)
    stopped.edit(NAME, control=Control(retry_token="again"))
    stopped.run(30)
    assert stands(stopped) == STOPPED
    assert [stop.lifted_at for stop in stopped.versions[NAME].status.stops] == [None]


def test_all_traffic_by_a_person_lifts_it(stopped: World) -> None:
    stopped.edit(NAME, control=Control(promote=Promote(mode=PromoteMode.FULL, token="all")))
    stopped.run(20, until=lambda: stopped.state(NAME) is State.Live)


def test_a_promotion_on_its_way_is_stopped_and_goes_on_by_a_word(served: World) -> None:
    begin(served, always(Outcome.PASS), 10)
    served.never_ready.add(NAME)
    served.edit("signals-1", scaling=version(1, scaling={"minReplicas": 2}).spec.scaling)
    served.run(30, until=lambda: served.state(NAME) is State.Promoting)
    served.judge = always(Outcome.PAUSE)
    served.run(8)
    assert (stands(served), served.percent(NAME)) == (STOPPED, 10)
    served.edit(NAME, control=SEEN)
    served.heal(NAME)
    served.run(20, until=lambda: served.state(NAME) is State.Live)

"""What begins another attempt of a version that has failed, and what does not: tokens, once each; counted retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.judges import analysed, then
from tests.rollout.simulation import steps, version
from tests.rollout.test_controls import NAME, NEXT, PERSON, answers, roll_out, say
from tests.rollout.world import World
from turnout.api.reasons import State
from turnout.judge.protocol import Outcome


def fail(world: World, **rollout: Any) -> None:
    world.wrong_answers.add(NAME)
    world.apply(version(2, rollout={**PERSON, **rollout}))
    world.run(6)
    assert world.state(NAME) is State.Failed


def test_a_token_starts_the_next_attempt_of_a_failed_version(served: World) -> None:
    fail(served)
    served.wrong_answers.clear()
    say(served, retry_token="r1")
    served.run(10)
    status = served.versions[NAME].status
    assert (status.attempt, served.percent(NAME), status.control.retry_token) == (2, 10, "r1")
    say(served, abort=True, retry_token="r1")
    served.run(5)
    say(served, retry_token="r1")
    served.run(10)
    assert served.state(NAME) is State.Aborted, "that token is spent"
    assert [line.outcome for line in served.versions[NAME].status.history] == ["Failed", "Aborted"]


def test_a_retry_token_that_a_revert_brings_back_starts_nothing(served: World) -> None:
    fail(served)
    for token, attempt in (("r1", 2), ("r2", 3), ("r1", 3), ("r2", 3), ("r3", 4)):
        say(served, retry_token=token)
        served.run(8)
        assert served.versions[NAME].status.attempt == attempt, token


def test_a_promotion_that_a_revert_brings_back_moves_nothing_on(served: World) -> None:
    served.apply(version(2, rollout=steps(10, 20, 30, 40, pause="10m")))
    served.run(10)
    for token, percent in (("t1", 20), ("t2", 30), ("t1", 30), ("t2", 30), ("t3", 40)):
        say(served, promote=(NEXT, token))
        served.run(3)
        assert served.percent(NAME) == percent, token


def test_tokens_of_one_name_are_those_of_two_wishes(served: World) -> None:
    fail(served)
    served.wrong_answers.clear()
    say(served, retry_token="a", promote=(NEXT, "b"))
    served.run(10)
    assert served.percent(NAME) == 10
    say(served, retry_token="a", promote=(NEXT, "a"))
    served.run(3)
    assert served.percent(NAME) == 50


def test_an_abort_that_is_left_true_refuses_a_retry(served: World) -> None:
    roll_out(served, PERSON)
    say(served, abort=True)
    served.run(5)
    say(served, abort=True, retry_token="r1")
    served.run(5)
    assert served.state(NAME) is State.Aborted
    assert "control.abort is true: set it to false" in answers(served)[-1]
    say(served, retry_token="r2")
    served.run(10)
    assert served.percent(NAME) == 10


def test_a_retry_of_one_that_should_not_live_is_refused(served: World) -> None:
    fail(served)
    served.edit(NAME, desired="Standby")
    say(served, retry_token="r1")
    served.run(5)
    assert "desired is Standby" in answers(served)[-1]


def test_what_runs_a_version_is_used_again_if_it_is_as_recorded(served: World) -> None:
    roll_out(served, PERSON)
    say(served, abort=True)
    served.run(5)
    uid = served.running[NAME].uid
    say(served, retry_token="r1")
    served.run(10)
    assert (served.running[NAME].uid, served.percent(NAME)) == (uid, 10)


@pytest.mark.parametrize("how", ["remade by hand", "of another spec"])
def test_what_runs_a_version_is_made_anew_if_it_is_not_as_recorded(served: World, how: str) -> None:
    roll_out(served, PERSON)
    say(served, abort=True)
    served.run(5)
    if how == "remade by hand":
        served.remake(NAME)
    else:
        served.running[NAME].spec_hash = "another"
    uid = served.running[NAME].uid
    say(served, retry_token="r1")
    served.run(12)
    assert served.percent(NAME) == 10
    assert served.running[NAME].uid != uid
    assert f"retire {NAME}" in served.writes


def test_a_failed_version_is_tried_again_by_itself_with_back_off_as_often_as_is_allowed(served: World) -> None:
    fail(served, retryLimit=2)
    status = served.versions[NAME].status
    assert status.message.endswith("; tries again at 10:00:36Z (1 of 2)")
    served.run(200)
    status = served.versions[NAME].status
    assert (status.state, status.attempt, status.retries) == (State.Failed, 3, 2)
    first, second, third = (line.finished_at for line in status.history)
    assert first is not None
    assert second is not None
    assert third is not None
    assert second - first < timedelta(seconds=40)
    assert timedelta(seconds=60) < third - second < timedelta(seconds=70)
    say(served, retry_token="r1")
    served.run(10)
    assert (served.versions[NAME].status.attempt, served.versions[NAME].status.retries) == (4, 0)


def test_harm_and_an_abort_are_never_tried_again_by_themselves(served: World) -> None:
    served.judge = then(1, Outcome.HARM)
    plan = analysed(10)
    plan["rollout"]["retryLimit"] = 3
    served.apply(version(2, **plan))
    served.run(600, tick=timedelta(seconds=1))
    assert (served.state(NAME), served.versions[NAME].status.attempt) == (State.RolledBack, 1)


def test_a_failed_version_is_not_tried_again_where_a_newer_one_is_the_target(served: World) -> None:
    fail(served, retryLimit=2)
    served.apply(version(3, rollout={"strategy": "AllAtOnce"}))
    served.run(120)
    assert served.states()[NAME] is State.Failed
    assert served.state("signals-3") is State.Live

"""A judge that raises: the rollout is held and told why; death and abort are acted upon all the same."""

from __future__ import annotations

import pytest

from tests.rollout.judges import Scripted, analysed
from tests.rollout.simulation import version
from tests.rollout.world import World, serving
from turnout.api.control import Control
from turnout.api.reasons import Reason, State
from turnout.controller.guarding import Guarded
from turnout.judge.protocol import Outcome, Question

NAME = "signals-2"


def breaks(seen: int, question: Question) -> Outcome:
    raise OverflowError("int too large to convert to float")


@pytest.fixture
def held(caplog: pytest.LogCaptureFixture) -> World:
    world = serving(1)
    world.judge = Guarded(Scripted(breaks))
    world.apply(version(2, **analysed(10)))
    world.run(20)
    status = world.versions[NAME].status
    assert (status.state, status.reason) == (State.Held, Reason.SourceError)
    assert (
        "the judge could not read the numbers, see the operator's log: OverflowError: int too large" in status.message
    )
    assert "the judge broke off over a poll" in caplog.text
    return world


def test_an_abort_is_acted_upon_beside_a_judge_that_breaks(held: World) -> None:
    held.edit(NAME, control=Control(abort=True))
    held.run(40, until=lambda: held.state(NAME) is State.Aborted)


def test_a_death_is_acted_upon_beside_a_judge_that_breaks(held: World) -> None:
    held.crash(NAME)
    held.run(40, until=lambda: held.state(NAME) is State.RolledBack)

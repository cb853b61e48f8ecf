"""What a pause keeps, whatever happens to the version meanwhile."""

from collections.abc import Callable

import pytest

from tests.rollout.simulation import steps, version
from tests.rollout.stories import PERSON
from tests.rollout.test_controls import NAME, roll_out, say
from tests.rollout.world import World, entered
from turnout.api.reasons import Reason


def test_a_paused_version_that_is_evicted_gets_its_share_back_with_its_pods_and_no_more(served: World) -> None:
    roll_out(served, PERSON)
    say(served, paused=True)
    served.run(10)
    since = served.versions[NAME].status.control.paused_since
    served.running[NAME].start_seconds = 10
    served.evict(NAME)
    served.run(5)
    assert (served.percent(NAME), served.versions[NAME].status.reason) == (0, Reason.Evicted)
    served.run(20)
    assert (served.percent(NAME), served.versions[NAME].status.reason) == (10, Reason.PausedByPerson)
    assert served.versions[NAME].status.control.paused_since == since


def test_a_pause_of_a_former_attempt_says_nothing_about_the_next(served: World) -> None:
    roll_out(served, PERSON)
    say(served, paused=True)
    served.run(10)
    say(served, abort=True)
    served.run(20)
    say(served, retry_token="again", paused=True)
    served.run(20)
    assert (served.percent(NAME), served.versions[NAME].status.reason) == (0, Reason.PausedByPerson)


@pytest.mark.parametrize(
    "ends",
    [
        lambda world: world.crash(NAME),
        lambda world: world.evict(NAME),
        lambda world: say(world, paused=True, abort=True),
        lambda world: world.crash("signals-1"),
        lambda world: world.edit(NAME, desired="Standby"),
        lambda world: world.apply(version(3, rollout=steps(20, pause="60s"))),
    ],
    ids=["it dies", "it is evicted", "it is aborted", "stable dies", "it is withdrawn", "a newer one comes"],
)
def test_a_pause_that_gives_way_is_not_told_as_resumed(served: World, ends: Callable[[World], None]) -> None:
    roll_out(served, PERSON)
    say(served, paused=True)
    served.run(3)
    ends(served)
    served.run(20)
    assert entered(served.events).count("signals-2 Paused") == 1
    assert "signals-2 Resumed" not in entered(served.events)


def test_a_person_who_resumes_is_told_once(served: World) -> None:
    roll_out(served, PERSON)
    say(served, paused=True)
    served.run(3)
    say(served, paused=False)
    served.run(3)
    assert [event for event in entered(served.events) if event.endswith("Resumed")] == ["signals-2 Resumed"]


def test_a_person_who_resumes_while_stable_is_dead_is_told_when_it_goes_on(served: World) -> None:
    roll_out(served, PERSON)
    say(served, paused=True)
    served.run(3)
    served.crash("signals-1")
    served.run(3)
    say(served, paused=False)
    served.run(3)
    assert "signals-2 Resumed" not in entered(served.events), "it is held"
    served.heal("signals-1")
    served.run(10)
    told = entered(served.events)
    assert (told.count("signals-2 Paused"), told.count("signals-2 Resumed")) == (1, 1)

"""What a pause keeps, whatever happens to the version meanwhile."""

from tests.rollout.stories import PERSON
from tests.rollout.test_controls import NAME, roll_out, say
from tests.rollout.world import World
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

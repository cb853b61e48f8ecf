"""Further stories of the whole operator: of the dead, who answers for them, and names and shares that are taken."""

from __future__ import annotations

from collections.abc import Mapping

from tests.rollout.judges import analysed, then
from tests.rollout.scenarios import canary
from tests.rollout.simulation import steps, version
from tests.simulation import waiting
from tests.simulation.cluster import Cluster
from tests.simulation.stories import Story, first, second, told
from turnout.api.control import Control
from turnout.judge.protocol import Outcome
from turnout.rollout.snapshot import Share


def nothing_lives_then_all(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.crash("signals-1")
    cluster.run(5)
    cluster.crash("signals-2")
    cluster.run(20)
    cluster.heal("signals-1")
    cluster.run(20)


def the_fix_gets_out_beside_a_dead_version(cluster: Cluster) -> None:
    first(cluster)
    cluster.crash("signals-1")
    cluster.run(5)
    cluster.judge = then(3, Outcome.PASS)
    cluster.apply(version(2, **analysed(10, shortest="5s", longest="60s")))
    cluster.run(40)


def the_fix_gets_out_beside_a_standby_that_answers(cluster: Cluster) -> None:
    told(canary)(cluster)
    cluster.crash("signals-2")
    cluster.run(5)
    cluster.judge = then(3, Outcome.PASS)
    cluster.apply(version(3, **analysed(10, shortest="5s", longest="60s")))
    cluster.run(40)


def an_aborted_one_answers_for_a_dead_version(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.edit("signals-2", control=Control(abort=True))
    cluster.run(5)
    cluster.crash("signals-1")
    cluster.run(10)
    cluster.heal("signals-1")
    cluster.run(20)


def made_again_of_another_spec(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.delete("signals-2")
    other = {"runtime": "sklearn", "artifact": {"uri": "file:///models/other"}}
    cluster.apply(version(2, predictor=other, rollout=steps(20, pause="5s")))
    cluster.run(40)


def lowered_by_hand(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.edit_route((Share("signals-1-predictor-00001", 100),))
    cluster.run(70)


def rollback_blocked(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.crash("signals-1")
    cluster.run(5)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(5)
    cluster.heal("signals-1")
    cluster.run(50)


def rollback_blocked_and_retried(cluster: Cluster) -> None:
    """The dead stable is deleted, and what carries on alone is taken all the same."""
    second(cluster, 30)
    cluster.crash("signals-1")
    cluster.run(5)
    cluster.edit("signals-2", control=Control(abort=True))
    cluster.run(5)
    cluster.delete("signals-1")
    cluster.run(5)
    cluster.edit("signals-2", control=Control(retry_token="again"))
    cluster.run(20)


MORE = (
    nothing_lives_then_all,
    the_fix_gets_out_beside_a_dead_version,
    the_fix_gets_out_beside_a_standby_that_answers,
    an_aborted_one_answers_for_a_dead_version,
    made_again_of_another_spec,
    lowered_by_hand,
    rollback_blocked,
    rollback_blocked_and_retried,
)
STORIES: Mapping[str, Story] = {
    **waiting.STORIES,
    **{story.__name__.replace("_", "-"): story for story in MORE},
}

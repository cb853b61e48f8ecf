"""Further stories of the whole operator: of versions that are taken back or made anew while they wait or rest."""

from __future__ import annotations

from collections.abc import Mapping

from tests.rollout import scenarios
from tests.rollout.judges import always, analysed, then
from tests.rollout.simulation import steps, version
from tests.simulation import stories
from tests.simulation.cluster import Cluster
from tests.simulation.stories import Story, first, needs_pods, promotes, second, told, waits_for_pods
from turnout.api.control import Control
from turnout.judge.protocol import Outcome
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, REVISIONS, SERVICES

QUEUES = {**steps(20, pause="60s"), "onSupersede": "Queue"}


def unwanted_while_queued(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.apply(version(3, desired="Standby", rollout=QUEUES))
    cluster.run(3)
    for desired in ("Live", "Standby", "Live", "Retired"):
        cluster.edit("signals-3", desired=desired)
        cluster.run(3)


def unwanted_after_a_newer_one_came(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.apply(version(3, rollout=steps(20, pause="60s")))
    cluster.run(8)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(3)
    cluster.apply(version(4, rollout=steps(20, pause="60s")))
    cluster.run(8)
    cluster.edit("signals-3", desired="Retired")
    cluster.run(60)


def retired_after_an_abort_and_wanted_again(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.edit("signals-2", control=Control(abort=True))
    cluster.run(15)
    cluster.edit("signals-2", desired="Retired")
    cluster.run(60)
    cluster.edit("signals-2", desired="Live")
    cluster.run(10)


def frozen_while_it_waits_for_approval(cluster: Cluster) -> None:
    first(cluster)
    cluster.judge = then(2, Outcome.HARM)
    rollout = {"steps": [{"setWeight": 20}, {"approval": {}}], "onFailure": "Freeze"}
    cluster.apply(version(2, rollout=rollout, analysis={"interval": "5s"}))
    cluster.run(40)


def frozen_while_held(cluster: Cluster) -> None:
    first(cluster)
    cluster.judge = always(Outcome.NO_DATA)
    plan = analysed(10, shortest="5s", longest="60s")
    plan["rollout"] |= {"onFailure": "Freeze"}
    cluster.apply(version(2, **plan))
    cluster.run(25)
    cluster.judge = always(Outcome.HARM)
    cluster.run(20)


def frozen_while_promoting(cluster: Cluster) -> None:
    promotes(cluster, onFailure="Freeze")
    cluster.judge = always(Outcome.HARM)
    cluster.run(20)


def names_are_taken_while_they_wait(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.apply(version(3, rollout=QUEUES), version(4, desired="Standby"))
    cluster.run(3)
    for name in ("signals-3", "signals-4"):
        cluster.server.put(SERVICES, {"metadata": {"name": name, "namespace": "support"}})
    cluster.run(5)
    for name in ("signals-3", "signals-4"):
        cluster.server.remove(SERVICES, name)
    cluster.run(30)


def retired_while_kserve_is_missing(cluster: Cluster) -> None:
    cluster.server.missing |= {INFERENCE_SERVICES, REVISIONS}
    cluster.restart_operator()
    cluster.apply(version(1))
    cluster.run(3)
    cluster.edit("signals-1", desired="Retired")
    cluster.run(3)
    cluster.server.missing.clear()
    cluster.run(40)


def retired_from_the_archive(cluster: Cluster) -> None:
    told(scenarios.kept_warm_then_archived)(cluster)
    cluster.edit("signals-1", desired="Retired")
    cluster.run(10)


def retired_from_the_first_moment(cluster: Cluster) -> None:
    first(cluster)
    cluster.apply(version(2, desired="Retired"))
    cluster.run(4)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(4)


def remade_in_a_step(cluster: Cluster) -> None:
    needs_pods(cluster)
    cluster.remake("signals-2")
    cluster.run(30)


def remade_while_it_waits_for_pods(cluster: Cluster) -> None:
    waits_for_pods(cluster)
    cluster.remake("signals-2")
    cluster.run(30)


def remade_while_promoting(cluster: Cluster) -> None:
    promotes(cluster)
    cluster.remake("signals-2")
    cluster.run(30)


def dead_and_taken_back(cluster: Cluster) -> None:
    """The live one is dead, the one before it answers, and a person agrees."""
    told(scenarios.canary)(cluster)
    cluster.crash("signals-2")
    cluster.run(5)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(20)


MORE = (
    unwanted_while_queued,
    unwanted_after_a_newer_one_came,
    retired_after_an_abort_and_wanted_again,
    frozen_while_it_waits_for_approval,
    frozen_while_held,
    frozen_while_promoting,
    names_are_taken_while_they_wait,
    retired_while_kserve_is_missing,
    retired_from_the_archive,
    retired_from_the_first_moment,
    remade_in_a_step,
    remade_while_it_waits_for_pods,
    remade_while_promoting,
    dead_and_taken_back,
)
STORIES: Mapping[str, Story] = {
    **stories.STORIES,
    **{story.__name__.replace("_", "-"): story for story in MORE},
}

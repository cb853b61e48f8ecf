"""Stories for the whole operator: those of tests/rollout/scenarios.py, and more of the ugly ones.

Together they go through every transition of the table; each is played once for that, and then killed at every call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from tests.rollout import scenarios
from tests.rollout.judges import always, analysed, then
from tests.rollout.scenarios import canary, first_version
from tests.rollout.simulation import steps, version
from tests.rollout.world import World
from tests.simulation.cluster import Cluster
from turnout.api.control import Control, Promote, PromoteMode
from turnout.judge.protocol import Outcome
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, REVISIONS, SERVICES
from turnout.rollout.snapshot import Share

Story = Callable[[Cluster], None]


def told(scenario: scenarios.Scenario) -> Story:
    """A scenario of the small world: both know the same words."""
    return lambda cluster: scenario(cast("World", cluster))


def first(cluster: Cluster) -> None:
    told(first_version)(cluster)


def second(cluster: Cluster, *weights: int, pause: str = "60s", seconds: float = 10, **spec: object) -> None:
    """signals-2 is being rolled out beside signals-1."""
    first(cluster)
    rollout = {**steps(*weights, pause=pause), **cast("dict[str, object]", spec.pop("rollout", {}))}
    cluster.apply(version(2, rollout=rollout, **spec))
    cluster.run(seconds)


def fast_way_back(cluster: Cluster) -> None:
    told(canary)(cluster)
    cluster.edit("signals-2", desired="Retired")
    cluster.run(20)
    cluster.edit("signals-2", desired="Live")
    cluster.run(30)


def never_ready(cluster: Cluster) -> None:
    cluster.serving.behaviour("signals-2").waits = "ImagePullBackOff"
    second(cluster, 30, seconds=30, rollout={"progressDeadline": "20s"})
    cluster.edit("signals-2", desired="Retired")
    cluster.run(5)
    cluster.edit("signals-2", desired="Live")
    cluster.run(10)


def refused_by_the_cluster(cluster: Cluster) -> None:
    first(cluster)
    cluster.server.refuses.add((INFERENCE_SERVICES, "signals-2"))
    cluster.apply(version(2))
    cluster.run(10)


def rejected_and_accepted(cluster: Cluster) -> None:
    first(cluster)
    cluster.apply(version(2, desired="Standby"), version(2, name="signals-two"))
    cluster.run(3)
    cluster.delete("signals-2")
    cluster.run(25)


def its_name_is_taken_while_it_waits_for_kserve(cluster: Cluster) -> None:
    cluster.server.missing |= {INFERENCE_SERVICES, REVISIONS}
    cluster.restart_operator()
    cluster.apply(version(1))
    cluster.run(3)
    cluster.server.put(SERVICES, {"metadata": {"name": "signals-1", "namespace": "support"}})
    cluster.run(3)
    cluster.server.missing.clear()
    cluster.server.remove(SERVICES, "signals-1")
    cluster.run(40)


def standby_then_live(cluster: Cluster) -> None:
    first(cluster)
    cluster.apply(version(2, desired="Standby", rollout=steps(50, pause="1s")))
    cluster.run(3)
    cluster.edit("signals-2", desired="Live")
    cluster.run(15)


def an_older_one_arrives(cluster: Cluster) -> None:
    cluster.apply(version(2))
    cluster.run(8)
    cluster.apply(version(1))
    cluster.run(5)
    cluster.edit("signals-1", desired="Retired")
    cluster.run(3)
    cluster.edit("signals-1", desired="Live")
    cluster.run(3)


def superseded_and_again(cluster: Cluster) -> None:
    second(cluster, 10)
    cluster.apply(version(3, rollout=steps(20)))
    cluster.run(8)
    cluster.edit("signals-3", desired="Retired")
    cluster.run(50)
    cluster.edit("signals-2", desired="Retired")
    cluster.run(40)


def superseded_while_deploying(cluster: Cluster) -> None:
    cluster.starts_in("signals-2", 60)
    second(cluster, 10, seconds=3)
    cluster.apply(version(3, rollout=steps(20, pause="1s")))
    cluster.run(15)


def superseded_while_warming(cluster: Cluster) -> None:
    cluster.silent.add("signals-2")
    second(cluster, 10)
    cluster.apply(version(3, rollout=steps(20, pause="1s")))
    cluster.run(15)


def superseded_while_it_waits_for_pods(cluster: Cluster) -> None:
    waits_for_pods(cluster)
    cluster.apply(version(3, rollout=steps(20, pause="1s"), scaling={"minReplicas": 2}))
    cluster.run(20)


def superseded_in_a_step(cluster: Cluster) -> None:
    needs_pods(cluster)
    cluster.apply(version(3, rollout=steps(20, pause="1s"), scaling={"minReplicas": 2}))
    cluster.run(20)


def withdrawn_in_a_step(cluster: Cluster) -> None:
    needs_pods(cluster)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(45)


def withdrawn_while_it_waits_for_pods(cluster: Cluster) -> None:
    waits_for_pods(cluster)
    cluster.edit("signals-2", desired="Retired")
    cluster.run(40)


def too_little_capacity_and_back(cluster: Cluster) -> None:
    waits_for_pods(cluster)
    cluster.serving.heal("signals-2")
    cluster.run(40)


def waits_for_pods(cluster: Cluster) -> None:
    """Held: what its next share needs is not there for longer than a pod's usual start takes."""
    needs_pods(cluster)
    cluster.run(37)


def needs_pods(cluster: Cluster) -> None:
    """Stable serves with two pods, and the second one of the candidate is never scheduled."""
    cluster.apply(version(1, scaling={"minReplicas": 2}))
    cluster.run(8)
    cluster.apply(version(2, rollout=steps(10, 90, pause="2s"), scaling={"minReplicas": 1}))
    cluster.run(5)
    cluster.serving.behaviour("signals-2").waits = "CreateContainerConfigError"
    cluster.run(3)


def withdrawn_while_deploying(cluster: Cluster) -> None:
    cluster.starts_in("signals-2", 60)
    second(cluster, 10, seconds=3)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(40)


def withdrawn_while_warming(cluster: Cluster) -> None:
    cluster.silent.add("signals-2")
    second(cluster, 10)
    cluster.edit("signals-2", desired="Retired")
    cluster.run(40)


def withdrawn_while_promoting(cluster: Cluster) -> None:
    promotes(cluster)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(50)


def superseded_while_promoting(cluster: Cluster) -> None:
    promotes(cluster)
    cluster.apply(version(3, rollout=steps(20, pause="1s"), scaling={"minReplicas": 2}))
    cluster.run(25)


def crashed_while_promoting(cluster: Cluster) -> None:
    promotes(cluster)
    cluster.crash("signals-2")
    cluster.run(40)


def evicted_while_promoting(cluster: Cluster) -> None:
    promotes(cluster)
    cluster.serving.heal("signals-2")
    cluster.starts_in("signals-2", 7)
    cluster.evict("signals-2")
    cluster.run(40)


def paused_while_promoting(cluster: Cluster) -> None:
    promotes(cluster)
    cluster.edit("signals-2", control=Control(paused=True))
    cluster.run(5)
    cluster.edit("signals-2", control=Control(paused=False))
    cluster.serving.heal("signals-2")
    cluster.run(20)


def promotes(cluster: Cluster, **rollout: object) -> None:
    """The plan is over, and the second pod that 100 % needs is not there."""
    cluster.apply(version(1, scaling={"minReplicas": 2}))
    cluster.run(8)
    cluster.apply(version(2, rollout={**steps(50, pause="8s"), **rollout}, scaling={"minReplicas": 1}))
    cluster.run(6)
    cluster.serving.behaviour("signals-2").waits = "CreateContainerConfigError"
    cluster.run(10)


def crash_while_held(cluster: Cluster) -> None:
    waits_for_pods(cluster)
    cluster.crash("signals-2")
    cluster.run(40)


def status_lost(cluster: Cluster) -> None:
    told(canary)(cluster)
    cluster.lose_status()
    cluster.run(20)


def status_of_an_aborted_one_lost(cluster: Cluster) -> None:
    second(cluster, 30)
    cluster.edit("signals-2", control=Control(abort=True))
    cluster.run(5)
    cluster.lose_status()
    cluster.run(20)


def route_deleted(cluster: Cluster) -> None:
    second(cluster, 30, pause="20s")
    cluster.delete_route()
    cluster.run(40)


def route_edited(cluster: Cluster) -> None:
    second(cluster, 30, pause="20s")
    cluster.edit_route((Share("signals-2-predictor-00001", 100),))
    cluster.run(40)


def service_deleted_and_revision_remade(cluster: Cluster) -> None:
    second(cluster, 30, pause="20s")
    cluster.remake("signals-2")
    cluster.run(40)
    cluster.remove("signals-2")
    cluster.run(40)


def abandoned(cluster: Cluster) -> None:
    second(cluster, 30, rollout={"rollbackWindow": {"versions": 1, "maxAge": "40s"}})
    cluster.crash("signals-2")
    cluster.run(90)
    cluster.edit("signals-2", desired="Retired")
    cluster.run(5)


def last_one_retires_and_goes(cluster: Cluster) -> None:
    first(cluster)
    cluster.edit("signals-1", desired="Retired")
    cluster.run(3)
    cluster.delete("signals-1")
    cluster.run(5)


def frozen_route(cluster: Cluster) -> None:
    second(cluster, 30, pause="8s", seconds=6)
    cluster.serving.freeze(20)
    cluster.run(45)


def rolled_back_and_retried(cluster: Cluster) -> None:
    second(cluster, 30, pause="2s", seconds=4)
    cluster.crash("signals-2", again=False)
    cluster.run(8)
    cluster.edit("signals-2", control=Control(retry_token="again"))
    cluster.run(15)


def frozen(cluster: Cluster) -> None:
    first(cluster)
    cluster.judge = then(1, Outcome.HARM)
    plan = analysed(10, shortest="5s", longest="15s")
    plan["rollout"] |= {"onFailure": "Freeze"}
    cluster.apply(version(2, **plan))
    cluster.run(25)
    cluster.judge = always(Outcome.PASS)


def frozen_and_retried(cluster: Cluster) -> None:
    frozen(cluster)
    cluster.edit("signals-2", control=Control(retry_token="again"))
    cluster.run(40)


def aborted_while_they_wait(cluster: Cluster) -> None:
    """One behind another rollout, and one from its first moment on."""
    second(cluster, 30, pause="20s")
    cluster.apply(version(3, rollout={**steps(20), "onSupersede": "Queue"}))
    cluster.run(3)
    cluster.edit("signals-3", control=Control(abort=True))
    cluster.run(3)
    cluster.apply(version(4, rollout=steps(20), control={"abort": True}))
    cluster.run(40)


def aborted_after_it_was_superseded(cluster: Cluster) -> None:
    """Left true, it lets no attempt begin, whoever else ends; taken back, it does."""
    second(cluster, 10)
    cluster.apply(version(3, rollout=steps(20, pause="60s")))
    cluster.run(8)
    cluster.edit("signals-2", control=Control(abort=True))
    cluster.run(3)
    cluster.edit("signals-3", desired="Retired")
    cluster.run(50)
    cluster.edit("signals-2", control=Control())
    cluster.run(15)


def frozen_and_withdrawn(cluster: Cluster) -> None:
    frozen(cluster)
    cluster.edit("signals-2", desired="Standby")
    cluster.run(10)
    cluster.edit("signals-2", desired="Retired")
    cluster.run(40)
    cluster.edit("signals-2", desired="Live")
    cluster.run(5)
    cluster.edit("signals-2", control=Control(retry_token="again"))
    cluster.run(40)


def frozen_and_promoted(cluster: Cluster) -> None:
    frozen(cluster)
    cluster.edit("signals-2", control=Control(promote=Promote(mode=PromoteMode.FULL, token="now")))
    cluster.run(15)


MORE = (
    rolled_back_and_retried,
    frozen_and_retried,
    frozen_and_withdrawn,
    aborted_while_they_wait,
    aborted_after_it_was_superseded,
    frozen_and_promoted,
    fast_way_back,
    never_ready,
    refused_by_the_cluster,
    rejected_and_accepted,
    its_name_is_taken_while_it_waits_for_kserve,
    standby_then_live,
    an_older_one_arrives,
    superseded_and_again,
    superseded_while_deploying,
    superseded_while_warming,
    superseded_while_it_waits_for_pods,
    superseded_in_a_step,
    superseded_while_promoting,
    withdrawn_while_deploying,
    withdrawn_while_warming,
    withdrawn_while_it_waits_for_pods,
    withdrawn_in_a_step,
    withdrawn_while_promoting,
    too_little_capacity_and_back,
    crashed_while_promoting,
    evicted_while_promoting,
    paused_while_promoting,
    crash_while_held,
    status_lost,
    status_of_an_aborted_one_lost,
    route_deleted,
    route_edited,
    service_deleted_and_revision_remade,
    abandoned,
    last_one_retires_and_goes,
    frozen_route,
)
STORIES: Mapping[str, Story] = {
    **{name: told(scenario) for name, scenario in scenarios.SCENARIOS.items()},
    **{story.__name__.replace("_", "-"): story for story in MORE},
}

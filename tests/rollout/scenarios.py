"""Stories that are told more than once: as golden traces, and killed before every single write."""

from __future__ import annotations

from collections.abc import Callable

from tests.rollout.simulation import steps, version
from tests.rollout.stories import STORIES
from tests.rollout.world import World
from turnout.api.control import Control

Scenario = Callable[[World], None]


def first_version(world: World) -> None:
    world.apply(version(1))
    world.run(8)


def canary(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(10, 50, pause="2s")))
    world.run(20)


def crash_at_30_percent(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(30, pause="60s")))
    world.run(10)
    world.crash("signals-2")
    world.run(5)


def dead_stable_and_back(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(30, pause="4s")))
    world.run(5)
    world.crash("signals-1")
    world.run(10)
    world.heal("signals-1")
    world.run(12)


def rollback_by_standby(world: World) -> None:
    canary(world)
    world.edit("signals-2", desired="Standby")
    world.run(8)


def superseded(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(10, pause="60s")))
    world.run(8)
    world.apply(version(3, rollout=steps(20, pause="2s")))
    world.run(15)


def queued_behind_another(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(10, pause="4s")))
    world.run(5)
    world.apply(version(3, rollout={**steps(20, pause="1s"), "onSupersede": "Queue"}))
    world.run(20)


def refused_while_another_runs(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(10, pause="60s")))
    world.run(5)
    world.apply(version(3, rollout={**steps(20, pause="1s"), "onSupersede": "Reject"}))
    world.run(2)
    world.crash("signals-2")
    world.run(15)


def superseded_twice(world: World) -> None:
    first_version(world)
    for number in (2, 3):
        world.apply(version(number, rollout=steps(10, pause="60s")))
        world.run(8)
    world.apply(version(4, rollout=steps(20, pause="1s")))
    world.run(12)


def kept_warm_then_archived(world: World) -> None:
    window = {"rollbackWindow": {"versions": 1, "maxAge": "30s", "keepWarm": True}}
    first_version(world)
    world.apply(version(2, rollout={**steps(50, pause="1s"), **window, "promotedScaleDownDelay": "2s"}))
    world.run(45)


def back_from_the_archive(world: World) -> None:
    kept_warm_then_archived(world)
    world.edit("signals-2", desired="Standby")
    world.run(12)


def floor_by_schedule(world: World) -> None:
    hours = {"schedule": "1 10 * * *", "until": "2 10 * * *", "minReplicas": 2}
    world.apply(version(1, scaling={"floors": [hours]}))
    world.run(55)
    world.apply(version(2, rollout=steps(10, 50, pause="4s"), scaling={"floors": [hours]}))
    world.run(75)


def plan_edited_in_mid_rollout(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(10, 50, pause="4s")))
    world.run(5)
    world.apply(version(2, rollout=steps(10, 20, 60, pause="3s")))
    world.run(25)


def evicted_and_back(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(30, pause="9s")))
    world.run(5)
    world.running["signals-2"].start_seconds = 7  # more than two graces: a restart forgets that one has passed
    world.evict("signals-2")
    world.run(25)


def paused_by_a_person(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(30, pause="4s")))
    world.run(6)
    world.edit("signals-2", control=Control(paused=True))
    world.run(10)
    world.edit("signals-2", control=Control(paused=False))
    world.run(8)


def serving_version_deleted(world: World) -> None:
    first_version(world)
    world.apply(version(2, rollout=steps(50, pause="2s")))
    world.run(4)
    world.delete("signals-1")
    world.run(15)


def fallback_and_back(world: World) -> None:
    canary(world)
    world.crash("signals-2")
    world.run(5)
    world.heal("signals-2")
    world.run(15)


def cannot_be_warmed_up(world: World) -> None:
    first_version(world)
    world.wrong_answers.add("signals-2")
    world.apply(version(2, rollout=steps(30)))
    world.run(8)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (
        *STORIES,
        first_version,
        canary,
        crash_at_30_percent,
        dead_stable_and_back,
        rollback_by_standby,
        superseded,
        superseded_twice,
        queued_behind_another,
        refused_while_another_runs,
        kept_warm_then_archived,
        back_from_the_archive,
        floor_by_schedule,
        plan_edited_in_mid_rollout,
        evicted_and_back,
        paused_by_a_person,
        serving_version_deleted,
        fallback_and_back,
        cannot_be_warmed_up,
    )
}
TRACED = ("first-version", "canary", "crash-at-30-percent", "dead-stable-and-back", "rollback-by-standby")

"""What a version is made of stays what it was, and how long what it leaves behind is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, serving
from turnout.api.control import Control
from turnout.api.reasons import Reason, State
from turnout.rollout.plan import Plan
from turnout.rollout.snapshot import Problem, Snapshot


def deployed_images(world: World, name: str) -> list[str]:
    """Every image that a version was asked to be made of, in order."""
    found: list[str] = []
    check = world.check

    def watch(within: World, snapshot: Snapshot, plan: Plan) -> None:
        found.extend(deploy.image for deploy in plan.deploy if deploy.version.name == name)
        if check:
            check(within, snapshot, plan)

    world.check = watch
    return found


@pytest.mark.parametrize("restarted", [False, True], ids=["by the same operator", "by one that was restarted"])
def test_a_return_from_the_archive_is_of_the_same_image_and_template(restarted: bool) -> None:
    rollout = {"rollbackWindow": {"versions": 1, "maxAge": "1m"}, "promotedScaleDownDelay": "5s"}
    world = serving(1, 2, rollout=rollout, check=Invariants())
    made_of = world.versions["signals-1"].status.resolved
    assert made_of
    world.run(90, tick=timedelta(seconds=1))
    assert world.state("signals-1") is State.Archived
    world.images = {"sklearn": "dev.local/sklearn:of-another-release"}
    images = deployed_images(world, "signals-1")
    if restarted:
        world.restart_operator()
    world.edit("signals-2", desired="Standby")
    world.run(8, until=lambda: world.state("signals-1") is State.Live)
    assert images == [made_of.image]
    assert world.versions["signals-1"].status.resolved == made_of


def test_a_return_of_which_this_release_makes_other_pods_is_a_whole_rollout() -> None:
    rollout = {"rollbackWindow": {"versions": 1, "maxAge": "1m"}, "promotedScaleDownDelay": "5s"}
    world = serving(1, 2, rollout=rollout, check=Invariants())
    world.run(90, tick=timedelta(seconds=1))
    known = world.versions["signals-1"]
    assert known.status.resolved
    other = known.status.resolved.model_copy(update={"template_hash": "of another release"})
    world.versions["signals-1"] = known.model_copy(
        update={"status": known.status.model_copy(update={"resolved": other})}
    )
    world.edit("signals-1", rollout=version(1, rollout=steps(20, pause="2s")).spec.rollout)
    world.edit("signals-2", desired="Standby")
    world.run(30, until=lambda: world.state("signals-1") is State.Live)
    assert [share.percent for split in world.splits[-2:] for share in split if "signals-1-" in share.revision] == [
        20,
        100,
    ]


def test_an_attempt_that_had_no_image_takes_the_one_that_there_is_at_the_next(served: World) -> None:
    served.images = {}
    served.start_problem["signals-2"] = Problem(Reason.AdmissionDenied, "runtime sklearn has no image", permanent=True)
    served.apply(version(2, rollout=steps(20, pause="1s")))
    served.run(2)
    assert served.state("signals-2") is State.Failed
    served.images = {"sklearn": "dev.local/sklearn:2"}
    del served.start_problem["signals-2"]
    images = deployed_images(served, "signals-2")
    served.edit("signals-2", control=Control(retry_token="again"))
    served.run(20, until=lambda: served.state("signals-2") is State.Live)
    assert images == ["dev.local/sklearn:2"]


def test_a_version_whose_status_and_deployment_were_lost_is_made_of_the_operators_image(served: World) -> None:
    served.lose_status()
    served.run(1)
    images = deployed_images(served, "signals-1")
    served.remove("signals-1")
    served.run(10, until=lambda: "signals-1" in served.running)
    assert images[:1] == ["dev.local/sklearn:1"]


def test_a_rollback_is_over_when_stable_has_all_its_pods_again(served: World) -> None:
    served.edit("signals-1", scaling=version(1, scaling={"minReplicas": 2}).spec.scaling)
    served.run(5)
    canary(served, 2, 50, pause="60s", rollout={"abortScaleDownDelay": "20s"})
    lost = next(iter(served.running["signals-1"].pods))
    del served.running["signals-1"].pods[lost]
    served.running["signals-1"].start_seconds = 8
    served.crash("signals-2")
    served.run(5)
    assert (served.percent("signals-2"), served.state("signals-2")) == (0, State.RollingBack)
    served.run(6)
    assert served.state("signals-2") is State.RolledBack


def test_a_rollback_does_not_wait_for_pods_that_never_come(served: World) -> None:
    served.edit("signals-1", scaling=version(1, scaling={"minReplicas": 2}).spec.scaling)
    served.run(5)
    canary(served, 2, 50, pause="60s", rollout={"abortScaleDownDelay": "10s"})
    lost = next(iter(served.running["signals-1"].pods))
    del served.running["signals-1"].pods[lost]
    served.running["signals-1"].start_seconds = 600
    served.crash("signals-2")
    served.run(9)
    assert served.state("signals-2") is State.RollingBack
    served.run(3)
    assert served.state("signals-2") is State.RolledBack

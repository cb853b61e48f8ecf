"""What a version is made of stays what it was, and how long what it leaves behind is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import looked_up, steps, version
from tests.rollout.world import World, canary, serving
from turnout.api.control import Control
from turnout.api.reasons import EventReason, Reason, State
from turnout.api.status import ResolvedStatus
from turnout.rollout.plan import Plan
from turnout.rollout.rendering import template_hash
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
    world.images = {"sklearn": "example.com/sklearn:of-another-release"}
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
    served.images = {"sklearn": "example.com/sklearn:2"}
    del served.start_problem["signals-2"]
    images = deployed_images(served, "signals-2")
    served.edit("signals-2", control=Control(retry_token="again"))
    served.run(20, until=lambda: served.state("signals-2") is State.Live)
    assert images == ["example.com/sklearn:2"]


def test_a_version_whose_status_was_lost_is_made_again_of_the_image_that_ran(served: World) -> None:
    served.lose_status()
    served.run(1)
    images = deployed_images(served, "signals-1")
    served.remove("signals-1")
    served.run(10, until=lambda: "signals-1" in served.running)
    assert images[:1] == [looked_up("example.com/sklearn:1")]


def test_how_long_an_abandoned_version_is_kept_is_what_stable_says(served: World) -> None:
    served.edit("signals-1", rollout=version(1, rollout={"rollbackWindow": {"maxAge": "1m"}}).spec.rollout)
    canary(served, 2, 30, pause="60s", rollout={"rollbackWindow": {"maxAge": "10m"}})
    served.crash("signals-2")
    served.run(50)
    assert (served.state("signals-2"), "signals-2" in served.running) == (State.RolledBack, True)
    served.run(15)
    assert "signals-2" not in served.running


# -- the same bytes, or a whole rollout


SHORT = {"rollbackWindow": {"versions": 1, "maxAge": "1m"}, "promotedScaleDownDelay": "5s"}
PLAN = version(1, rollout={**steps(20, pause="2s"), **SHORT}).spec.rollout


def archived(images: dict[str, str] | None = None, **predictor: Any) -> World:
    """signals-1 was promoted and is archived; it has a plan."""
    world = World(check=Invariants())
    world.images = images
    blocks = {"predictor": {"runtime": "sklearn", "artifact": {"uri": "file:///models/signals/1"}, **predictor}}
    world.apply(version(1, rollout=SHORT, **blocks))
    world.run(30, until=lambda: world.state("signals-1") is State.Live)
    world.apply(version(2, rollout={"strategy": "AllAtOnce", **SHORT}))
    world.run(120, until=lambda: world.state("signals-1") is State.Archived)
    world.edit("signals-1", rollout=PLAN)
    return world


def shares(world: World) -> list[int]:
    return [share.percent for split in world.splits[2:] for share in split if share.revision.startswith("signals-1-")]


TAG, DIGEST = "example.com/sklearn:1", "sha256:" + "0" * 64
PULLED = {"uri": "s3://models/signals/1"}
SAME = {
    "a tag that was looked up": ({"sklearn": TAG}, {}),
    "an image by digest": ({}, {"image": f"dev.local/sklearn@{DIGEST}"}),
    "an artifact with its digest": ({"sklearn": TAG}, {"artifact": {**PULLED, "digest": DIGEST}}),
    "code of the image alone": ({"sklearn": TAG}, {"runtime": "custom", "entrypoint": "a:B", "image": TAG}),
    "no image at all, on one machine": (None, {"image": "dev.local/sklearn:1"}),
}
UNKNOWN = {
    "a tag that is not looked up": (
        {"sklearn": "dev.local/sklearn:1"}, {}, "no digest is known of its image dev.local/sklearn:1",
    ),
    "an artifact without a digest": ({"sklearn": TAG}, {"artifact": PULLED}, "its artifact has no digest"),
    "a claim": ({"sklearn": TAG}, {"artifact": {"uri": "pvc://models/1"}}, "its artifact has no digest"),
}  # fmt: skip


@pytest.mark.parametrize(("images", "predictor"), SAME.values(), ids=SAME)
def test_what_is_known_by_its_digests_returns_from_the_archive_at_once(
    images: dict[str, str] | None, predictor: dict[str, Any]
) -> None:
    world = archived(images, **predictor)
    world.edit("signals-2", desired="Standby")
    world.run(20, until=lambda: world.state("signals-1") is State.Live)
    assert shares(world) == [100]


@pytest.mark.parametrize(("images", "predictor", "why"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_nobody_can_say_is_the_same_returns_by_its_whole_plan_and_says_so(
    images: dict[str, str], predictor: dict[str, Any], why: str
) -> None:
    world = archived(images, **predictor)
    message = world.versions["signals-1"].status.message
    assert message == f"It is older than the rollback window keeps. It returns by its whole plan only: {why}"
    world.edit("signals-2", desired="Standby")
    world.run(40, until=lambda: world.state("signals-1") is State.Live)
    assert shares(world) == [20, 100]
    (_, started) = (each.message for each in world.events if (each.version, each.reason) == STARTED)
    assert f"it was promoted before, and goes through its whole plan: {why}; " in started


STARTED = ("signals-1", EventReason.RolloutStarted)


def test_a_tag_that_has_moved_does_not_change_what_returns() -> None:
    world = archived({"sklearn": TAG})
    ran = world.versions["signals-1"].status.resolved
    assert ran is not None
    world.moved[TAG] = "other bytes"
    images = deployed_images(world, "signals-1")
    world.edit("signals-2", desired="Standby")
    world.run(20, until=lambda: world.state("signals-1") is State.Live)
    assert images == [looked_up(TAG)] == [ran.image] == [world.running["signals-1"].image]


def test_what_runs_it_was_removed_and_nobody_can_say_what_it_was() -> None:
    """Not archived by anybody, and no more known for that."""
    world = serving(1, check=Invariants())
    world.images = {"sklearn": "dev.local/sklearn:1"}
    world.apply(version(2, rollout={"strategy": "AllAtOnce"}), version(3, rollout={"strategy": "AllAtOnce"}))
    world.run(30, until=lambda: world.state("signals-3") is State.Live)
    world.edit("signals-3", desired="Standby")
    world.run(30, until=lambda: world.state("signals-2") is State.Live)
    world.edit("signals-2", desired="Standby")
    world.run(10, until=lambda: world.state("signals-1") is State.Live)
    world.run(1)
    world.remove("signals-2")
    world.edit("signals-2", desired="Live", rollout=PLAN)
    before = len(world.splits)
    world.run(40, until=lambda: world.state("signals-2") is State.Live)
    given = [share.percent for split in world.splits[before:] for share in split if "signals-2-" in share.revision]
    assert given == [20, 100]


def test_the_digest_is_noted_also_of_what_an_earlier_release_pinned(served: World) -> None:
    known = served.versions["signals-1"].status
    tag = known.model_copy(
        update={"resolved": ResolvedStatus(image=TAG, template_hash=template_hash(served.versions["signals-1"], TAG))}
    )
    served.versions["signals-1"] = served.versions["signals-1"].model_copy(update={"status": tag})
    served.run(1)
    assert served.versions["signals-1"].status.resolved == known.resolved


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

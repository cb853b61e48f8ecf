"""What a namespace may put in a rollout's way: quotas, images, other models. Nobody who is served notices."""

from __future__ import annotations

import time

import pytest

from tests.cluster.rollouts.losses import lost
from tests.cluster.rollouts.stage import MODEL, Stage, condition, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STABLE, CANARY = f"{MODEL}-1", f"{MODEL}-2"


def test_a_quota_that_leaves_no_room_fails_the_version_with_its_name(stage: Stage) -> None:
    first_version(stage)
    stage.kubectl("create", "quota", "tight", "--hard=pods=1")
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(30, progressDeadline="20s")))
        stage.wait("it says why", lambda: stage.status(CANARY).get("reason") == "QuotaExceeded")
        stage.wait_state(CANARY, "Failed")
    assert "tight" in stage.status(CANARY)["message"]
    stage.wait_told(CANARY, "QuotaExceeded")
    assert set(caller.shares()) == {"1"}
    lost("quota", caller)


def test_a_quota_that_stops_the_pods_of_a_later_step_is_named_while_it_waits_and_it_goes_on_without_it(
    stage: Stage,
) -> None:
    """The pod that is ready cannot tell of one that may not be made: the revision does, with a name for each try."""
    first_version(stage, scaling={"minReplicas": 2})
    stage.kubectl("create", "quota", "tight", "--hard=pods=3")
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(10, 90, pause="3s"), scaling={"minReplicas": 1}))
        stage.wait_weight(CANARY, 10)
        told = "90 % needs 2 ready pods of signals-2 (has 1: exceeded quota: tight"
        stage.wait("it says why", lambda: stage.status(CANARY)["message"].startswith(told))
        said = stage.status(CANARY)["message"]
        stage.wait_state(CANARY, "Held")
        assert stage.status(CANARY)["message"] == said
        assert "Held" in stage.events(CANARY)
        stage.kubectl("delete", "quota", "tight")
        stage.wait_state(CANARY, "Live")
        time.sleep(1)
    lost("quota-of-a-later-step", caller)


def test_an_image_that_cannot_be_pulled_disturbs_neither_its_model_nor_another(stage: Stage) -> None:
    """Two models side by side: one takes its whole plan, the other's version cannot start."""
    stage.apply(*(mver(1, model=model, scaling={"minReplicas": 1}) for model in ("tone", "signals")))
    for name in ("tone-1", "signals-1"):
        stage.wait_state(name, "Live")
    broken = mver(2, model="tone", rollout=steps(10, progressDeadline="20s"))
    broken["spec"]["predictor"]["image"] = "dev.local/nowhere:1"
    with stage.stream("tone", rate=10) as ours, stage.stream("signals", rate=10) as theirs:
        stage.apply(broken, mver(2, rollout=steps(10, 50, pause="5s")))
        stage.wait_state("tone-2", "Failed")
        stage.wait_state(CANARY, "Live")
        time.sleep(1)
    assert "nowhere" in stage.status("tone-2")["message"]
    assert set(ours.shares()) == {"1"}
    lost("image", ours)
    lost("two-models", theirs)


def test_kubectl_wait_ends_as_people_expect(stage: Stage) -> None:
    """Ready: settled where the rules put it. Unknown while it rolls out, False where a person is needed."""
    first_version(stage)
    ready = ("wait", "--for=condition=Ready", "--timeout=110s")
    stage.apply(mver(2, rollout=steps(50, pause="25s")))
    stage.wait_weight(CANARY, 50)
    assert condition(stage.status(CANARY), "Ready")["status"] == "Unknown"
    stage.kubectl(*ready, f"mver/{CANARY}")
    assert stage.state(CANARY) == "Live"
    stage.kubectl(*ready, f"mver/{STABLE}")  # a newer one has replaced it, as it should be
    broken = mver(3, rollout=steps(50, progressDeadline="15s"))
    broken["spec"]["predictor"]["settings"] = {"no_such_setting": 1}
    stage.apply(broken)
    stage.kubectl("wait", "--for=condition=Ready=False", f"mver/{MODEL}-3", "--timeout=110s")
    assert condition(stage.status(f"{MODEL}-3"), "Stalled")["status"] == "True"
    stage.patch(f"{MODEL}-3", desired="Retired")
    stage.kubectl(*ready, f"mver/{MODEL}-3")

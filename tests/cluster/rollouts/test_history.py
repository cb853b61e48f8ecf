"""Many versions: superseded in a row, rolled back past several, deleted in the middle of it. Nobody loses a request."""

from __future__ import annotations

import time

import pytest

from tests.cluster.rollouts.losses import lost
from tests.cluster.rollouts.stage import MODEL, UNTIL_TOLD, Stage, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STABLE, CANARY = f"{MODEL}-1", f"{MODEL}-2"
AT_ONCE = {"strategy": "AllAtOnce", "promotedScaleDownDelay": "20s", "abortScaleDownDelay": "5s"}


def made(stage: Stage) -> set[str]:
    """What runs versions, and the Route."""
    return set(stage.kubectl("get", "isvc,routes.serving.knative.dev", "-o", "name").split())


def test_two_versions_in_a_row_supersede_the_one_before(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        for number in (2, 3):
            stage.apply(mver(number, rollout=steps(30, pause="10m")))
            stage.wait_weight(f"{MODEL}-{number}", 30)
            assert set(stage.written()) == {STABLE, f"{MODEL}-{number}"}
        stage.apply(mver(4, rollout=steps(50, pause="1s")))
        stage.wait_state(f"{MODEL}-4", "Live")
        time.sleep(1)
    for number, state in ((1, "Standby"), (2, "Superseded"), (3, "Superseded")):
        stage.wait_state(f"{MODEL}-{number}", state)
    lost("superseded-twice", caller)


def test_rolling_back_past_several_versions_is_one_edit_each_and_loses_nothing(stage: Stage) -> None:
    window = {"rollbackWindow": {"versions": 5}}
    first_version(stage, rollout={**AT_ONCE, **window})
    for number in (2, 3, 4):
        stage.apply(mver(number, rollout={**AT_ONCE, **window}))
        stage.wait_state(f"{MODEL}-{number}", "Live")
    with stage.stream(rate=20) as caller:
        for number in (4, 3, 2):
            stage.patch(f"{MODEL}-{number}", desired="Standby")
        stage.wait_state(STABLE, "Live")
        back = time.time()
        time.sleep(2)
    assert set(caller.shares(back)) == {"1"}
    for number in (2, 3, 4):
        stage.wait_state(f"{MODEL}-{number}", "Standby")
    lost("rolled-back-far", caller)


def test_a_canary_deleted_in_mid_rollout_gives_its_share_back_and_goes(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(30, pause="10m")))
        stage.wait_weight(CANARY, 30)
        stage.kubectl("delete", "mver", CANARY)
        stage.wait_split({STABLE: 100})
        stage.wait("what ran it is gone", lambda: not any(CANARY in each for each in made(stage)))
    lost("deleted-canary", caller)


def test_a_deleted_canary_runs_until_the_gateway_has_heard_that_it_has_no_share(stage: Stage) -> None:
    """Knative says so long before: what speaks to the gateway stands still."""
    first_version(stage)
    stage.apply(mver(2, rollout=steps(30, pause="10m")))
    stage.wait_split({STABLE: 70, CANARY: 30})
    told = lambda: len(stage.object("routes.serving.knative.dev", MODEL)["status"]["traffic"]) == 1  # noqa: E731
    with stage.stream(rate=20) as caller:
        with stage.cluster.stopped("knative-serving", "net-kourier-controller"):
            stage.kubectl("delete", "mver", CANARY)
            stage.wait("its share is gone in words", told)
            time.sleep(5)  # more than its pods would need to go
            assert stage.split() == {}
        stage.wait_split({STABLE: 100})
        stage.wait("what ran it is gone", lambda: not any(CANARY in each for each in made(stage)))
    assert "2" in caller.shares()
    assert not caller.failures, caller.explain()


def test_a_stable_version_deleted_in_mid_rollout_serves_until_it_is_replaced(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(steps=UNTIL_TOLD)))
        stage.wait_weight(CANARY, 30)
        stage.kubectl("delete", "mver", STABLE)
        time.sleep(3)
        assert stage.written() == {STABLE: 70, CANARY: 30}
        stage.patch(CANARY, control={"promote": {"mode": "NextStep", "token": "go-on"}})
        stage.wait_state(CANARY, "Live")
        stage.wait("what ran it is gone", lambda: not any(STABLE in each for each in made(stage)))
    lost("deleted-stable", caller)


def test_all_deleted_in_mid_rollout_leaves_nothing(stage: Stage) -> None:
    first_version(stage)
    stage.apply(mver(2, rollout=steps(30, pause="10m")))
    stage.wait_weight(CANARY, 30)
    with stage.stream(rate=20) as caller:
        time.sleep(1)
        deleted = time.time()
        stage.kubectl("delete", "mver", "--all")
        stage.wait("nothing is left", lambda: not made(stage))
        stage.wait("no pod is left", lambda: not stage.kubectl("get", "pods", "-o", "name").strip())
    assert all(answer.sent > deleted for answer in lost("all-deleted", caller)), caller.explain()


def test_an_archived_version_returns_as_the_very_same_image(stage: Stage) -> None:
    quick = {**AT_ONCE, "promotedScaleDownDelay": "1s", "rollbackWindow": {"versions": 1}}
    first_version(stage, rollout=quick)
    before = stage.status(STABLE)["resolved"]
    for number in (2, 3):
        stage.apply(mver(number, rollout=quick))
        stage.wait_state(f"{MODEL}-{number}", "Live")
    stage.wait_state(STABLE, "Archived")
    stage.wait("what ran it is gone", lambda: not any(STABLE in each for each in made(stage)))
    with stage.stream(rate=20) as caller:
        for number in (3, 2):
            stage.patch(f"{MODEL}-{number}", desired="Standby")
        stage.wait_state(STABLE, "Live")
        back = time.time()
        time.sleep(1)
    assert stage.status(STABLE)["resolved"] == before
    assert set(caller.shares(back)) == {"1"}
    lost("archived-returns", caller)


def test_a_version_that_is_kept_warm_takes_over_when_the_live_one_crashes(stage: Stage) -> None:
    warm = {**AT_ONCE, "promotedScaleDownDelay": "1s", "rollbackWindow": {"keepWarm": True}}
    first_version(stage, rollout=warm)
    stage.apply(mver(2, scaling={"minReplicas": 1}, rollout=warm))
    stage.wait_state(CANARY, "Live")
    time.sleep(30)  # longer than Knative would leave it its pods: see `SETTINGS` of the harness's releases
    assert stage.pods(STABLE)
    with stage.stream(rate=20) as caller:
        stage.crash(CANARY)
        stage.wait_split({STABLE: 100})
        out = time.time()
        stage.wait("it says who carries it", lambda: stage.status(CANARY)["reason"] == "LivingFallback")
        stage.patch(CANARY, desired="Standby")
        stage.wait_state(STABLE, "Live")
        time.sleep(1)
    assert all(answer.sent < out for answer in lost("live-crashes-beside-warm", caller)), caller.explain()

"""The main road: apply, serve, take traffic step by step, return. A caller sends all the time and loses nothing."""

import time

import pytest

from tests.cluster.rollouts.losses import lost
from tests.cluster.rollouts.stage import MODEL, Stage, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def test_a_first_version_serves_and_kubectl_tells_its_story(stage: Stage) -> None:
    name = first_version(stage)
    assert stage.call() == (200, "1")
    shown = stage.kubectl("get", "mver").splitlines()
    assert shown[0].split() == [
        "NAME",
        "MODEL",
        "VERSION",
        "ROLE",
        "STATE",
        "WEIGHT",
        "STEP",
        "VERDICT",
        "REASON",
        "AGE",
    ]
    for word in (name, MODEL, "Stable", "Live", "100", "Promoted"):
        assert word in shown[1]
    stage.kubectl("wait", f"mver/{name}", "--for=condition=Ready", "--timeout=60s")


def test_a_canary_goes_10_50_100_and_no_caller_loses_a_request(stage: Stage) -> None:
    first_version(stage)
    mark = stage.cluster.audit.mark()
    with stage.stream(rate=30) as caller:
        time.sleep(2)
        stage.apply(mver(2, rollout=steps(10, 50, pause="8s")))
        stage.wait_state(f"{MODEL}-2", "Live")
        after = time.time()
        time.sleep(3)
    assert not caller.failures, caller.explain()
    assert [percent for percent in stage.given(f"{MODEL}-2", mark) if percent] == [10, 50, 100]
    assert set(caller.shares(after)) == {"2"}
    stage.wait_state(f"{MODEL}-1", "Standby")


def test_an_idle_version_goes_to_zero_and_the_next_request_wakes_it(stage: Stage) -> None:
    name = first_version(stage, scaling={"minReplicas": 0, "scaleToZeroRetention": "1s"})
    stage.wait("no pod is left", lambda: not stage.pods(name), 150)
    assert stage.state(name) == "Live"
    assert stage.call(timeout=60) == (200, "1")


def test_deleting_the_serving_modelversion_cuts_nothing(stage: Stage) -> None:
    first_version(stage)
    stage.apply(mver(2, rollout=steps(50, pause="1s")))
    stage.wait_state(f"{MODEL}-2", "Live")
    with stage.stream(rate=30) as caller:
        time.sleep(1)
        stage.kubectl("delete", "mver", f"{MODEL}-2", "--wait=true")
        stage.wait_state(f"{MODEL}-1", "Live")
        stage.wait(
            "its InferenceService is gone", lambda: f"{MODEL}-2" not in stage.kubectl("get", "isvc", "-o", "name")
        )
        time.sleep(1)
    assert not caller.failures, caller.explain()
    assert stage.call() == (200, "1")


def test_an_orphan_serves_on_when_its_modelversion_is_deleted(stage: Stage) -> None:
    name = first_version(stage, deletionPolicy="Orphan")
    stage.kubectl("delete", "mver", name)
    time.sleep(5)
    assert stage.call() == (200, "1")


def test_a_label_put_on_an_inferenceservice_by_hand_moves_no_traffic(stage: Stage) -> None:
    name = first_version(stage)
    with stage.stream(rate=30) as caller:
        stage.kubectl("label", "isvc", name, "team=intruders")
        stage.wait(
            "the intruders' revision exists", lambda: "-00002" in stage.kubectl("get", "revisions", "-o", "name")
        )
        pinned = lambda: next(c for c in stage.status(name)["conditions"] if c["type"] == "RevisionPinned")  # noqa: E731
        stage.wait("the version says so", lambda: pinned()["status"] == "False")
        time.sleep(5)
    stage.wait_split({name: 100})
    assert pinned()["reason"] == "UnplannedRevision"
    lost("unplanned-revision", caller)


def test_a_persons_pause_keeps_the_weight_until_it_is_lifted(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(20, pause="15s")))
        stage.wait_weight(f"{MODEL}-2", 20)
        stage.patch(f"{MODEL}-2", control={"paused": True})
        stage.wait("it says so", lambda: stage.status(f"{MODEL}-2").get("reason") == "PausedByPerson")
        time.sleep(17)
        assert stage.written()[f"{MODEL}-2"] == 20
        stage.patch(f"{MODEL}-2", control={"paused": False})
        stage.wait_state(f"{MODEL}-2", "Live")
        time.sleep(1)
    lost("paused", caller)

"""People's hands in what is Turnout's: a Route edited or deleted, an InferenceService stopped, deleted or remade."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.cluster.rollouts.losses import lost
from tests.cluster.rollouts.stage import MODEL, OPERATOR_NAMESPACE, Stage, condition, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STABLE, CANARY, OTHER = f"{MODEL}-1", f"{MODEL}-2", "tone"
ROUTE = ("route.serving.knative.dev", MODEL)
STOP = "serving.kserve.io/stop"


@pytest.fixture
def canary(stage: Stage) -> Stage:
    """Version 2 has 30 % beside version 1, and would keep it for ever."""
    first_version(stage)
    stage.apply(mver(2, rollout=steps(30, pause="10m")))
    stage.wait_weight(CANARY, 30)
    return stage


def rewrite(stage: Stage, **percents: int) -> None:
    """Edit the Route as a person does: `signals_1=50`."""
    traffic = [
        {"revisionName": f"{name.replace('_', '-')}-predictor-00001", "percent": percent}
        for name, percent in percents.items()
    ]
    stage.kubectl("patch", *ROUTE, "--type=merge", "-p", json.dumps({"spec": {"traffic": traffic}}))


def route_uid(stage: Stage) -> str:
    """Empty while there is none."""
    return stage.kubectl("get", *ROUTE, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")


def put_back(stage: Stage) -> bool:
    return stage.split() == {STABLE: 70, CANARY: 30} == stage.written()


def is_out(stage: Stage, name: str, uid: str) -> bool:
    """Nobody meets that revision any more; where a slow machine looks late, its successor may have its share."""
    replaced = is_another(stage, name, uid)  # asked first: by then the split without it has been written
    split = stage.split()
    return bool(split) and (replaced or name not in split)


def is_another(stage: Stage, name: str, uid: str) -> bool:
    """The version is pinned to another revision than that one."""
    pinned = stage.status(name).get("revision")
    return pinned is not None and pinned["uid"] != uid


def test_a_route_edited_by_hand_is_put_back_and_left_for_a_minute_after_three_times(canary: Stage) -> None:
    with canary.stream(rate=20) as caller:
        for _ in range(2):
            rewrite(canary, signals_2=100)
            canary.wait("it is put back", lambda: put_back(canary))
        canary.wait_told(CANARY, "DriftCorrected")
        rewrite(canary, signals_2=100)
        canary.wait("it is contended", lambda: condition(canary.status(CANARY), "Contended")["status"] == "True")
        assert canary.written() == {CANARY: 100}
        canary.wait("it is put back", lambda: put_back(canary))
        time.sleep(1)
    canary.wait_told(CANARY, "Contended")
    lost("route-edited", caller)


def test_a_route_deleted_by_hand_is_made_again_as_it_was(canary: Stage) -> None:
    before = route_uid(canary)
    with canary.stream(rate=20) as caller:
        canary.kubectl("delete", *ROUTE, "--wait=false")
        canary.wait("another is there", lambda: route_uid(canary) not in ("", before))
        canary.wait("it is as it was", lambda: put_back(canary) and canary.answers())
        back = time.time()
        time.sleep(3)
    assert canary.state(CANARY) == "Paused"
    assert all(answer.sent < back for answer in lost("route-deleted", caller)), caller.explain()


def test_a_canarys_inferenceservice_deleted_by_hand_is_made_and_looked_at_anew(canary: Stage) -> None:
    before = canary.status(CANARY)["revision"]["uid"]
    with canary.stream(rate=20) as caller:
        canary.kubectl("delete", "isvc", CANARY, "--wait=false")
        canary.wait("it is out", lambda: is_out(canary, CANARY, before))
        out = time.time()
        canary.wait("it is back at its step", lambda: canary.state(CANARY) == "Paused" and put_back(canary))
        time.sleep(1)
    assert canary.status(CANARY)["revision"]["uid"] != before
    assert all(answer.sent < out for answer in lost("canary-inferenceservice-deleted", caller)), caller.explain()


def test_a_stable_inferenceservice_deleted_by_hand_hands_over_to_the_canary_and_returns(canary: Stage) -> None:
    before = canary.status(STABLE)["revision"]["uid"]
    with canary.stream(rate=20) as caller:
        canary.kubectl("delete", "isvc", STABLE, "--wait=false")
        canary.wait("the canary carries all", lambda: is_out(canary, STABLE, before))
        out = time.time()
        canary.wait("it is back at its step", lambda: put_back(canary))
        time.sleep(1)
    assert canary.status(CANARY)["attempt"] == 1
    assert all(answer.sent < out for answer in lost("stable-inferenceservice-deleted", caller)), caller.explain()


def test_a_lone_inferenceservice_stopped_by_hand_serves_again_when_it_is_resumed(stage: Stage) -> None:
    name = first_version(stage)
    before = stage.status(name)["revision"]["uid"]
    with stage.stream(rate=10) as caller:
        stage.kubectl("annotate", "isvc", name, f"{STOP}=true")
        stage.wait("nobody answers", lambda: stage.call(timeout=2)[0] != 200)
        stage.kubectl("annotate", "isvc", name, f"{STOP}-")
        stage.wait("it answers again", stage.answers)
        back = time.time()
        stage.wait("it is pinned anew", lambda: stage.status(name)["revision"]["uid"] != before)
        time.sleep(1)
    stage.wait_state(name, "Live")
    assert all(answer.sent < back for answer in lost("stopped", caller)), caller.explain()


def remade(found: dict[str, Any]) -> str:
    """The object as a person would save it and create it again."""
    metadata = {key: found["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    return json.dumps({**found, "metadata": metadata, "status": None})


def test_a_canary_remade_by_hand_is_another_version_and_one_made_by_others_is_not_turnouts(canary: Stage) -> None:
    """While no operator looks, so that Knative gives the share to whatever bears the name."""
    canary.apply(mver(1, model=OTHER, scaling={"minReplicas": 1}))
    canary.wait_state(f"{OTHER}-1", "Live")
    canary.apply(mver(2, model=OTHER, rollout=steps(30, pause="10m")))
    canary.wait("the other is at its step", lambda: canary.split(OTHER) == {f"{OTHER}-1": 70, f"{OTHER}-2": 30})
    saved = {name: remade(canary.object("isvc", name)) for name in (CANARY, f"{OTHER}-2")}
    before = canary.status(CANARY)["revision"]["uid"]
    with canary.stream(rate=10) as ours, canary.stream(OTHER, rate=10) as theirs:
        with canary.cluster.without(OPERATOR_NAMESPACE, "turnout"):
            canary.kubectl("delete", "isvc", *saved)
            canary.kubectl("create", "--field-manager=turnout", "-f", "-", stdin=saved[CANARY])
            canary.kubectl("create", "-f", "-", stdin=saved[f"{OTHER}-2"])
            canary.wait("they are up", lambda: all(canary.pods(name) for name in saved))
        canary.wait("one is out", lambda: is_out(canary, CANARY, before))
        canary.wait("so is the other", lambda: canary.split(OTHER) == {f"{OTHER}-1": 100})
        out = time.time()
        canary.wait("one is back at its step", lambda: canary.state(CANARY) == "Paused" and put_back(canary))
        time.sleep(1)
    assert canary.status(f"{OTHER}-2")["reason"] == "NameTaken"
    revision = canary.object("revision", f"{CANARY}-predictor-00001")
    assert canary.status(CANARY)["revision"]["uid"] == revision["metadata"]["uid"] != before
    assert all(answer.sent < out for answer in lost("canary-remade", ours)), ours.explain()
    assert all(answer.sent < out for answer in lost("canary-made-by-others", theirs)), theirs.explain()

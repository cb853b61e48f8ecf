"""A plan that is edited while it runs, at a real API server with an operator: what counts from now on is in the status
and told by an Event; what does not is told in the condition Accepted, in the words of the rule that keeps it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Cluster
from harness.shell import until
from tests.api.fragments import BASE, overlay
from tests.cluster.operators import operator
from tests.cluster.rollouts.stage import condition
from turnout.api.version import ModelVersion
from turnout.rollout.replanning import plan_note

pytestmark = pytest.mark.cluster

NAMESPACE, NAME = "edits-test", "signals-1"
PLAN = [{"setWeight": 10}, {"pause": {"duration": "1h"}}]
EDITED = [{"setWeight": 20}, {"approval": {}}, {"setWeight": 60}, {"pause": {"duration": "1h"}}]


@pytest.fixture(scope="module")
def watched(serving_api: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An operator that looks, and nobody who would make a pod: whatever it deploys is being deployed for ever."""
    serving_api.kubectl("create", "namespace", NAMESPACE)
    flags = f"--namespaces={NAMESPACE}", f"--lease-namespace={NAMESPACE}", "--image=sklearn=example.com/predictor:1"
    with operator(serving_api.kubeconfig, tmp_path_factory.mktemp("operator"), *flags):
        yield serving_api
    serving_api.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def deploying(watched: Cluster) -> Iterator[Cluster]:
    plain = {"spec": {"version": 1, "predictor": {"settings": None}, "rollout": {"steps": PLAN}}}
    body = overlay(overlay(BASE, {"metadata": {"name": NAME}}), plain)
    watched.kubectl("-n", NAMESPACE, "create", "-f", "-", stdin=json.dumps(body))
    until("its rollout runs", lambda: read(watched).status.state == "Deploying", 120)
    yield watched
    watched.kubectl("-n", NAMESPACE, "delete", "mver", NAME)
    until("nothing of it is left", lambda: not listed(watched), 120)


def listed(cluster: Cluster) -> str:
    return cluster.kubectl("-n", NAMESPACE, "get", "isvc,mver", "-o", "name").strip()


def read(cluster: Cluster) -> ModelVersion:
    return ModelVersion.model_validate(cluster.get("-n", NAMESPACE, "mver", NAME))


def edit(cluster: Cluster, **rollout: Any) -> None:
    change = json.dumps({"spec": {"rollout": rollout}})
    cluster.kubectl("-n", NAMESPACE, "patch", "mver", NAME, "--type=merge", "-p", change)


def steps(cluster: Cluster) -> list[Any]:
    plan = cluster.get("-n", NAMESPACE, "mver", NAME)["status"]["plan"]
    return [step for step in plan["steps"] if "warmup" not in step]


def test_edited_steps_count_from_now_on_and_an_event_says_so(deploying: Cluster) -> None:
    assert steps(deploying) == PLAN
    edit(deploying, steps=EDITED)
    until("they are those of the status", lambda: steps(deploying) == EDITED, 120)
    until("an event says so", lambda: "PlanChanged" in events(deploying), 120)


def events(cluster: Cluster) -> set[str]:
    found = cluster.get("-n", NAMESPACE, "events", "--field-selector", f"involvedObject.name={NAME}")["items"]
    return {event["reason"] for event in found}


KEPT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "by its own word": ({"steps": EDITED, "onPlanChange": "NextRollout"}, "onPlanChange is NextRollout"),
    "with another strategy": ({"steps": None, "strategy": "AllAtOnce"}, "strategy does not change in a rollout"),
    "what is not served": ({"steps": None, "strategy": "Shadow"}, "the plan goes on as it was before the edit"),
}


@pytest.mark.parametrize("what", KEPT_OUT)
def test_an_edit_that_does_not_count_now_is_told_in_the_words_of_the_rule(deploying: Cluster, what: str) -> None:
    rollout, words = KEPT_OUT[what]
    edit(deploying, **rollout)
    until("it is told", lambda: words in accepted(deploying), 120)
    version = read(deploying)
    assert plan_note(version.status, version) in accepted(deploying)
    assert steps(deploying) == PLAN


def accepted(cluster: Cluster) -> str:
    status = cluster.get("-n", NAMESPACE, "mver", NAME)["status"]
    return str(condition(status, "Accepted").get("message", ""))

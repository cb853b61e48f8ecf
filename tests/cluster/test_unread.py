"""ModelVersions of another release at a real API server: one that cannot be read says in its own status which field it
is, keeps all else that it says, and stands in nobody's way; as soon as it can be read it is like any other.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Cluster
from harness.shell import until
from tests.api.fragments import BASE, overlay
from tests.cluster.operators import operator
from tests.cluster.rollouts.stage import condition
from turnout.api import crd

pytestmark = pytest.mark.cluster

NAMESPACE = "unread-test"
PLAIN = overlay(BASE, {"spec": {"predictor": {"settings": None}}})
CONDITION = {"type": "Ready", "status": "True", "reason": "Serving", "message": "it serves"}
SETTLED = {"state": "Live", "weight": {"observed": 100}, "conditions": [CONDITION]}
"""What an older operator has written of a version that serves."""


def version(model: str, number: int, **changes: Any) -> dict[str, Any]:
    named = {"metadata": {"name": f"{model}-{number}"}, "spec": {"model": model, "version": number}}
    return overlay(overlay(PLAIN, named), changes)


OLD = {
    "a word of the spec is of no choice here": (
        version("word", 1, spec={"rollout": {"onFailure": "Explode"}}, status=SETTLED),
        "spec.rollout.onFailure",
    ),
    "a number of the status is a word": (
        version("number", 1, status={**SETTLED, "attempt": "first"}),
        "status.attempt",
    ),
    "a list of the status is an object": (version("list", 1, status={**SETTLED, "history": {}}), "status.history"),
}
MUTE = version("mute", 1, spec={"scaling": {"minReplicas": "many"}}, status=SETTLED), "spec.scaling.minReplicas"
"""One whose rules the API server cannot evaluate: it takes no write of it, not even of its status."""
GOOD = [version("mute", 2), version("well", 1)]
"""Of the same model, and of another."""


def definition(*, loose: bool) -> dict[str, Any]:
    """Ours; loose: as if anything went."""
    found: dict[str, Any] = copy.deepcopy(crd.definition())
    if loose:
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
        found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    return found


def define(cluster: Cluster, *, loose: bool) -> None:
    """Replaced, and in force."""
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    cluster.kubectl(*apply, stdin=json.dumps(definition(loose=loose)))
    probe = json.dumps(version("probe", 1, spec={"scaling": {"minReplicas": "many"}}))

    def is_so() -> bool:
        try:
            cluster.kubectl("-n", NAMESPACE, "create", "--dry-run=server", "-f", "-", stdin=probe)
        except Exception as refused:  # the server's own words: of the schema, or of a schema that is being exchanged
            return not loose and "spec.scaling.minReplicas" in str(refused)
        return loose

    until("the schema is in force", is_so, 90)


@pytest.fixture(scope="module")
def stored(serving_api: Cluster) -> Iterator[Cluster]:
    """What the older release left, under a CRD that is this release's again; and versions that can be read."""
    serving_api.kubectl("create", "namespace", NAMESPACE)
    define(serving_api, loose=True)
    for body, _ in (*OLD.values(), MUTE):
        say(serving_api, "create", body)
        say(serving_api, "replace", {**read(serving_api, body), "status": body["status"]}, "--subresource=status")
    define(serving_api, loose=False)
    for good in GOOD:
        say(serving_api, "create", good)
    yield serving_api
    serving_api.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def say(cluster: Cluster, verb: str, body: Any, *options: str) -> str:
    return cluster.kubectl("-n", NAMESPACE, verb, *options, "-f", "-", stdin=json.dumps(body))


def read(cluster: Cluster, body: dict[str, Any]) -> dict[str, Any]:
    return cluster.get("-n", NAMESPACE, "mver", body["metadata"]["name"])


@pytest.fixture(scope="module")
def told(stored: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An operator has seen them all."""
    flags = f"--namespaces={NAMESPACE}", f"--lease-namespace={NAMESPACE}", "--image=sklearn=example.com/predictor:1"
    with operator(stored.kubeconfig, tmp_path_factory.mktemp("operator"), *flags):
        until("their statuses say so", lambda: all(is_told(stored, body) for body, _ in OLD.values()), 120)
        yield stored


def is_told(cluster: Cluster, body: dict[str, Any]) -> bool:
    return condition(read(cluster, body)["status"], "Accepted")["status"] == "False"


@pytest.mark.parametrize("what", OLD)
def test_it_says_which_field_it_is_and_keeps_what_it_says_else(told: Cluster, what: str) -> None:
    body, field = OLD[what]
    status = read(told, body)["status"]
    accepted = condition(status, "Accepted")
    assert accepted["reason"] == "Invalid"
    assert field in accepted["message"]
    assert condition(status, "Stalled")["status"] == "True"
    assert condition(status, "Ready")["status"] == "True", "what serves goes on to serve"
    assert {**status, **body["status"], "conditions": []} == {**status, "conditions": []}
    assert status["message"] == accepted["message"]


def test_the_others_go_on_even_one_of_the_same_model(told: Cluster) -> None:
    for good in GOOD:
        name = good["metadata"]["name"]
        until(f"{name} is being deployed", lambda name=name: made(told, name), 120)  # type: ignore[misc]
        assert condition(read(told, good)["status"], "Accepted")["status"] == "True"


def made(cluster: Cluster, name: str) -> bool:
    return bool(cluster.kubectl("-n", NAMESPACE, "get", "isvc", name, "--ignore-not-found", "-o", "name").strip())


@pytest.mark.parametrize("what", [*OLD, "one that takes no status"])
def test_an_event_says_so_once(told: Cluster, what: str) -> None:
    body, field = OLD.get(what, MUTE)
    name = body["metadata"]["name"]
    until("an event tells of it", lambda: bool(events(told, name)), 120)
    (event,) = events(told, name)
    assert (event["reason"], event["type"]) == ("Rejected", "Warning")
    assert field in event["message"]


def events(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    found = cluster.get("-n", NAMESPACE, "events", "--field-selector", f"involvedObject.name={name}")["items"]
    return list(found)


@pytest.mark.parametrize("what", ["a word of the spec is of no choice here", "one that takes no status"])
def test_one_whose_spec_is_mended_is_like_any_other(told: Cluster, what: str) -> None:
    """By its owner, with the whole of it as this release knows it."""
    body, _ = OLD.get(what, MUTE)
    spec = version(body["spec"]["model"], 1)["spec"]
    say(told, "replace", {**read(told, body), "spec": spec})
    accepted = lambda: condition(read(told, body)["status"], "Accepted")["status"] == "True"  # noqa: E731
    until("it is accepted", accepted, 120)

"""Who may do what to a rollout, at a real API server: the chart's admission policy and its roles, impersonated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from harness import Cluster
from harness.errors import CommandError
from tests.api.fragments import BASE, overlay
from tests.cluster.test_crd import install_crd
from tests.deploying import CHART, template
from tests.rollout.test_replanning import EDITS, told, written
from turnout.api.rollout import Step
from turnout.api.version import ModelVersion
from turnout.rollout.replanning import is_gate, replanned

pytestmark = pytest.mark.cluster

NAMESPACE = "rights-test"
PEOPLE = {
    "ann": "turnout-deployer",
    "bob": "turnout-approver",
    "cem": "turnout-operator",
    "dee": "edit",
    "eva": "admin",
}
APPROVALS = [{"setWeight": 10}, {"approval": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 75}]


@pytest.fixture(scope="module")
def guarded(api: Cluster) -> Iterator[Cluster]:
    """The CRD, the policy and the roles for people as the chart renders them, and five people."""
    install_crd(api)
    rendered = [each for each in yaml.safe_load_all(template(CHART)) if each]
    policy = [each for each in rendered if each["kind"].startswith("ValidatingAdmissionPolicy")]
    roles = [each for each in rendered if each["kind"] == "ClusterRole" and "turnout-" in each["metadata"]["name"]]
    put = yaml.safe_dump_all([*policy, *roles])
    api.kubectl("apply", "-f", "-", stdin=put)
    api.kubectl("create", "namespace", NAMESPACE)
    for person, role in PEOPLE.items():
        api.kubectl("-n", NAMESPACE, "create", "rolebinding", person, f"--clusterrole={role}", f"--user={person}")
    everybody = [
        f"--user={person}" for person in PEOPLE
    ]  # roles are parts: the deployer's and the operator's do not read
    api.kubectl("-n", NAMESPACE, "create", "rolebinding", "readers", "--clusterrole=turnout-viewer", *everybody)
    until_enforced(api)
    yield api
    api.kubectl("delete", "namespace", NAMESPACE, timeout=300)
    api.kubectl("delete", "-f", "-", stdin=put)


def until_enforced(cluster: Cluster) -> None:
    """A policy holds a moment after it was written, and aggregated roles follow a moment after their parts."""

    def refused() -> bool:
        try:
            say(cluster, "ann", "create", overlay(BASE, {"spec": {"control": {"abort": True}}}), "--dry-run=server")
        except CommandError as fault:
            return "spec.control.abort" in fault.output
        return False

    cluster.wait("the policy holds", refused, 90)
    granted = ("-n", NAMESPACE, "auth", "can-i", "abort", "modelversions.turnout.dev", "--as=eva")
    cluster.wait("admin has the verbs", lambda: answered(cluster, *granted) == "yes", 90)


def answered(cluster: Cluster, *arguments: str) -> str:
    try:
        return cluster.kubectl(*arguments).strip()
    except CommandError as fault:
        return fault.output.strip()


def say(cluster: Cluster, who: str, verb: str, body: Any, *options: str) -> str:
    return cluster.kubectl("-n", NAMESPACE, verb, "-f", "-", f"--as={who}", *options, stdin=json.dumps(body))


def patch(cluster: Cluster, who: str, spec: dict[str, Any], *more: str) -> str:
    change = json.dumps({"spec": spec})
    options = ("--type=merge", "--dry-run=server", f"--as={who}", "-p", change, *more)
    return cluster.kubectl("-n", NAMESPACE, "patch", "mver", "signals-7", *options)


@pytest.fixture(scope="module")
def running(guarded: Cluster) -> Iterator[Cluster]:
    """A version in the second step of its rollout: an approval."""
    body = overlay(BASE, {"spec": {"rollout": {"steps": APPROVALS}}})
    say(guarded, "ann", "create", body)
    put_status(guarded, state="Paused", index=1)
    yield guarded
    guarded.kubectl("-n", NAMESPACE, "delete", "mver", "signals-7")


def put_status(
    cluster: Cluster, *, state: str, index: int, steps: Sequence[Mapping[str, Any]] = tuple(APPROVALS)
) -> None:
    plan = {"hash": "h", "source": "spec", "steps": list(steps)}
    status = {"status": {"state": state, "plan": plan, "step": {"index": index, "startedAt": "2026-11-21T10:00:00Z"}}}
    options = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
    cluster.kubectl("-n", NAMESPACE, "patch", "mver", "signals-7", *options)


CONTROLS = {
    "spec.control.paused": ({"control": {"paused": True}}, "abort", {"cem", "eva"}),
    "spec.control.abort": ({"control": {"abort": True}}, "abort", {"cem", "eva"}),
    "spec.control.promote": ({"control": {"promote": {"token": "t"}}}, "promote", {"bob", "cem", "eva"}),
    "spec.control.retryToken": ({"control": {"retryToken": "t"}}, "promote", {"bob", "cem", "eva"}),
    "spec.rollout": ({"rollout": {"steps": [{"setWeight": 10}]}}, "promote", {"bob", "cem", "eva"}),
}


@pytest.mark.parametrize("field", CONTROLS)
@pytest.mark.parametrize("who", PEOPLE)
def test_a_control_is_for_those_who_have_its_verb(running: Cluster, field: str, who: str) -> None:
    change, verb, allowed = CONTROLS[field]
    if who in allowed:
        assert "patched" in patch(running, who, change)
        return
    with pytest.raises(CommandError) as refused:
        patch(running, who, change)
    assert f"{field}: {who} may not" in refused.value.output
    assert f"ask for the verb {verb} on modelversions.turnout.dev in namespace {NAMESPACE}" in refused.value.output


CREATIONS = {field: case for field, case in CONTROLS.items() if field != "spec.rollout"}


@pytest.mark.parametrize("field", CREATIONS)
def test_at_creation_too(guarded: Cluster, field: str) -> None:
    change, verb, _ = CREATIONS[field]
    body = overlay(BASE, {"metadata": {"name": "signals-8"}, "spec": {"version": 8, **change}})
    with pytest.raises(CommandError, match=f"{field}: ann may not .*the verb {verb}"):
        say(guarded, "ann", "create", body, "--dry-run=server")
    assert "created" in say(guarded, "eva", "create", body, "--dry-run=server")


HARMLESS = {
    "a floor": {"scaling": {"minReplicas": 1}},
    "a deadline": {"rollout": {"deadline": "48h"}},
    "the wish to stand by": {"desired": "Standby"},
    "a control that stays as it is": {"control": {"paused": False, "promote": {"mode": "NextStep"}}},
    "steps behind the last gate": {"rollout": {"steps": [*APPROVALS[:4], {"setWeight": 90}, {"approval": {}}]}},
    "a step that is behind it already": {"rollout": {"steps": [{"setWeight": 5}, *APPROVALS[1:]]}},
}


@pytest.mark.parametrize("change", HARMLESS)
def test_a_deployer_changes_what_is_no_control(running: Cluster, change: str) -> None:
    assert "patched" in patch(running, "ann", HARMLESS[change])


BYPASSES: dict[str, dict[str, Any]] = {
    "the approval taken out": {"steps": [APPROVALS[0], *APPROVALS[2:]]},
    "a weight put before it": {"steps": [APPROVALS[0], {"setWeight": 99}, {"approval": {}}]},
    "the endless pause given an end": {"steps": [*APPROVALS[:3], {"pause": {"duration": "1s"}}, APPROVALS[4]]},
    "a higher weight before the pause": {"steps": [*APPROVALS[:2], {"setWeight": 74}, *APPROVALS[3:]]},
    "no steps at all": {"steps": []},
    "the default steps": {"steps": None},
    "all at once": {"strategy": "AllAtOnce", "steps": None},
}


@pytest.mark.parametrize("change", BYPASSES)
def test_a_running_plan_keeps_its_gates(running: Cluster, change: str) -> None:
    with pytest.raises(
        CommandError, match=r"spec.rollout: ann may not .*keep the strategy and the steps up to number 4"
    ):
        patch(running, "ann", {"rollout": BYPASSES[change]})


@pytest.mark.parametrize("edit", EDITS)
def test_what_suffix_takes_is_let_through_and_nobody_gets_around_a_gate_by_it(running: Cluster, edit: str) -> None:
    """For who may promote every edit; for a deployer those that leave each gate to come where it is."""
    old, index, new, merged = EDITS[edit]
    before = written(*old.split())
    to_old = json.dumps({"spec": {"rollout": {"steps": before}}})
    running.kubectl("-n", NAMESPACE, "patch", "mver", "signals-7", "--type=merge", "-p", to_old)
    plan = [Step.model_validate(each) for each in before]
    recorded = [each.body() for each in plan]
    put_status(running, state="Deploying" if index < 0 else "Paused", index=max(index, 0), steps=recorded)
    change = {"rollout": {"steps": written(*new.split())}}
    found = json.loads(patch(running, "eva", change, "-o", "json"))
    version = ModelVersion.model_validate(found)
    status = replanned(version.status, version) or version.status
    assert status.plan
    assert told(status.plan.steps) == merged
    if is_let_through(running, "ann", change):
        assert gates(status.plan.steps, index) >= gates(plan, index)


def gates(steps: Sequence[Step], index: int) -> int:
    """How many are to come, the running one among them."""
    return sum(is_gate(step) for step in steps[max(index, 0) :])


def is_let_through(cluster: Cluster, who: str, change: dict[str, Any]) -> bool:
    """Or refused with the policy's own sentence."""
    try:
        return "patched" in patch(cluster, who, change)
    except CommandError as refused:
        if "spec.rollout: ann may not change what a running rollout still has to pass" in refused.output:
            return False
        raise


def test_a_plan_that_does_not_run_is_free(running: Cluster) -> None:
    put_status(running, state="Live", index=1)
    assert "patched" in patch(running, "ann", {"rollout": {"steps": []}})
    put_status(running, state="Paused", index=4)  # behind the last gate
    assert "patched" in patch(running, "ann", {"rollout": {"steps": []}})
    put_status(running, state="Paused", index=1)


def test_the_policy_needs_no_status_and_no_control(running: Cluster) -> None:
    """As an older operator left it, or as the very first apply brings it."""
    running.kubectl("-n", NAMESPACE, "patch", "mver", "signals-7", "--subresource=status", "--type=json",
                    "-p", '[{"op": "remove", "path": "/status"}]')  # fmt: skip
    assert "patched" in patch(running, "ann", {"rollout": {"steps": []}})
    put_status(running, state="Paused", index=1)


def test_the_types_of_the_policys_expressions_hold(guarded: Cluster) -> None:
    """The API server checks them against the CRD and writes down what does not fit."""
    found: dict[str, Any] = {}

    def checked() -> bool:
        found.update(guarded.get("validatingadmissionpolicy", "turnout").get("status", {}))
        return "typeChecking" in found

    guarded.wait("the policy's types are checked", checked, 90)
    assert not found["typeChecking"].get("expressionWarnings"), found

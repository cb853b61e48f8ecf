"""The CRD at a real API server: it is taken, its rules refuse with their sentences, and kubectl tells the story."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from harness import Cluster
from harness.errors import CommandError
from harness.install import are_established
from harness.shell import until
from tests.api.fragments import BASE, RULES, overlay
from turnout.api import crd
from turnout.api.plan import resolve_plan
from turnout.api.reasons import Reason, Role, State
from turnout.api.rollout import Verb
from turnout.api.scalars import Duration
from turnout.api.status import (
    Attempt,
    Hold,
    ReplicasStatus,
    RevisionStatus,
    Status,
    StepPause,
    StepStatus,
    Verdict,
    WeightStatus,
)
from turnout.api.version import ModelVersion

pytestmark = pytest.mark.cluster

NAMESPACE = "crd-test"
NAME = f"{crd.PLURAL}.{crd.GROUP}"


@pytest.fixture(scope="module")
def served(api: Cluster) -> Iterator[Cluster]:
    """An API server with our CRD, and no operator that would write the very statuses that are looked at here."""
    install_crd(api)
    api.kubectl("create", "namespace", NAMESPACE)
    yield api
    api.kubectl("delete", "namespace", NAMESPACE, timeout=300)


def install_crd(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=crd.render())
    until("definitions established", lambda: are_established(cluster.layout))


def say(cluster: Cluster, verb: str, body: Any, *options: str) -> str:
    return cluster.kubectl("-n", NAMESPACE, verb, *options, "-f", "-", stdin=json.dumps(body))


def answers(cluster: Cluster, rule: dict[str, Any], verdict: str) -> Iterator[tuple[Any, str]]:
    """For each case of a rule the object and what the server says to it; nothing of it is kept."""
    before = overlay(BASE, rule.get("before", {}))
    verb = "replace" if "before" in rule else "create"
    if "before" in rule:
        say(cluster, "create", before)
    try:
        for fragment in rule[verdict]:
            try:
                yield fragment, say(cluster, verb, overlay(before, fragment), "--dry-run=server")
            except CommandError as refused:
                yield fragment, refused.output
    finally:
        if "before" in rule:
            say(cluster, "delete", before)


@pytest.mark.parametrize("rule", RULES, ids=[rule["sentence"] for rule in RULES])
def test_a_rule_refuses_with_its_sentence_and_lets_the_neighbour_pass(served: Cluster, rule: dict[str, Any]) -> None:
    for fragment, answer in answers(served, rule, "refused"):
        assert rule["sentence"] in answer, fragment
    for fragment, answer in answers(served, rule, "accepted"):
        assert "server dry run" in answer, (fragment, answer)


@pytest.fixture
def version(served: Cluster) -> Iterator[dict[str, Any]]:
    body = copy.deepcopy(BASE)
    say(served, "create", body)
    yield body
    served.kubectl("-n", NAMESPACE, "delete", "modelversion", body["metadata"]["name"])


def read(cluster: Cluster, name: str = "signals-7") -> dict[str, Any]:
    return cluster.get("-n", NAMESPACE, "mver", name)


def test_the_server_fills_in_the_defaults_of_the_models(served: Cluster, version: dict[str, Any]) -> None:
    live = ModelVersion.model_validate(read(served))
    assert live.spec == ModelVersion.model_validate(version).spec
    assert live.status == Status()


def test_settings_may_not_be_exchanged_for_others_of_the_same_size(served: Cluster, version: dict[str, Any]) -> None:
    exchanged = overlay(version, {"spec": {"predictor": {"settings": None}}})
    exchanged["spec"]["predictor"]["settings"] = {"limit": 1, "other": {"a": 1}}
    with pytest.raises(CommandError, match="predictor is immutable"):
        say(served, "replace", exchanged)


def test_an_unknown_field_is_named(served: Cluster) -> None:
    misspelt = overlay(BASE, {"spec": {"scaling": {"minReplica": 1}}})
    with pytest.raises(CommandError, match=r'unknown field "spec\.scaling\.minReplica"'):
        say(served, "create", misspelt, "--dry-run=server", "--validate=strict")


def test_a_status_is_kept_as_it_was_recorded(served: Cluster, version: dict[str, Any]) -> None:
    moment = datetime(2026, 11, 21, 10, 41, 7, 250000, tzinfo=UTC)
    plan = resolve_plan(ModelVersion.model_validate(version).spec).status()
    recorded = Status(
        observed_generation=1,
        role=Role.Candidate,
        state=State.Paused,
        reason=Reason.PausedByPlan,
        message="10 % since 10:41:07Z",
        state_since=moment,
        weight=WeightStatus(desired=10, observed=10, verified_at=moment),
        revision=RevisionStatus(name="signals-7-predictor-00001", uid="u1"),
        attempt=2,
        plan=plan,
        step=StepStatus(
            index=2,
            verb=Verb.PAUSE,
            display="3/7",
            started_at=moment,
            deadline=moment,
            paused=StepPause(since=moment, remaining=Duration("90s")),
        ),
        capacity=2,
        verdict=Verdict(outcome=State.RolledBack, reason=Reason.Crashed, message="exit code 1", at=moment),
        hold=Hold(reason=Reason.StableUnhealthy, since=moment),
        replicas=ReplicasStatus(ready=2, floor=1),
        history=(Attempt(attempt=1, outcome="Failed", reason="LoadFailed", started_at=moment, max_weight=0),),
    )
    say(served, "replace", {**read(served), "status": recorded.body()}, "--subresource=status", "--validate=strict")
    assert ModelVersion.model_validate(read(served)).status == recorded
    assert columns(served, "mver", "-o", "wide") == {
        "NAME": "signals-7",
        "MODEL": "signals",
        "VERSION": "7",
        "ROLE": "Candidate",
        "STATE": "Paused",
        "WEIGHT": "10",
        "STEP": "3/7",
        "VERDICT": "",
        "REASON": "PausedByPlan",
        "REVISION": "signals-7-predictor-00001",
        "READY": "2",
        "FLOOR": "1",
        "URI": "file:///opt/models/7",
        "ATTEMPT": "2",
    }


def test_the_columns_and_the_category_work(served: Cluster, version: dict[str, Any]) -> None:
    told = ["NAME", "MODEL", "VERSION", "ROLE", "STATE", "WEIGHT", "STEP", "VERDICT", "REASON"]
    assert list(columns(served, "mver")) == told
    assert columns(served, "turnout")["MODEL"] == "signals"


def columns(cluster: Cluster, *what: str) -> dict[str, str]:
    """The one line that kubectl prints, by column; without the age."""
    head, line = cluster.kubectl("-n", NAMESPACE, "get", *what).splitlines()
    starts = [head.index(f"{name} " if name != head.split()[-1] else name) for name in head.split()]
    ends = [*starts[1:], None]
    cells = {head[a:b].strip(): line[a:b].strip() for a, b in zip(starts, ends, strict=True)}
    return {name: cell for name, cell in cells.items() if name != "AGE"}


@pytest.mark.parametrize("field", ["spec.rollout.deadline", "spec.scaling.floors.timezone", "status.step.display"])
def test_kubectl_explains_a_field(served: Cluster, field: str) -> None:
    explained = served.kubectl("explain", f"modelversions.{field}")
    assert f"{field.rsplit('.', 1)[-1]} is " in explained

"""Plans: whose the steps are, what the default is, and a hash that changes exactly when a step does."""

from __future__ import annotations

from typing import Any

import pytest

from turnout.api.plan import default_steps, plan_hash, resolve_plan
from turnout.api.rollout import Step
from turnout.api.status import PlanSource, PlanStatus
from turnout.api.version import ModelVersion


def written(version: Any, **rollout: Any) -> list[Any]:
    plan = resolve_plan(ModelVersion.model_validate(version(rollout=rollout)).spec)
    return [step.body() for step in plan.steps]


def test_the_default_plan_is_that_of_the_design() -> None:
    analysis = {"analysis": {"minDuration": "2m", "maxDuration": "15m", "minRequests": 200}}
    assert [step.body() for step in default_steps()] == [
        {"warmup": {"requests": 20, "timeout": "5m"}},
        {"setWeight": 10},
        analysis,
        {"setWeight": 25},
        analysis,
        {"setWeight": 50},
        analysis,
    ]


def test_steps_of_the_spec_are_taken_as_they_are(version: Any) -> None:
    assert written(version, steps=[{"setWeight": 5}, {"pause": {"duration": "1s"}}]) == [
        {"setWeight": 5},
        {"pause": {"duration": "1s"}},
    ]


def test_an_empty_list_is_a_plan_without_steps(version: Any) -> None:
    assert written(version, steps=[]) == []


def test_all_at_once_only_warms_up(version: Any) -> None:
    assert written(version, strategy="AllAtOnce") == [{"warmup": {"requests": 20, "timeout": "5m"}}]
    assert written(version, strategy="AllAtOnce", steps=[{"warmup": {"requests": 3}}]) == [
        {"warmup": {"requests": 3, "timeout": "5m"}}
    ]


@pytest.mark.parametrize(("rollout", "source"), [({}, PlanSource.DEFAULT), ({"steps": []}, PlanSource.SPEC)])
def test_the_record_says_whose_the_plan_is(version: Any, rollout: Any, source: PlanSource) -> None:
    plan = resolve_plan(ModelVersion.model_validate(version(rollout=rollout)).spec)
    assert plan.status() == PlanStatus(hash=plan.hash, source=source, steps=plan.steps)
    assert PlanStatus.model_validate(plan.status().body()) == plan.status()


def test_the_hash_changes_with_a_step_and_with_nothing_else() -> None:
    assert plan_hash([Step(set_weight=10)]) == plan_hash((Step.model_validate({"setWeight": 10}),))
    assert plan_hash([Step(set_weight=10)]) != plan_hash([Step(set_weight=11)])
    assert plan_hash([Step(set_weight=10)]) == "32f15d90073b356e"

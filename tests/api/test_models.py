"""The models: defaults of the design, both ways of naming, strict to people, forgiving to machines, frozen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from turnout.api.conditions import EPOCH, ConditionStatus
from turnout.api.predictor import Resources, Runtime
from turnout.api.reasons import ConditionType, Reason, Role, State
from turnout.api.rollout import Pause, Step, Verb, Warmup
from turnout.api.scalars import Duration
from turnout.api.status import Status, StepPause, StepStatus
from turnout.api.version import ModelVersion

DESIGN: dict[str, Any] = {
    "spec.desired": "Live",
    "spec.predictor.timeoutSeconds": 60,
    "spec.predictor.protocol": "http",
    "spec.scaling.minReplicas": 0,
    "spec.scaling.maxReplicas": 3,
    "spec.scaling.target": {"metric": "concurrency", "value": 0},
    "spec.scaling.containerConcurrency": 0,
    "spec.scaling.scaleToZeroRetention": "30s",
    "spec.scaling.duringRollout": {"canaryMin": 1, "countReadyPods": True},
    "spec.rollout.strategy": "Canary",
    "spec.rollout.progressDeadline": "10m",
    "spec.rollout.deadline": "24h",
    "spec.rollout.onSupersede": "Restart",
    "spec.rollout.onPlanChange": "Suffix",
    "spec.rollout.onFailure": "Rollback",
    "spec.rollout.repeatOnStable": True,
    "spec.rollout.allowContractChange": False,
    "spec.rollout.onStableUnhealthy": "Proceed",
    "spec.rollout.promotedScaleDownDelay": "10m",
    "spec.rollout.rollbackWindow": {"versions": 2, "maxAge": "72h", "keepWarm": False},
    "spec.rollout.abortScaleDownDelay": "30s",
    "spec.rollout.retryLimit": 0,
    "spec.analysis.judge": "Sequential",
    "spec.analysis.assume": "ClusteredErrors",
    "spec.analysis.alpha": "0.01",
    "spec.analysis.beta": "0.05",
    "spec.analysis.interval": "15s",
    "spec.analysis.errors": {"enabled": True, "tolerateRatio": "1.0", "passBelow": "0.01", "weight": 1},
    "spec.analysis.latency.quantiles": ["0.5", "0.9", "0.99"],
    "spec.analysis.latency.passRatio": "1.5",
    "spec.analysis.drift": {"enabled": False, "output": "", "against": "Stable", "tolerance": "0.1", "action": "Pause"},
    "spec.analysis.onInconclusive": "Advance",
    "spec.analysis.onTooFewRequests": "Hold",
    "spec.analysis.onSourceError": "Hold",
    "spec.analysis.sourceGrace": "5m",
    "spec.control": {
        "paused": False,
        "abort": False,
        "promote": {"mode": "NextStep", "token": ""},
        "retryToken": "",
    },
    "spec.deletionPolicy": "Delete",
}


@pytest.mark.parametrize("path", DESIGN)
def test_a_field_that_nobody_writes_has_the_default_of_the_design(path: str, base: dict[str, Any]) -> None:
    value: Any = ModelVersion.model_validate(base).body()
    for key in path.split("."):
        value = value[key]
    assert value == DESIGN[path]


def test_steps_have_no_default_so_that_the_plan_can_tell_whose_it_is(base: dict[str, Any]) -> None:
    assert ModelVersion.model_validate(base).spec.rollout.steps is None


def test_python_writes_snake_case_and_yaml_camel_case() -> None:
    assert Step(set_weight=10).body() == {"setWeight": 10}
    assert Step.model_validate({"setWeight": 10}) == Step(set_weight=10)
    assert Step(pause=Pause()).body() == {"pause": {}}


def test_a_version_is_frozen_and_a_change_is_a_copy(base: dict[str, Any]) -> None:
    version = ModelVersion.model_validate(base)
    with pytest.raises(ValidationError, match="frozen"):
        version.spec.desired = "Retired"  # type: ignore[misc,assignment]


def test_what_is_written_comes_back_unchanged(base: dict[str, Any]) -> None:
    version = ModelVersion.model_validate(base)
    assert ModelVersion.model_validate(version.body()) == version


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"modle": "x"}, ("spec", "modle")),
        ({"version": "7"}, ("spec", "version")),
        ({"scaling": {"latencyCritical": "yes"}}, ("spec", "scaling", "latencyCritical")),
        ({"analysis": {"alpha": 0.01}}, ("spec", "analysis", "alpha")),
        ({"rollout": {"steps": [{"setWeight": 100}]}}, ("spec", "rollout", "steps", 0, "setWeight")),
        ({"rollout": {"deadline": "1 day"}}, ("spec", "rollout", "deadline")),
    ],
    ids=lambda value: str(value),
)
def test_what_people_write_is_taken_exactly(version: Any, spec: Any, where: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        ModelVersion.model_validate(version(**spec))
    assert [error["loc"] for error in refused.value.errors()] == [where]


def test_metadata_that_turnout_does_not_read_is_ignored(base: dict[str, Any]) -> None:
    base["metadata"] |= {"managedFields": [{}], "generation": 3, "creationTimestamp": "2026-11-21T10:41:07Z"}
    read = ModelVersion.model_validate(base | {"somethingNew": 1})
    assert read.metadata.generation == 3
    assert read.metadata.creation_timestamp == datetime(2026, 11, 21, 10, 41, 7, tzinfo=UTC)
    assert (read.name, read.namespace, read.uid) == ("signals-7", "default", "")
    assert (read.model, read.version) == ("signals", 7)


def test_a_status_that_nobody_wrote_says_unknown_in_every_condition() -> None:
    status = Status()
    assert (status.state, status.role, status.reason, status.attempt) == (None, None, None, 0)
    assert [condition.type for condition in status.conditions] == [str(kind) for kind in ConditionType]
    assert {condition.status for condition in status.conditions} == {ConditionStatus.UNKNOWN}
    assert {condition.reason for condition in status.conditions} == {Reason.Pending}
    assert {condition.last_transition_time for condition in status.conditions} == {EPOCH}


def test_a_condition_is_found_by_its_type() -> None:
    ready = Status().condition(ConditionType.Ready)
    assert ready is not None
    assert ready.type == "Ready"
    assert Status(conditions=()).condition(ConditionType.Ready) is None


def test_words_of_another_release_read_as_none_and_its_fields_are_ignored() -> None:
    status = Status.model_validate(
        {
            "state": "Teleporting",
            "role": "Understudy",
            "reason": "FullMoon",
            "hold": {"reason": "FullMoon", "moon": 1},
            "step": {"index": 2, "verb": "teleport"},
            "somethingNew": {"a": 1},
        }
    )
    assert (status.state, status.role, status.reason) == (None, None, None)
    assert status.hold is not None
    assert status.hold.reason is None
    assert status.step == StepStatus(index=2)


def test_a_plan_of_another_release_reads_as_absent() -> None:
    plan = {"hash": "ab", "source": "spec", "steps": [{"teleport": {}}]}
    assert Status.model_validate({"plan": plan, "state": "Live"}) == Status(state=State.Live)


def test_a_status_comes_back_as_it_was_recorded() -> None:
    moment = datetime(2026, 11, 21, 10, 41, 7, 123456, tzinfo=UTC)
    paused = StepPause(since=moment, remaining=Duration.of(timedelta(minutes=7, seconds=30)))
    status = Status(
        role=Role.Unassigned,
        state=State.Paused,
        reason=Reason.PausedByPlan,
        step=StepStatus(index=2, verb=Verb.PAUSE, display="3/7", started_at=moment, paused=paused),
    )
    body: Any = status.body()
    assert body["role"] == "None"
    assert body["step"]["startedAt"] == "2026-11-21T10:41:07.123456Z"
    assert body["step"]["paused"]["remaining"] == "7m30s"
    assert Status.model_validate(body) == status


def test_a_message_that_is_too_long_is_cut_and_not_refused() -> None:
    cut = Status(message="x" * 5000).message
    assert len(cut) == 2048
    assert cut.endswith("…")


@pytest.mark.parametrize(
    ("resources", "rendered"),
    [
        pytest.param({}, {"requests": {"cpu": "250m", "memory": "512Mi"}}, id="nothing named"),
        pytest.param({"requests": {"cpu": 2}}, {"requests": {"cpu": "2", "memory": "512Mi"}}, id="a whole number"),
        pytest.param(
            {"limits": {"memory": "256Mi"}},
            {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
            id="a limit below the default request",
        ),
        pytest.param(
            {"requests": {"nvidia.com/gpu": "1"}},
            {"requests": {"cpu": "250m", "memory": "512Mi", "nvidia.com/gpu": "1"}},
            id="a device",
        ),
    ],
)
def test_resources_are_always_rendered(resources: Any, rendered: Any) -> None:
    assert Resources.model_validate(resources).rendered() == rendered


def test_the_scheme_and_the_path_of_an_artifact(version: Any) -> None:
    read = ModelVersion.model_validate(version(predictor={"artifact": {"uri": "pvc://models/signals/7"}}))
    artifact = read.spec.predictor.artifact
    assert artifact is not None
    assert (artifact.scheme, artifact.path) == ("pvc", "models/signals/7")


def test_runtimes_say_whether_they_need_an_artifact() -> None:
    without = {runtime for runtime in Runtime if not runtime.needs_artifact}
    assert without == {Runtime.ENSEMBLE, Runtime.REMOTE, Runtime.CUSTOM}


def test_a_step_names_its_verb() -> None:
    assert Step(warmup=Warmup()).verb is Verb.WARMUP

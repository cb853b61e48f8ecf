"""What is not served yet: refused by name where it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from turnout.api.served import (
    LIMITS,
    unserved,
)
from turnout.api.version import ModelVersion, Spec

FLOOR = {"schedule": "0 8 * * 1-5", "until": "0 18 * * 1-5", "minReplicas": 1}
METRIC = {"name": "depth", "query": "q", "max": "1"}

REFUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("spec.predictor.runtime", {"predictor": {"runtime": "torch"}}),
    ("spec.predictor.protocol", {"predictor": {"protocol": "grpc"}}),
    ("spec.rollout.strategy", {"rollout": {"strategy": "Shadow"}}),
    ("spec.rollout.steps[0].shadow", {"rollout": {"steps": [{"shadow": {"percent": 5, "duration": "1m"}}]}}),
)

SERVED: tuple[dict[str, Any], ...] = (
    {},
    {"predictor": {"runtime": "sentence-transformers", "artifact": {"uri": "pvc://models/7"}}},
    {"predictor": {"artifact": {"uri": "s3://models/7", "authRef": "model-store"}}},
    {"predictor": {"runtime": "custom", "artifact": None, "entrypoint": "acme:Scorer"}},
    {"rollout": {"strategy": "AllAtOnce"}},
    {"rollout": {"steps": [{"warmup": {}}, {"setWeight": 5}, {"pause": {"duration": "1m"}}]}},
    {"rollout": {"onPlanChange": "NextRollout", "onStableUnhealthy": "Hold", "repeatOnStable": False}},
    {"rollout": {"rollbackWindow": {"versions": 5, "maxAge": "1h"}, "progressDeadline": "1m", "deadline": "1h"}},
    {"scaling": {"floors": [FLOOR]}},
    {"scaling": {"minReplicas": 1, "latencyCritical": True, "containerConcurrency": 4, "target": {"value": 4}}},
    {"rollout": {"onSupersede": "Queue", "rollbackWindow": {"keepWarm": True}}},
    {"control": {"paused": True, "abort": True, "promote": {"mode": "Full", "token": "t1"}, "retryToken": "r1"}},
    {"rollout": {"onFailure": "Freeze", "retryLimit": 3}},
    {"rollout": {"steps": [{"approval": {}}, {"setWeight": 5}, {"pause": {}}, {"analysis": {}}]}},
    {"analysis": {"onSourceError": "Rollback", "sourceGrace": "1m", "interval": "5s", "dryRun": True}},
    {"deletionPolicy": "Orphan", "desired": "Standby"},
)


def spec_of(version: Any, fragment: dict[str, Any]) -> Spec:
    return ModelVersion.model_validate(version(**fragment)).spec


@pytest.mark.parametrize(("field", "fragment"), REFUSED, ids=[field for field, _ in REFUSED])
def test_what_no_code_serves_is_refused_by_name(version: Any, field: str, fragment: dict[str, Any]) -> None:
    (refused,) = unserved(spec_of(version, fragment))
    assert refused.field == field
    assert str(refused).startswith(f"{field}: ")
    assert "is not served by this release: " in str(refused)


@pytest.mark.parametrize("fragment", SERVED, ids=str)
def test_what_is_served_is_not_refused(version: Any, fragment: dict[str, Any]) -> None:
    assert unserved(spec_of(version, fragment)) == ()


def test_every_line_of_the_table_is_tried() -> None:
    tried = [field for field, _ in REFUSED]
    assert [limit.field for limit in LIMITS if not any(field.startswith(limit.field) for field in tried)] == []


def test_several_wishes_are_all_named(version: Any) -> None:
    fragment = {"rollout": {"strategy": "Shadow"}, "predictor": {"protocol": "grpc", "runtime": "torch"}}
    named = [refused.field for refused in unserved(spec_of(version, fragment))]
    assert named == ["spec.predictor.runtime", "spec.predictor.protocol", "spec.rollout.strategy"]

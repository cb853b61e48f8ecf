"""`turnout plan`: files against what is there, whole as a person reads it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.data import version

Turnout = Callable[..., tuple[int, str, str]]
GOLDEN = Path(__file__).parent / "golden_plan.txt"
STEPS = [{"warmup": {}}, {"setWeight": 10}, {"analysis": {"minDuration": "5m"}}, {"setWeight": 50}, {"approval": {}}]


def file(folder: Path, number: int, **spec: Any) -> str:
    body = version(number, "Pending", namespace="default", spec=spec)
    del body["status"], body["metadata"]["namespace"]
    (folder / f"digits-{number}.yaml").write_text(yaml.safe_dump(body))
    return f"digits-{number}.yaml"


def test_a_rollout_step_by_step_against_the_cluster(turnout: Turnout, cluster: Any, tmp_path: Path) -> None:
    cluster(version(1, "Live", status={"replicas": {"ready": 2, "floor": 1}}))
    wish = file(tmp_path, 2, rollout={"steps": STEPS, "onPlanChange": "NextRollout"})
    code, out, err = turnout("plan", wish, "--rps", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines(keepends=True)
    said = "".join(line for line in lines if "not served yet" not in line and "judge" not in line)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(said)
    assert said == GOLDEN.read_text(), "if this is meant: UPDATE_GOLDEN=1 pytest tests/cli/test_plan.py, then review"


def test_a_file_that_names_its_namespace_is_compared_there(turnout: Turnout, cluster: Any, tmp_path: Path) -> None:
    cluster(version(1, "Live", namespace="search"), version(1, "Live", model="tone"))
    body = yaml.safe_load((tmp_path / file(tmp_path, 2)).read_text())
    body["metadata"]["namespace"] = "search"
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(body))
    out = turnout("plan", "two.yaml")[1]
    assert "takes over from digits-1" in out
    assert "compared with cluster north, namespace search" in out
    assert "is the first of its model" in turnout("plan", "digits-2.yaml")[1]


def test_where_nothing_can_be_reached_it_says_so_and_goes_on(turnout: Turnout, tmp_path: Path) -> None:
    code, out, _ = turnout("plan", file(tmp_path, 2))
    assert code == 0
    assert "digits-2, version 2 of digits, is the first of its model" in out
    assert "compared with nothing, as if each were the first of its model: nobody to ask" in out


def test_a_version_to_come_after_can_be_named_by_its_file(turnout: Turnout, tmp_path: Path) -> None:
    first = file(tmp_path, 1, scaling={"minReplicas": 3})
    out = turnout("plan", file(tmp_path, 2), "--after", first)[1]
    assert "takes over from digits-1 (3 pods ready)" in out
    assert "compared with digits-1 of --after alone: nobody to ask" in out
    assert "first of its model" not in out


def test_a_stable_version_with_one_pod_has_one_pod(turnout: Turnout, tmp_path: Path) -> None:
    out = turnout("plan", file(tmp_path, 2), "--after", file(tmp_path, 1))[1]
    assert "takes over from digits-1 (1 pod ready)" in out


def test_of_two_versions_in_the_files_the_greater_is_the_target(turnout: Turnout, tmp_path: Path) -> None:
    out = turnout("plan", file(tmp_path, 1), file(tmp_path, 2))[1]
    assert "digits-1, version 1 of digits, stands by, because digits-2 is newer and Live" in out
    assert "digits-2, version 2 of digits, is the first of its model" in out


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"predictor": {"runtime": "torch", "artifact": {"uri": "file:///m"}}}, "✗ spec.predictor.runtime: "),
        ({"scaling": {"minReplicas": 9}}, "spec.scaling.minReplicas: minReplicas is at most maxReplicas"),
    ],
)
def test_what_would_be_refused_is_exit_code_1(
    turnout: Turnout, tmp_path: Path, spec: dict[str, Any], words: str
) -> None:
    code, out, err = turnout("plan", file(tmp_path, 2, **spec))
    assert code == 1
    assert words in out + err


@pytest.mark.parametrize("rate", ["-1", "many", "nan", "inf"])
def test_a_rate_that_is_none_is_refused(turnout: Turnout, rate: str) -> None:
    assert turnout("plan", "x.yaml", f"--rps={rate}")[0] == 2

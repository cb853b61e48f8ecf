"""What is said beforehand is what the rules would do: ways, refusals, and steps with shares, pods and times."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from turnout.api.version import ModelVersion
from turnout.rollout.forecast import Forecast, forecast

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def version(number: int, state: str = "", ready: int = 0, **spec: Any) -> ModelVersion:
    role = {"Live": "Stable", "Progressing": "Candidate", "Standby": "Standby"}.get(state)
    promoted = {"promotedAt": "2026-11-20T12:00:00Z"} if state in ("Live", "Standby") else {}
    status = {"state": state or None, "role": role, "replicas": {"ready": ready, "floor": ready}, **promoted}
    predictor = {"runtime": "sklearn", "artifact": {"uri": "file:///models/digits"}}
    return ModelVersion.model_validate(
        {
            "apiVersion": "turnout.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": f"digits-{number}"},
            "spec": {"model": "digits", "version": number, "predictor": predictor, **spec},
            "status": status,
        }
    )


def steps(*written: dict[str, Any], **rollout: Any) -> dict[str, Any]:
    return {"rollout": {"steps": list(written), **rollout}}


def told(found: Forecast) -> list[tuple[str, int, int, int]]:
    """Label, share, pods and stable's pods of each stage."""
    return [(stage.label, stage.percent, stage.pods, stage.stable_pods) for stage in found.stages]


def test_a_canary_beside_four_pods_needs_pods_in_step_with_its_share() -> None:
    plan = steps(
        {"warmup": {}},
        {"setWeight": 10},
        {"pause": {"duration": "5m"}},
        {"setWeight": 60},
        {"pause": {"duration": "1m"}},
    )
    found = forecast(version(2, scaling={"maxReplicas": 9}, **plan), [version(1, "Live", ready=4)], NOW)
    assert found.way == "takes over from digits-1 (4 pods ready)"
    assert told(found) == [
        ("", 0, 1, 4),
        ("1/5", 0, 1, 4),
        ("2/5", 10, 1, 4),
        ("3/5", 10, 1, 4),
        ("4/5", 60, 3, 4),
        ("5/5", 60, 3, 4),
        ("", 100, 4, 0),
    ]
    assert (found.shortest, found.longest) == (6 * MINUTE, 6 * MINUTE)
    assert found.stages[-1].what == "all traffic; digits-1 keeps its pods for 10m and stays the way back for 72h"


@pytest.mark.parametrize(
    ("rate", "shortest", "longest", "words"),
    [
        (None, 2, 15, "analysis: 2m to 15m, 200 requests at least"),
        (100.0, 2, 15, "analysis: 2m to 15m, 200 requests at least"),
        (5.0, 400 / 60, 15, "at 5/s they take 6m40s"),
        (1.0, 15, None, "at 1/s only 90 come: TooFewRequests, onTooFewRequests is Hold"),
        (0.0, 15, None, "at 0/s only 0 come: TooFewRequests"),
    ],
)
def test_an_analysis_says_when_it_can_have_seen_enough(
    rate: float | None, shortest: float, longest: float | None, words: str
) -> None:
    candidate = version(2, **steps({"setWeight": 10}, {"analysis": {}}))
    stage = forecast(candidate, [version(1, "Live", ready=1)], NOW, rate).stages[2]
    assert stage.shortest == pytest.approx(shortest * MINUTE, abs=timedelta(seconds=1))
    assert stage.longest == (None if longest is None else longest * MINUTE)
    assert words in stage.what


@pytest.mark.parametrize(
    ("rate", "analysis", "said"),
    [
        pytest.param(5.0, {}, "only one that fails", id="little traffic"),
        pytest.param(200.0, {}, "", id="enough"),
        pytest.param(0.25, {"minRequests": 10}, "give it weight or time", id="hardly any traffic"),
        pytest.param(None, {}, "", id="nobody knows how much"),
    ],
)
def test_an_analysis_that_finds_only_what_is_far_worse_says_so_beforehand(
    rate: float | None, analysis: dict[str, Any], said: str
) -> None:
    candidate = version(2, **steps({"setWeight": 10}, {"analysis": analysis}))
    what = forecast(candidate, [version(1, "Live", ready=1)], NOW, rate).stages[2].what
    assert ("is probably not found" in what) is bool(said)
    assert said in what


def test_a_threshold_promises_to_find_nothing_and_is_not_measured_by_it() -> None:
    candidate = version(2, analysis={"judge": "Threshold"}, **steps({"setWeight": 10}, {"analysis": {}}))
    assert "is probably not found" not in forecast(candidate, [version(1, "Live", ready=1)], NOW, 5.0).stages[2].what


@pytest.mark.parametrize("step", [{"pause": {}}, {"approval": {}}])
def test_a_step_that_waits_for_a_person_has_no_latest_end(step: dict[str, Any]) -> None:
    found = forecast(version(2, **steps({"setWeight": 10}, step)), [version(1, "Live", ready=1)], NOW)
    assert found.longest is None
    assert "until: turnout promote digits" in found.stages[2].what


@pytest.mark.parametrize(
    ("wish", "present", "way"),
    [
        (version(1), [], "is the first of its model: all traffic as soon as it is warm, whatever its steps say"),
        (version(1, desired="Standby"), [], "stands by, because desired is Standby"),
        (version(1), [version(2, "Live")], "stands by, because digits-2 is newer and Live"),
        (version(2), [version(2, "Live")], "is there already and is Live: nothing changes"),
        (
            version(2, scaling={"maxReplicas": 5}),
            [version(2, "Live")],
            "is there and is Live: what changes is taken",
        ),
        (version(2, scaling={"maxReplicas": 5}), [version(2, "RolledBack")], "gets no traffic before it is retried"),
        (version(2), [version(1, "Live"), version(2, "Standby", desired="Standby")], "comes back in place of digits-1"),
        (version(3), [version(1, "Live"), version(2, "Progressing")], "the rollout of digits-2 ends first, superseded"),
        (
            version(3, rollout={"onSupersede": "Queue"}),
            [version(1, "Live"), version(2, "Progressing")],
            "once the rollout",
        ),
        (version(2), [version(3, "RolledBack"), version(1, "Live")], "takes over from digits-1"),
    ],
)
def test_which_way_it_goes(wish: ModelVersion, present: list[ModelVersion], way: str) -> None:
    found = forecast(wish, present, NOW)
    assert not found.refusals
    assert way in found.way


@pytest.mark.parametrize(
    ("wish", "present", "sentence"),
    [
        (version(2, predictor={"runtime": "torch", "artifact": {"uri": "file:///m"}}), [], "spec.predictor.runtime"),
        (
            version(2),
            [version(2, "Live", predictor={"runtime": "custom", "entrypoint": "a:B"})],
            "predictor is immutable",
        ),
        (
            version(2),
            [version(2).model_copy(update={"metadata": version(9).metadata})],
            "version 2 of digits is already digits-9",
        ),
        (
            version(3, rollout={"onSupersede": "Reject"}),
            [version(1, "Live"), version(2, "Progressing")],
            "the rollout of digits-2 runs, and onSupersede is Reject",
        ),
    ],
)
def test_what_would_be_refused_says_why_and_rolls_out_nothing(
    wish: ModelVersion, present: list[ModelVersion], sentence: str
) -> None:
    found = forecast(wish, present, NOW)
    assert any(sentence in refusal for refusal in found.refusals)
    assert not found.stages


def test_the_first_version_and_a_former_one_skip_the_plan() -> None:
    plan = steps({"warmup": {}}, {"setWeight": 10}, {"pause": {}})
    assert [stage.percent for stage in forecast(version(1, **plan), [], NOW).stages] == [0, 0, 100]
    back = [version(1, "Live", ready=2), version(2, "Standby", desired="Standby", **plan)]
    assert told(forecast(version(2, **plan), back, NOW)) == [("", 0, 2, 2), ("", 100, 2, 0)]


def test_what_cannot_end_well_is_said_beforehand() -> None:
    long = steps({"setWeight": 10}, {"pause": {"duration": "2h"}}, deadline="1h")
    found = forecast(version(2, scaling={"maxReplicas": 1}, **long), [version(1, "Live", ready=3)], NOW)
    assert "its steps may take longer than its deadline of 1h: it would stop there" in found.notes
    assert "spec.scaling.maxReplicas: 1 is less than the 3 pods with which digits-1 serves: " in "".join(found.notes)


@pytest.mark.parametrize(
    ("analysis", "said"),
    [
        pytest.param({}, False, id="errors and latency"),
        pytest.param({"judge": "Threshold"}, True, id="a threshold without a bound"),
        pytest.param({"errors": {"enabled": False}, "latency": {"enabled": False}}, True, id="nothing is judged"),
    ],
)
def test_an_analysis_with_nothing_to_prove_is_said_to_have_none(analysis: dict[str, Any], said: bool) -> None:
    candidate = version(2, analysis=analysis, **steps({"setWeight": 10}, {"analysis": {}}))
    notes = forecast(candidate, [version(1, "Live", ready=1)], NOW).notes
    assert any("it has nothing to prove: harm is not found" in note for note in notes) is said

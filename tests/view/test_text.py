"""What a person reads in every state, compared with committed files; UPDATE_GOLDEN=1 rewrites them."""

import os
import re
from pathlib import Path

import pytest

from turnout.api.judgement import AnalysisStatus, MetricStatus
from turnout.api.predictor import Artifact, Predictor, Runtime
from turnout.api.reasons import ConditionType, Reason, Role, State
from turnout.api.status import (
    Condition,
    ConditionStatus,
    ReplicasStatus,
    Status,
    StepStatus,
    WeightStatus,
)
from turnout.api.version import ModelVersion, ObjectMeta, Spec
from turnout.rollout.notes import few_pods
from turnout.view.ink import ASCII, UNICODE, Glyphs
from turnout.view.text import render_text
from turnout.view.tree import Clients, Traffic, Tree, tree_json, tree_of

GOLDEN = Path(__file__).parent / "golden"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def model_version(
    number: int, status: Status | None = None, *, model: str = "digits", namespace: str = "default"
) -> ModelVersion:
    predictor = Predictor(runtime=Runtime.SKLEARN, artifact=Artifact(uri="file:///models/digits"))
    return ModelVersion(
        metadata=ObjectMeta(name=f"{model}-{number}", namespace=namespace),
        spec=Spec(model=model, version=number, predictor=predictor),
        status=status or Status(),
    )


def status(
    state: State,
    reason: Reason,
    message: str,
    *,
    role: Role = Role.Unassigned,
    weight: tuple[int, int] = (0, 0),
    step: str = "",
    pods: tuple[int, int] = (0, 0),
    asleep: bool = False,
) -> Status:
    conditions = ()
    if asleep:
        kind = ConditionType.RevisionReady.value
        conditions = (Condition(type=kind, status=ConditionStatus.TRUE, reason=Reason.ScaledToZero.value),)
    return Status(
        role=role,
        state=state,
        reason=reason,
        message=message,
        url="http://digits.default.localhost:8080",
        weight=WeightStatus(observed=weight[0], desired=weight[1]),
        step=StepStatus(display=step) if step else None,
        replicas=ReplicasStatus(ready=pods[0], floor=pods[1]),
        conditions=conditions,
    )


NOTED = Condition(
    type=ConditionType.Accepted.value,
    status=ConditionStatus.TRUE,
    reason=Reason.Accepted.value,
    message=f"{Reason.Accepted.sentence} Note: {few_pods(3, 6, 'digits-1')}",
)
STABLE = status(
    State.Live, Reason.Promoted, "stable since 2026-11-21 10:40:01Z", role=Role.Stable, weight=(100, 100), pods=(1, 1)
)
CANDIDATE = Role.Candidate
EVERY_STATE = {
    State.Pending: status(State.Pending, Reason.AwaitingReconcile, "accepted; its turn comes"),
    State.Queued: status(State.Queued, Reason.QueuedBehind, "waits for the rollout of version 2", role=CANDIDATE),
    State.Deploying: status(
        State.Deploying, Reason.AwaitingPods, "0 of 1 pods ready; gives up at 10:51:07Z", role=CANDIDATE, pods=(0, 1)
    ),
    State.Warming: status(
        State.Warming, Reason.WarmingUp, "12 of 20 examples answered", role=CANDIDATE, step="1/5", pods=(1, 1)
    ),
    State.Shadowing: status(
        State.Shadowing,
        Reason.StepInProgress,
        "gets copies of 50 % until 10:51:07Z",
        role=CANDIDATE,
        step="2/5",
        pods=(1, 1),
    ),
    State.Progressing: status(
        State.Progressing,
        Reason.AwaitingTraffic,
        "25 % is written and not observed yet",
        role=CANDIDATE,
        weight=(10, 25),
        step="2/5",
        pods=(1, 1),
    ),
    State.Paused: status(
        State.Paused,
        Reason.PausedByPlan,
        "10 % until 10:42:07Z",
        role=CANDIDATE,
        weight=(10, 10),
        step="3/5",
        pods=(1, 1),
    ),
    State.Held: status(
        State.Held,
        Reason.StableUnhealthy,
        "version 1 is dead since 2026-11-21 10:41:07Z; version 2 carries its share and is not promoted by that",
        role=CANDIDATE,
        weight=(100, 100),
        step="3/5",
        pods=(1, 1),
    ),
    State.Promoting: status(
        State.Promoting,
        Reason.PlanCompleted,
        "all traffic is on its way",
        role=CANDIDATE,
        weight=(50, 100),
        pods=(1, 1),
    ),
    State.Live: STABLE,
    State.Standby: status(
        State.Standby, Reason.Replaced, "replaced by version 3 at 2026-11-21 10:41:07Z", role=Role.Standby
    ),
    State.RollingBack: status(
        State.RollingBack,
        Reason.Crashed,
        "its share is gone; its pods follow at 10:41:37Z",
        role=CANDIDATE,
        pods=(0, 1),
    ),
    State.RolledBack: status(
        State.RolledBack,
        Reason.Crashed,
        "exit code 70 at 2026-11-21 10:41:07Z; set control.retryToken to try again",
        step="3/5",
    ),
    State.Aborted: status(State.Aborted, Reason.Aborted, "control.abort was set at 2026-11-21 10:41:07Z"),
    State.Frozen: status(
        State.Frozen,
        Reason.ErrorRate,
        "kept at 10 % by policy; waits for a person",
        weight=(10, 10),
        step="3/5",
        pods=(1, 1),
    ),
    State.Superseded: status(State.Superseded, Reason.Superseded, "version 3 is the target"),
    State.Failed: status(
        State.Failed,
        Reason.ArtifactDigestMismatch,
        "model.skops has 164921 bytes, its manifest says 329842; publish or copy it again",
    ),
    State.Archived: status(State.Archived, Reason.OutsideRollbackWindow, "can be made again as it was"),
    State.Retired: status(State.Retired, Reason.RetiredByRequest, "the spec says desired: Retired"),
    State.Rejected: status(
        State.Rejected, Reason.DuplicateVersion, "digits-2 has version 2 already and is older: choose another number"
    ),
}

JUDGED = AnalysisStatus(
    verdict="Hold",
    metrics=(
        MetricStatus(name="errors", harm="0.8", pass_="11.2", canary="0.0024", stable="0.0031"),
        MetricStatus(name="latency p99", canary="0.31"),
    ),
    memory="1:0.8:412",
)
SCENES = {
    **{
        f"a version that is {state}": tree_of([model_version(2, each), model_version(1, STABLE)])
        for state, each in EVERY_STATE.items()
    },
    "a version that nobody has looked at": tree_of([model_version(1)]),
    "nothing at all": Tree(source="cluster staging, namespace default"),
    "a stable version that is asleep": tree_of(
        [
            model_version(
                1,
                status(
                    State.Live,
                    Reason.Promoted,
                    "stable since 2026-11-21 10:40:01Z",
                    role=Role.Stable,
                    weight=(100, 100),
                    asleep=True,
                ),
            )
        ]
    ),
    "a rollout with counts, callers and a bad file": tree_of(
        [model_version(1, STABLE), model_version(12, EVERY_STATE[State.Paused])],
        traffic={
            ("default", "digits-1"): Traffic(123_456, 3, 0),
            ("default", "digits-12"): Traffic(412, 0, 3),
        },
        clients=Clients(123_868, 0),
        source="local engine in .turnout: running as process 4242 since 2026-11-21T10:40:00+00:00",
        problems=("models/digits-3.yaml:7: spec.predictor.runtime: found 'sklaern', expected one of sklearn, torch",),
    ),
    "a version that is judged": tree_of(
        [
            model_version(
                2,
                status(
                    State.Progressing,
                    Reason.AwaitingEvidence,
                    "10 % since 10:41:07Z; 412 requests; passes at about 10:46:00Z if it goes on like this",
                    role=CANDIDATE,
                    weight=(10, 10),
                    step="3/7",
                    pods=(1, 1),
                ).model_copy(update={"analysis": JUDGED}),
            ),
            model_version(1, STABLE),
        ]
    ),
    "a version that a command has paused over its file": tree_of(
        [model_version(2, EVERY_STATE[State.Paused])],
        notes={("default", "digits-2"): ("control.paused: true by command (its file says false)",)},
    ),
    "a version with a note of the engine": tree_of(
        [model_version(2, EVERY_STATE[State.Paused].model_copy(update={"conditions": (NOTED,)})), model_version(1)]
    ),
    "two models of two namespaces": tree_of(
        [model_version(1, STABLE, model="tone", namespace="support"), model_version(1, STABLE)]
    ),
}
LOOKS = {"unicode": (UNICODE, 80), "ascii": (ASCII, 80), "narrow": (UNICODE, 64)}


def test_every_state_has_a_scene() -> None:
    assert set(EVERY_STATE) == set(State)


@pytest.mark.parametrize("look", LOOKS)
def test_a_person_reads(look: str) -> None:
    glyphs, width = LOOKS[look]
    text = "\n".join(f"== {name}\n{render_text(tree, width=width, glyphs=glyphs)}\n" for name, tree in SCENES.items())
    file = GOLDEN / f"{look}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8"), "if this is meant: UPDATE_GOLDEN=1 pytest tests/view, then review the diff"


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("width", [64, 80, 120])
def test_no_line_is_wider_than_the_terminal(name: str, glyphs: Glyphs, width: int) -> None:
    lines = render_text(SCENES[name], width=width, glyphs=glyphs).splitlines()
    addresses = [line for line in lines if "http" in line]
    assert max(len(line) for line in lines if line not in addresses) <= width


@pytest.mark.parametrize("name", SCENES)
def test_colour_changes_nothing_but_colour(name: str) -> None:
    coloured = render_text(SCENES[name], colour=True)
    assert "\x1b[" in coloured
    assert ESCAPE.sub("", coloured) == render_text(SCENES[name])


def test_ascii_is_ascii() -> None:
    for tree in SCENES.values():
        assert render_text(tree, glyphs=ASCII).isascii()


@pytest.mark.parametrize("number", [1, 1000, 999_999_999])
def test_long_version_numbers_keep_the_line_in_80_columns(number: int) -> None:
    tree = tree_of([model_version(number, STABLE)], traffic={("default", f"digits-{number}"): Traffic(1)})
    assert max(map(len, render_text(tree).splitlines())) <= 80 + max(0, len(str(number)) - 8)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (0, "░░░░░░░░░░"),
        (1, "▏░░░░░░░░░"),
        (10, "█░░░░░░░░░"),
        (25, "██▌░░░░░░░"),
        (99, "█████████▉"),
        (100, "██████████"),
    ],
)
def test_a_bar_shows_its_share_and_never_hides_a_small_one(percent: int, expected: str) -> None:
    assert "".join(UNICODE.bar(percent, 10)) == expected


def test_newest_versions_come_first_and_models_in_order() -> None:
    tree = SCENES["two models of two namespaces"]
    assert [model.title for model in tree.models] == ["digits", "support/tone"]
    tree = tree_of([model_version(9), model_version(10)])
    assert [version.version for version in tree.models[0].versions] == [10, 9]


def test_errors_that_no_other_version_took_over_are_explained() -> None:
    tree = tree_of([model_version(1, STABLE)], traffic={("default", "digits-1"): Traffic(5000, 0, 2400, 1200)})
    (note,) = tree.models[0].versions[0].notes
    assert note == "1,200 of its errors were not repeated: at most a fifth of what stable is asked may be"


def test_json_speaks_the_words_of_the_status() -> None:
    answer = tree_json(SCENES["a rollout with counts, callers and a bad file"])
    assert answer["clients"] == {"requests": 123_868, "failed": 0}
    newest = answer["models"][0]["versions"][0]  # type: ignore[index]
    assert newest == {
        "name": "digits-12",
        "version": 12,
        "role": "Candidate",
        "state": "Paused",
        "reason": "PausedByPlan",
        "message": "10 % until 10:42:07Z",
        "weight": {"desired": 10, "observed": 10},
        "step": "3/5",
        "replicas": {"ready": 1, "floor": 1, "asleep": False},
        "traffic": {"requests": 412, "repeated": 0, "errors": 3, "unrepeated": 0},
        "analysis": None,
        "notes": (),
    }
    judged = tree_json(SCENES["a version that is judged"])["models"][0]["versions"][0]["analysis"]  # type: ignore[index]
    assert judged["metrics"][0]["canary"] == "0.0024"
    assert "memory" not in judged

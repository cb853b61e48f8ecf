"""`decide` answers whatever it is shown: nonsense in the record, in the Route, among the pods. It never raises."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rollout.judges import always, analysed
from tests.rollout.simulation import KEY, START, steps, version
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.judgement import AnalysisStatus
from turnout.api.plan import resolve_plan
from turnout.api.reasons import Reason, State
from turnout.api.rollout import OnFailure, Verb
from turnout.api.scalars import Duration
from turnout.api.status import ControlStatus, Hold, RevisionStatus, Status, StepPause, StepStatus, Verdict
from turnout.api.version import Desired, ModelVersion
from turnout.judge.protocol import Judge, Outcome, Poll
from turnout.rollout.decide import decide
from turnout.rollout.identity import spec_hash
from turnout.rollout.snapshot import (
    Autoscaling,
    Crash,
    Deployment,
    Pod,
    Probe,
    Problem,
    Revision,
    Route,
    Share,
    Snapshot,
)

EXAMPLES = int(os.environ.get("TURNOUT_DEEP") or 3) * 100
NAMES = st.sampled_from([f"signals-{number}" for number in range(1, 5)])
UIDS = st.sampled_from(["uid-a", "uid-b"])
MOMENTS = st.integers(-100_000, 100_000).map(lambda seconds: START + timedelta(seconds=seconds))
MAYBE = st.none() | MOMENTS
TOKENS = st.sampled_from(["", "t1", "t2"])
CONTROLS = st.builds(
    Control,
    paused=st.booleans(),
    abort=st.booleans(),
    promote=st.builds(Promote, mode=st.sampled_from(PromoteMode), token=TOKENS),
    retry_token=TOKENS,
)
HEARD = st.builds(
    ControlStatus,
    promote_token=TOKENS,
    retry_token=TOKENS,
    aborted_at=MAYBE,
    full_at=MAYBE,
    refused=st.sampled_from([(), ("abort",), ("abort", "promote")]),
)
JUDGES = st.sampled_from([*map(always, Outcome)])
PLANS = st.sampled_from([steps(10, 50), analysed(10)["rollout"], {"steps": [{"setWeight": 5}, {"approval": {}}]}])
STATES = st.none() | st.sampled_from(State)
REASONS = st.none() | st.sampled_from(Reason)
PROBLEMS = st.none() | st.builds(Problem, st.sampled_from(Reason), st.just("something is wrong"), st.booleans())
PERCENTS = st.integers(0, 100)


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    plan = draw(st.none() | PLANS.map(lambda rollout: resolve_plan(version(1, rollout=rollout).spec).status()))
    pause = st.none() | st.builds(StepPause, since=MOMENTS, remaining=st.none() | st.just(Duration("3s")))
    step = st.builds(
        StepStatus,
        index=st.integers(0, 9),
        verb=st.none() | st.sampled_from(Verb),
        started_at=MAYBE,
        deadline=MAYBE,
        paused=pause,
    )
    return Status(
        state=draw(STATES),
        reason=draw(REASONS),
        state_since=draw(MAYBE),
        revision=draw(st.none() | st.builds(RevisionStatus, name=st.just("r-1"), uid=UIDS)),
        promoted_at=draw(MAYBE),
        replaced_at=draw(MAYBE),
        rollout_started_at=draw(MAYBE),
        progress_since=draw(MAYBE),
        scale_down_at=draw(MAYBE),
        capacity=draw(st.none() | st.integers(0, 9)),
        attempt=draw(st.integers(0, 3)),
        plan=plan,
        step=draw(st.none() | step),
        verdict=draw(st.none() | st.builds(Verdict, outcome=STATES, reason=REASONS, at=MAYBE)),
        control=draw(HEARD),
        retries=draw(st.integers(0, 3)),
        analysis=draw(st.none() | st.builds(AnalysisStatus, polled_at=MAYBE, memory=st.sampled_from(["", "3"]))),
        hold=draw(st.none() | st.builds(Hold, reason=REASONS, since=MAYBE)),
    )


@st.composite
def versions(draw: st.DrawFn, number: int) -> ModelVersion:
    rollout = {"onFailure": draw(st.sampled_from(OnFailure)), "retryLimit": draw(st.integers(0, 2))}
    spec = {"desired": draw(st.sampled_from(Desired)), "control": draw(CONTROLS).body(), "rollout": rollout}
    spec["rollout"] = draw(st.sampled_from(ROLLOUTS))
    spec["scaling"] = draw(st.sampled_from(SCALINGS))
    written = version(draw(st.just(number) | st.just(1)), name=f"signals-{number}", **spec)
    return written.model_copy(update={"status": draw(statuses())})


@st.composite
def revisions(draw: st.DrawFn) -> Revision:
    pods = st.builds(Pod, st.sampled_from(["pod-1", "pod-2"]), st.booleans(), st.booleans())
    return Revision(
        name=draw(st.sampled_from(["r-1", "r-2", "r-3"])),
        uid=draw(UIDS),
        servable=draw(st.booleans()),
        wanted=draw(st.integers(0, 3)),
        autoscaling=Autoscaling(draw(st.integers(0, 3)), 3, timedelta(seconds=30), own_pods=draw(st.integers(0, 3))),
        pods=tuple(draw(st.lists(pods, max_size=3))),
        starting=draw(st.booleans()),
        starting_since=draw(MAYBE),
        ready_at=draw(MAYBE),
        ready_with=draw(st.sampled_from([frozenset(), frozenset({"pod-1"})])),
        crash=draw(st.none() | st.builds(Crash, MOMENTS, st.just(1))),
    )


@st.composite
def deployments(draw: st.DrawFn, name: str) -> Deployment:
    return Deployment(
        name=name,
        uid=draw(UIDS),
        version=draw(st.integers(1, 4)),
        spec_hash=draw(st.just("other") | st.just(spec_hash(version(1)))),
        revision=draw(st.none() | revisions()),
        unplanned=draw(st.sampled_from([(), ("r-9",)])),
        problem=draw(PROBLEMS),
        leaving=draw(st.booleans()),
    )


ROLLOUTS: tuple[dict[str, object], ...] = (
    {},
    {"onSupersede": "Queue", "rollbackWindow": {"versions": 1, "keepWarm": True}},
    {"onSupersede": "Reject", "rollbackWindow": {"versions": 0}},
    {"steps": [{"setWeight": 30}, {"pause": {"duration": "5s"}}, {"setWeight": 60}]},
)
SCALINGS: tuple[dict[str, object], ...] = (
    {},
    {"floors": [{"schedule": "0 9 * * *", "until": "0 11 * * *", "minReplicas": 2}]},
    {"floors": [{"schedule": "99 9 * * *", "until": "0 11 31 4 *", "timezone": "Nowhere", "minReplicas": 2}]},
)
TAKEN = Problem(Reason.NameTaken, "is somebody's", permanent=True)
SPLITS = st.lists(st.builds(Share, st.sampled_from(["r-1", "r-2", "elsewhere"]), PERCENTS), max_size=3).map(tuple)
ROUTES = st.builds(
    Route,
    uid=st.just("route"),
    written=SPLITS,
    observed=SPLITS,
    in_sync=st.booleans(),
    unsynced_since=MAYBE,
    problem=PROBLEMS,
    foreign_edits=st.lists(MOMENTS, max_size=4).map(tuple),
)
PROBES = st.dictionaries(
    UIDS, st.builds(Probe, UIDS, st.booleans(), contract=st.sampled_from(["", "[]", "{}", "null"]), problem=PROBLEMS)
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    numbers = draw(st.sets(st.integers(1, 4)))
    return Snapshot(
        key=KEY,
        now=START,
        versions=tuple(draw(versions(number)) for number in sorted(numbers)),
        deployments=tuple(draw(deployments(name)) for name in sorted(draw(st.sets(NAMES)))),
        route=draw(st.none() | ROUTES),
        taken=draw(
            st.dictionaries(NAMES, st.just(Problem(Reason.NameTaken, "is somebody's", permanent=True)), max_size=1)
        ),
        probes=draw(PROBES),
        poll=draw(st.none() | st.builds(Poll, MOMENTS, canary_uid=UIDS, stable_uid=UIDS, trouble=TOKENS)),
        trouble=draw(PROBLEMS),
    )


@pytest.mark.timeout(300)  # three hundred snapshots on a busy machine
@given(snapshot=snapshots(), judge=JUDGES)
@settings(max_examples=EXAMPLES, deadline=None, derandomize="TURNOUT_DEEP" not in os.environ)
def test_decide_answers_whatever_it_is_shown(snapshot: Snapshot, judge: Judge) -> None:
    plan = decide(snapshot, judge)
    assert plan == decide(snapshot, judge)
    if plan.route:
        assert sum(share.percent for share in plan.route.split) == 100
    observed = {share.revision for share in snapshot.route.observed if share.percent} if snapshot.route else set()
    for retire in plan.retire:
        assert retire.deployment.revision is None or retire.deployment.revision.name not in observed
    for status in plan.record.values():
        assert Status.model_validate_json(status.model_dump_json(by_alias=True)) == status

"""What histories are drawn from: plans, policies, controls, and a judge whose mood changes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.rollout.judges import Scripted, analysed
from tests.rollout.simulation import steps
from turnout.api.control import Control, Promote, PromoteMode
from turnout.judge.protocol import Outcome, Question

PERSON = {"steps": [{"warmup": {"requests": 2}}, {"setWeight": 10}, {"approval": {}}, {"setWeight": 50}, {"pause": {}}]}
BLIND = {"onSourceError": "Rollback", "sourceGrace": "10s"}
EAGER = {"onInconclusive": "Advance", "onTooFewRequests": "Advance", "onSourceError": "Advance", "sourceGrace": "10s"}
STRICT = {"onInconclusive": "Rollback", "onTooFewRequests": "Rollback"}


def _judged(rollout: dict[str, Any] | None = None, **analysis: Any) -> dict[str, Any]:
    blocks = analysed(10, 50, shortest="5s", longest="15s", **analysis)
    return {**blocks, "rollout": {**blocks["rollout"], **(rollout or {})}}


PLANS = st.sampled_from(
    [
        {"rollout": steps(10, 50)},
        {"rollout": steps(30, pause="2s")},
        {"rollout": steps(5, 5, 90, pause="1s")},
        {"rollout": {"strategy": "AllAtOnce"}},
        {"rollout": {"steps": [{"setWeight": 20}]}},
        {"rollout": {"steps": []}},
        {"rollout": {**steps(50), "progressDeadline": "20s", "deadline": "1m", "promotedScaleDownDelay": "5s"}},
        {"rollout": {**steps(25), "abortScaleDownDelay": "1s", "rollbackWindow": {"versions": 1, "maxAge": "1m"}}},
        {"rollout": {**steps(40, pause="3s"), "rollbackWindow": {"versions": 0, "maxAge": "72h"}}},
        {"rollout": {**steps(40, pause="3s"), "onSupersede": "Queue", "retryLimit": 1, "progressDeadline": "15s"}},
        {"rollout": {**steps(20, 60), "onSupersede": "Reject", "rollbackWindow": {"versions": 1, "keepWarm": True}}},
        {"rollout": {**steps(20, 60), "onPlanChange": "NextRollout"}},
        {"rollout": PERSON},
        _judged(),
        _judged(**EAGER),
        _judged(**STRICT),
        _judged(**BLIND),
        _judged({"onFailure": "Freeze"}),
        _judged({"onStableUnhealthy": "Hold"}, dryRun=True),
    ]
)
"""Blocks of a spec: rollout, and analysis where a judge is asked."""

HOURS = {"schedule": "1 10 * * *", "until": "3 10 * * *", "minReplicas": 2}
SCALING = st.sampled_from(
    [{}, {}, {"minReplicas": 2}, {"minReplicas": 1, "latencyCritical": True}, {"maxReplicas": 1}, {"floors": [HOURS]}]
)

TOKENS = st.sampled_from(["", "a", "b", "c"])
CONTROLS = st.builds(
    Control,
    paused=st.sampled_from([False, False, True]),
    abort=st.sampled_from([False, False, False, True]),
    promote=st.builds(Promote, mode=st.sampled_from(PromoteMode), token=TOKENS),
    retry_token=TOKENS,
)
MOODS = st.sampled_from([*Outcome, Outcome.PASS, Outcome.PASS, Outcome.HOLD])


class Mood:
    """What the judge says from now on; what is only said at the end of a step is a Hold until then."""

    def __init__(self) -> None:
        self.outcome = Outcome.HOLD

    def __call__(self, seen: int, question: Question) -> Outcome:
        step = question.step
        over = step is not None and question.elapsed >= step.max_duration.delta
        late = self.outcome in {Outcome.INCONCLUSIVE, Outcome.TOO_FEW_REQUESTS}
        return Outcome.HOLD if late and not over else self.outcome


def judge(mood: Mood, *, may_advance: bool) -> Scripted:
    return Scripted(mood, may_advance)

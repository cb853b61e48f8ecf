"""`status`: what the operator has recorded. Progress lives here alone; every timer is a moment written down.

Fields and words of another release are ignored, never an error: an operator must be able to read what a newer
or an older one has left behind.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import (
    Field,
)

from turnout.api.base import Observed
from turnout.api.conditions import EPOCH as EPOCH
from turnout.api.conditions import PENDING_CONDITIONS
from turnout.api.conditions import Condition as Condition
from turnout.api.conditions import ConditionStatus as ConditionStatus
from turnout.api.judgement import AnalysisStatus, Stop
from turnout.api.reasons import FAILED_STATES, ConditionType, State
from turnout.api.recorded import (
    Address,
    Count32,
    Count64,
    KnownReason,
    KnownRole,
    KnownState,
    KnownVerb,
    LongText,
    Percent,
    Readable,
    ReasonText,
    ShortText,
)
from turnout.api.rollout import MAX_STEPS, Step
from turnout.api.scalars import Duration, Time


class PlanSource(StrEnum):
    SPEC = "spec"
    DEFAULT = "default"


class WeightStatus(Observed):
    """The share of the traffic, in whole percent."""

    desired: Percent = Field(
        default=0,
        description="desired is the share that the Route was last asked to give, in percent.",
        examples=[10],
    )
    observed: Percent = Field(
        default=0,
        description="observed is the share that the Route was last seen to give, in percent.",
        examples=[10],
    )
    verified_at: Time | None = Field(
        default=None,
        description="verifiedAt is when observed first equalled desired.",
        examples=["2026-11-21T10:41:07Z"],
    )
    most: Percent = Field(
        default=0,
        description="most is the greatest share that the Route was asked for or seen to give in this attempt.",
        examples=[25],
    )


class RevisionStatus(Observed):
    """The revision that was pinned at first readiness."""

    name: ShortText = Field(
        description="name is the name of the pinned revision.", examples=["signals-7-predictor-00001"]
    )
    uid: ShortText = Field(
        description="uid is its uid; a revision of this name with another uid is another version.",
        examples=["2f6b3c1a"],
    )


class ResolvedStatus(Observed):
    """What was filled in once and holds for ever: a return from the archive is the same bytes."""

    image: Address = Field(
        default="",
        description="image is the image that was rendered; by the digest that the cluster resolved as soon as that is "
        "known. One without a digest returns from the archive by a whole rollout.",
        examples=["example.com/predictor@sha256:ab"],
    )
    template_hash: ShortText = Field(
        default="",
        description="templateHash is the hash of what its pods are made of; a return from the archive by a release "
        "that would make others is a whole rollout.",
        examples=["5f2c9a01"],
    )


class PlanStatus(Observed):
    """The plan as it was when the attempt began, with every default resolved."""

    hash: ShortText = Field(description="hash is the hash of the resolved steps.", examples=["9c1d44e0"])
    source: PlanSource = Field(
        default=PlanSource.SPEC,
        description="source says whether the steps are the spec's or the default plan.",
        examples=["spec"],
    )
    steps: tuple[Step, ...] = Field(
        default=(),
        max_length=MAX_STEPS,
        description="steps is the plan's steps, defaults resolved.",
        examples=[[{"setWeight": 10}]],
    )


class StepPause(Observed):
    """The stopped clock of a step."""

    since: Time = Field(description="since is when the step's clock was stopped.", examples=["2026-11-21T10:41:07Z"])
    remaining: Duration | None = Field(
        default=None,
        description="remaining is what was left of the step; absent if it has no end of its own.",
        examples=["7m30s"],
    )


class StepStatus(Observed):
    """The step that runs."""

    index: Count32 = Field(
        default=0, description="index is the step's place in status.plan.steps, from 0.", examples=[3]
    )
    verb: KnownVerb = Field(default=None, description="verb is what the step does.", examples=["setWeight"])
    display: ShortText = Field(
        default="", description="display is the step as the Step column shows it, from 1.", examples=["3/7"]
    )
    started_at: Time | None = Field(
        default=None, description="startedAt is when the step began.", examples=["2026-11-21T10:41:07Z"]
    )
    deadline: Time | None = Field(
        default=None,
        description="deadline is when the step ends or gives up; absent if it has no end of its own.",
        examples=["2026-11-21T10:51:07Z"],
    )
    paused: StepPause | None = Field(
        default=None,
        description="paused is the step's stopped clock; absent while it runs.",
        examples=[{"since": "2026-11-21T10:41:07Z"}],
    )


SPENT = 20
"""Tokens before the last ones that are remembered."""


class ControlStatus(Observed):
    """Which wishes of the control block have been acted upon."""

    promote_token: ShortText = Field(
        default="", description="promoteToken is the last token that promoted.", examples=["t1"]
    )
    retry_token: ShortText = Field(
        default="", description="retryToken is the last token that retried.", examples=["again-1"]
    )
    paused_since: Time | None = Field(
        default=None,
        description="pausedSince is when a person paused the rollout.",
        examples=["2026-11-21T10:41:07Z"],
    )
    paused_weight: Percent | None = Field(
        default=None,
        description="pausedWeight is the share that it had then, in percent; a pause never gives more.",
        examples=[10],
    )
    aborted_at: Time | None = Field(
        default=None,
        description="abortedAt is when a person aborted the attempt.",
        examples=["2026-11-21T10:41:07Z"],
    )
    full_at: Time | None = Field(
        default=None,
        description="fullAt is when a person asked for all traffic before any caller had met it; it still warms up.",
        examples=["2026-11-21T10:41:07Z"],
    )
    refused: tuple[ShortText, ...] = Field(
        default=(),
        max_length=4,
        description="refused is which wishes of the control block had no effect; each is told once.",
        examples=[["abort"]],
    )
    spent: tuple[ShortText, ...] = Field(
        default=(),
        max_length=SPENT,
        description="spent is the tokens before the last ones: what a revert brings back does not act again.",
        examples=[["promote t0"]],
    )


class ReplicasStatus(Observed):
    """Pods of the pinned revision."""

    ready: Count32 = Field(default=0, description="ready is how many of its pods are ready.", examples=[2])
    floor: Count32 = Field(default=0, description="floor is how many pods it is kept at, at least.", examples=[1])


class Attempt(Observed):
    """One attempt that has ended, for people."""

    attempt: Count32 = Field(description="attempt is the number of the attempt, from 1.", examples=[1])
    outcome: ReasonText = Field(description="outcome is the state in which the attempt ended.", examples=["RolledBack"])
    reason: ReasonText = Field(default="", description="reason is why it ended so.", examples=["ErrorRate"])
    started_at: Time | None = Field(
        default=None, description="startedAt is when the attempt began.", examples=["2026-11-21T10:41:07Z"]
    )
    finished_at: Time | None = Field(
        default=None, description="finishedAt is when the attempt ended.", examples=["2026-11-21T10:51:07Z"]
    )
    max_weight: Percent = Field(
        default=0, description="maxWeight is the greatest share it had, in percent.", examples=[10]
    )


class Verdict(Observed):
    """What was found about the attempt, recorded before the effect that it causes; it stands until the next begins."""

    outcome: KnownState = Field(
        default=None,
        description="outcome is the state in which the attempt ends; of a retired version, the one in which it waits "
        "for a new retry token as soon as it is wanted again.",
        examples=["RolledBack"],
    )
    reason: KnownReason = Field(
        default=None, description="reason is why it goes there, one word of the closed list.", examples=["Crashed"]
    )
    message: LongText = Field(
        default="", description="message is the finding in one sentence.", examples=["exit code 1"]
    )
    at: Time | None = Field(default=None, description="at is when it was found.", examples=["2026-11-21T10:41:07Z"])


class Hold(Observed):
    """Why a version is Held and since when."""

    reason: KnownReason = Field(
        default=None, description="reason is what the version waits for.", examples=["StableUnhealthy"]
    )
    since: Time | None = Field(
        default=None, description="since is when the hold began.", examples=["2026-11-21T10:41:07Z"]
    )
    message: LongText = Field(
        default="",
        description="message is what was found when the hold began, in one sentence.",
        examples=["no request reached it"],
    )


class Status(Observed):
    """Everything that is recorded of a version; an empty one is that of a version nobody has looked at."""

    observed_generation: Count64 | None = Field(
        default=None,
        description="observedGeneration is the generation of the spec that this status speaks of.",
        examples=[3],
    )
    role: KnownRole = Field(
        default=None,
        description="role is what the version is to its model, derived in each pass.",
        examples=["Candidate"],
    )
    state: KnownState = Field(
        default=None,
        description="state is where the version stands; absent before the first look.",
        examples=["Progressing"],
    )
    reason: KnownReason = Field(
        default=None,
        description="reason is why it stands there, one word of a closed list.",
        examples=["StepInProgress"],
    )
    message: LongText = Field(
        default="",
        description="message is one sentence for a person, with moments, never ages.",
        examples=["10 % since 10:41:07Z"],
    )
    state_since: Time | None = Field(
        default=None, description="stateSince is when state last changed.", examples=["2026-11-21T10:41:07Z"]
    )
    weight: WeightStatus = Field(
        default=WeightStatus(),
        description="weight is its share of the traffic, in percent.",
        examples=[{"desired": 10, "observed": 10}],
    )
    revision: RevisionStatus | None = Field(
        default=None,
        description="revision is pinned by name and uid at first readiness.",
        examples=[{"name": "signals-7-predictor-00001", "uid": "2f6b3c1a"}],
    )
    resolved: ResolvedStatus | None = Field(
        default=None,
        description="resolved is what was filled in once, so that a return is the same bytes.",
        examples=[{"image": "example.com/predictor:1"}],
    )
    promoted_at: Time | None = Field(
        default=None,
        description="promotedAt is when it became stable; absent if it never did.",
        examples=["2026-11-21T10:41:07Z"],
    )
    replaced_at: Time | None = Field(
        default=None,
        description="replacedAt is when it was last replaced as stable; the rollback window counts from it.",
        examples=["2026-11-21T10:41:07Z"],
    )
    url: Address = Field(
        default="",
        description="url is where clients call the model.",
        examples=["http://signals.support.example.com"],
    )
    version_url: Address = Field(
        default="",
        description="versionUrl is this version's own address, inside the cluster.",
        examples=["http://signals-7-predictor.support.svc.cluster.local"],
    )
    spec_hash: ShortText = Field(
        default="",
        description="specHash is the hash of what is immutable in the spec.",
        examples=["5f2c9a01"],
    )
    attempt: Count32 = Field(
        default=0, description="attempt is the number of the running or last attempt, from 1.", examples=[1]
    )
    retries: Count32 = Field(
        default=0,
        description="retries is how often a failed attempt was tried again by itself since a person last asked.",
        examples=[1],
    )
    rollout_started_at: Time | None = Field(
        default=None,
        description="rolloutStartedAt is when the attempt began; its deadline counts from it.",
        examples=["2026-11-21T10:41:07Z"],
    )
    progress_since: Time | None = Field(
        default=None,
        description="progressSince is when deploying began; progressDeadline counts from it.",
        examples=["2026-11-21T10:41:07Z"],
    )
    capacity: Count32 | None = Field(
        default=None,
        description="capacity is how many pods stable is kept at while the rollout runs.",
        examples=[2],
    )
    plan: Annotated[PlanStatus | None, Readable] = Field(
        default=None,
        description="plan is the snapshot of the attempt's steps.",
        examples=[{"hash": "9c1d44e0", "source": "spec"}],
    )
    step: StepStatus | None = Field(
        default=None, description="step is the step that runs.", examples=[{"index": 2, "display": "3/7"}]
    )
    analysis: AnalysisStatus | None = Field(
        default=None,
        description="analysis is what the judge says and remembers.",
        examples=[{"verdict": "Hold"}],
    )
    verdict: Verdict | None = Field(
        default=None,
        description="verdict is what was found about the attempt, recorded before its effect.",
        examples=[{"outcome": "RolledBack", "reason": "Crashed"}],
    )
    hold: Hold | None = Field(
        default=None,
        description="hold is what a Held version waits for.",
        examples=[{"reason": "StableUnhealthy"}],
    )
    stops: tuple[Stop, ...] = Field(
        default=(),
        max_length=16,
        description="stops is what has stopped the attempt, metrics or its deadline; a person may have lifted it.",
        examples=[[{"metric": "drift", "reason": "Drift", "level": "0.31"}]],
    )
    scale_down_at: Time | None = Field(
        default=None,
        description="scaleDownAt is when its pods may go, after a promotion or a rollback.",
        examples=["2026-11-21T10:51:07Z"],
    )
    control: ControlStatus = Field(
        default=ControlStatus(),
        description="control is which wishes have been acted upon.",
        examples=[{"promoteToken": "t1"}],
    )
    replicas: ReplicasStatus = Field(
        default=ReplicasStatus(), description="replicas is its pods.", examples=[{"ready": 2, "floor": 1}]
    )
    history: tuple[Attempt, ...] = Field(
        default=(),
        max_length=5,
        description="history is the last attempts that ended, for people; nothing is decided by it.",
        examples=[[{"attempt": 1, "outcome": "RolledBack"}]],
    )
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra={"x-kubernetes-list-map-keys": ["type"]})] = (
        Field(
            default=PENDING_CONDITIONS,
            max_length=16,
            description="conditions is the state in Kubernetes' usual form.",
            examples=[[{"type": "Ready", "status": "True", "reason": "Promoted"}]],
        )
    )

    @property
    def failed(self) -> State | None:
        """The failed state that only a new retry token leads out of: its own, or the one that it was retired from."""
        state = self.verdict.outcome if self.state is State.Retired and self.verdict else self.state
        return state if state in FAILED_STATES else None

    def condition(self, kind: ConditionType) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)

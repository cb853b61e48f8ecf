"""`status`: what the operator has recorded. Progress lives here alone; every timer is a moment written down.

Fields and words of another release are ignored, never an error: an operator must be able to read what a newer
or an older one has left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from turnout.api.base import Int32, Int64, Observed
from turnout.api.reasons import ConditionType, Reason, Role, State
from turnout.api.rollout import MAX_STEPS, Step, Verb
from turnout.api.scalars import Duration, Time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Word = TypeVar("Word", bound=StrEnum)


def _known(words: type[Word]) -> Callable[[object], object]:
    """A word of another release reads as None: it is looked at anew."""
    return lambda value: value if value is None or value in tuple(words) else None


def _readable(value: object, parse: ValidatorFunctionWrapHandler) -> object:
    """A block that this release cannot read is as good as absent."""
    try:
        return parse(value)
    except ValidationError:
        return None


KnownState = Annotated[State | None, BeforeValidator(_known(State))]
KnownRole = Annotated[Role | None, BeforeValidator(_known(Role))]
KnownReason = Annotated[
    Reason | None, BeforeValidator(_known(Reason)), WithJsonSchema({"type": "string", "maxLength": 128})
]
"""No enum in the CRD: an operator that knows a new reason must be able to write it before the CRD does."""
KnownVerb = Annotated[Verb | None, BeforeValidator(_known(Verb))]

Percent = Annotated[Int32, Field(ge=0, le=100)]
Count32 = Annotated[Int32, Field(ge=0)]
Count64 = Annotated[Int64, Field(ge=0)]
ShortText = Annotated[str, Field(max_length=253)]
LongText = Annotated[str, Field(max_length=2048)]
Address = Annotated[str, Field(max_length=1024)]
ReasonText = Annotated[str, Field(max_length=128)]
"""A reason as written, whoever wrote it; compare it with `Reason`."""


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class PlanSource(StrEnum):
    SPEC = "spec"
    DEFAULT = "default"


class Condition(Observed):
    """One condition, in Kubernetes' usual form."""

    type: ReasonText = Field(description="type is the name of the condition.", examples=["Ready"])
    status: ConditionStatus = Field(
        default=ConditionStatus.UNKNOWN, description="status is True, False or Unknown.", examples=["True"]
    )
    observed_generation: Count64 | None = Field(
        default=None,
        description="observedGeneration is the generation of the spec that the condition speaks of.",
        examples=[3],
    )
    last_transition_time: Time = Field(
        default=EPOCH,
        description="lastTransitionTime is when status last changed.",
        examples=["2026-11-21T10:41:07Z"],
    )
    reason: ReasonText = Field(
        default=Reason.Pending.value,
        min_length=1,
        description="reason is one word of the closed list of reasons.",
        examples=["Promoted"],
    )
    message: LongText = Field(
        default="", description="message is one sentence for a person.", examples=["version 7 is stable"]
    )


PENDING_CONDITIONS = tuple(
    Condition(type=kind.value, message="no operator has looked at this version yet") for kind in ConditionType
)
"""What a version says whose operator is dead or absent."""


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
        description="image is the image that was rendered.",
        examples=["example.com/predictor@sha256:ab"],
    )
    template_hash: ShortText = Field(
        default="", description="templateHash is the hash of what was rendered.", examples=["5f2c9a01"]
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

    since: Time = Field(
        description="since is when the step's clock was stopped.", examples=["2026-11-21T10:41:07Z"]
    )
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


class RequestCounts(Observed):
    """Requests of both sides in the step."""

    canary: Count64 = Field(
        default=0,
        description="canary is how many requests the candidate answered in the step.",
        examples=[412],
    )
    stable: Count64 = Field(
        default=0, description="stable is how many requests stable answered in the step.", examples=[3710]
    )


class MetricStatus(Observed):
    """What one metric says; numbers are decimal strings."""

    name: ShortText = Field(description="name is the metric's name.", examples=["errors"])
    harm: ShortText = Field(default="", description="harm is the evidence of harm so far.", examples=["0.8"])
    pass_: ShortText = Field(
        default="", alias="pass", description="pass is the evidence for a pass so far.", examples=["11.2"]
    )
    canary: ShortText = Field(default="", description="canary is the candidate's value.", examples=["0.0024"])
    stable: ShortText = Field(default="", description="stable is the value of stable.", examples=["0.0031"])


class AnalysisStatus(Observed):
    """What the judge says and remembers."""

    verdict: ReasonText = Field(
        default="", description="verdict is the judge's last word.", examples=["Hold"]
    )
    expected_at: Time | None = Field(
        default=None,
        description="expectedAt is when the step passes if it goes on like this.",
        examples=["2026-11-21T10:46:00Z"],
    )
    requests: RequestCounts = Field(
        default=RequestCounts(),
        description="requests is how many requests both sides answered in the step.",
        examples=[{"canary": 412, "stable": 3710}],
    )
    metrics: tuple[MetricStatus, ...] = Field(
        default=(),
        max_length=16,
        description="metrics is what each metric says.",
        examples=[[{"name": "errors", "harm": "0.8"}]],
    )
    memory: Annotated[str, Field(max_length=2048)] = Field(
        default="",
        description="memory is what the judge must remember, at most 2 KiB.",
        examples=["1:0.8:412"],
    )


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
    aborted_at: Time | None = Field(
        default=None,
        description="abortedAt is when a person aborted the attempt.",
        examples=["2026-11-21T10:41:07Z"],
    )


class ReplicasStatus(Observed):
    """Pods of the pinned revision."""

    ready: Count32 = Field(default=0, description="ready is how many of its pods are ready.", examples=[2])
    floor: Count32 = Field(
        default=0, description="floor is how many pods it is kept at, at least.", examples=[1]
    )


class Attempt(Observed):
    """One attempt that has ended, for people."""

    attempt: Count32 = Field(description="attempt is the number of the attempt, from 1.", examples=[1])
    outcome: ReasonText = Field(
        description="outcome is the state in which the attempt ended.", examples=["RolledBack"]
    )
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
    """What was found about the running attempt, recorded before the effect that it causes."""

    outcome: KnownState = Field(
        default=None,
        description="outcome is the state that the attempt is on its way to.",
        examples=["RolledBack"],
    )
    reason: KnownReason = Field(default=None, description="reason is why.", examples=["Crashed"])
    message: LongText = Field(
        default="", description="message is the finding in one sentence.", examples=["exit code 1"]
    )
    at: Time | None = Field(
        default=None, description="at is when it was found.", examples=["2026-11-21T10:41:07Z"]
    )


class Hold(Observed):
    """Why a version is Held and since when."""

    reason: KnownReason = Field(
        default=None, description="reason is what the version waits for.", examples=["StableUnhealthy"]
    )
    since: Time | None = Field(
        default=None, description="since is when the hold began.", examples=["2026-11-21T10:41:07Z"]
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
        examples=["10 % since 10:41:07"],
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
    plan: Annotated[PlanStatus | None, WrapValidator(_readable)] = Field(
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
    conditions: Annotated[
        tuple[Condition, ...], Field(json_schema_extra={"x-kubernetes-list-map-keys": ["type"]})
    ] = Field(
        default=PENDING_CONDITIONS,
        max_length=16,
        description="conditions is the state in Kubernetes' usual form.",
        examples=[[{"type": "Ready", "status": "True", "reason": "Promoted"}]],
    )

    def condition(self, kind: ConditionType) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)

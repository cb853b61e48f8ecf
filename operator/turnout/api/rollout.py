"""`spec.rollout`: the plan by which a version takes traffic, and what happens when the plan is disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from turnout.api.base import Authored, Boolean, Int32, Rule
from turnout.api.scalars import Duration

MAX_STEPS = 20


class Verb(StrEnum):
    """The one thing that a step does, in its written form."""

    WARMUP = "warmup"
    SET_WEIGHT = "setWeight"
    ANALYSIS = "analysis"
    PAUSE = "pause"
    APPROVAL = "approval"
    SHADOW = "shadow"


class Strategy(StrEnum):
    CANARY = "Canary"
    SHADOW = "Shadow"
    ALL_AT_ONCE = "AllAtOnce"


class OnSupersede(StrEnum):
    RESTART = "Restart"
    QUEUE = "Queue"
    REJECT = "Reject"


class OnPlanChange(StrEnum):
    SUFFIX = "Suffix"
    NEXT_ROLLOUT = "NextRollout"


class OnFailure(StrEnum):
    ROLLBACK = "Rollback"
    FREEZE = "Freeze"


class OnStableUnhealthy(StrEnum):
    PROCEED = "Proceed"
    HOLD = "Hold"


class Warmup(Authored):
    """Requests at the version's own address before any caller reaches it."""

    requests: Int32 = Field(
        default=20,
        ge=0,
        le=10_000,
        description="requests is how many requests are sent, taken in turn from the artifact's examples.",
        examples=[100],
    )
    timeout: Duration = Field(
        default=Duration("5m"),
        description="timeout is how long the step may take; then the attempt has failed.",
        examples=["2m"],
    )


class AnalysisStep(Authored):
    """Wait for the judge's verdict at the weight that the plan has reached."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.minDuration) <= duration(self.maxDuration)",
            sentence="minDuration of an analysis is at most its maxDuration",
            holds=lambda step: step.min_duration.delta <= step.max_duration.delta,
            field="minDuration",
        ),
    )

    min_duration: Duration = Field(
        default=Duration("2m"),
        description="minDuration is how long the step lasts at least.",
        examples=["5m"],
    )
    max_duration: Duration = Field(
        default=Duration("15m"),
        description="maxDuration is how long the step waits for a verdict; then onInconclusive or "
        "onTooFewRequests rules.",
        examples=["1h"],
    )
    min_requests: Int32 = Field(
        default=200,
        ge=0,
        le=100_000_000,
        description="minRequests is how many requests the candidate must have answered in the step before it may pass.",
        examples=[1000],
    )


class Pause(Authored):
    """Keep the weight for a while, or until a person lets it go on."""

    duration: Duration | None = Field(
        default=None,
        description="duration is how long the pause lasts; absent means until a person promotes.",
        examples=["10m"],
    )


class Approval(Authored):
    """Keep the weight until a person approves; to remove it from a running plan needs the verb promote."""


class Shadow(Authored):
    """Send copies of requests to the version; its answers go nowhere."""

    percent: Int32 = Field(
        ge=1, le=100, description="percent is the share of stable's requests that is copied.", examples=[100]
    )
    duration: Duration = Field(description="duration is how long requests are copied.", examples=["30m"])


class Step(Authored):
    """One step of a plan: exactly one verb."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.warmup), has(self.setWeight), has(self.analysis), has(self.pause), "
            "has(self.approval), "
            "has(self.shadow)].filter(verb, verb).size() == 1",
            sentence="a step has exactly one verb: warmup, setWeight, analysis, pause, approval or shadow",
            holds=lambda step: len(step.verbs) == 1,
        ),
    )

    warmup: Warmup | None = Field(
        default=None,
        description="warmup sends requests to the version's own address and compares the answers.",
        examples=[{"requests": 20}],
    )
    set_weight: Int32 | None = Field(
        default=None,
        ge=1,
        le=99,
        description="setWeight gives the candidate this percentage of the traffic.",
        examples=[10],
    )
    analysis: AnalysisStep | None = Field(
        default=None,
        description="analysis waits for the judge's verdict at the weight reached.",
        examples=[{"minRequests": 500}],
    )
    pause: Pause | None = Field(
        default=None, description="pause keeps the weight for a while.", examples=[{"duration": "10m"}]
    )
    approval: Approval | None = Field(
        default=None,
        description="approval keeps the weight until a person promotes; write it as approval: {}.",
        examples=[{}],
    )
    shadow: Shadow | None = Field(
        default=None,
        description="shadow sends copies of requests to the candidate.",
        examples=[{"percent": 100, "duration": "30m"}],
    )

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """Those that are written down; exactly one in a valid step."""
        block = {
            Verb.WARMUP: self.warmup,
            Verb.SET_WEIGHT: self.set_weight,
            Verb.ANALYSIS: self.analysis,
            Verb.PAUSE: self.pause,
            Verb.APPROVAL: self.approval,
            Verb.SHADOW: self.shadow,
        }
        return tuple(verb for verb, value in block.items() if value is not None)

    @property
    def verb(self) -> Verb:
        return self.verbs[0]


class RollbackWindow(Authored):
    """Formerly promoted versions that keep their InferenceService."""

    versions: Int32 = Field(
        default=2,
        ge=0,
        le=10,
        description="versions is how many formerly promoted versions are kept.",
        examples=[3],
    )
    max_age: Duration = Field(
        default=Duration("72h"),
        description="maxAge is how long after its replacement a version is kept.",
        examples=["168h"],
    )
    keep_warm: Boolean = Field(
        default=False,
        description="keepWarm keeps their pods as well, at least stable's floor and one; otherwise they are kept "
        "at zero pods.",
        examples=[True],
    )


def _first(steps: Sequence[Step], verbs: frozenset[Verb]) -> int | None:
    return next((index for index, step in enumerate(steps) if step.verb in verbs), None)


def _weights_rise(rollout: Rollout) -> bool:
    weights = [step.set_weight for step in rollout.steps or () if step.set_weight is not None]
    return weights == sorted(weights)


def _warms_up_first(rollout: Rollout) -> bool:
    return all(step.warmup is None for step in (rollout.steps or ())[1:])


def _has_only_what_all_at_once_needs(rollout: Rollout) -> bool:
    steps = rollout.steps or ()
    return rollout.strategy is not Strategy.ALL_AT_ONCE or all(step.warmup is not None for step in steps)


def _analyses_something(rollout: Rollout) -> bool:
    steps = rollout.steps or ()
    analysis = _first(steps, frozenset({Verb.ANALYSIS}))
    evidence = _first(steps, frozenset({Verb.SET_WEIGHT, Verb.SHADOW}))
    return analysis is None or (evidence is not None and evidence < analysis)


class Rollout(Authored):
    """How a version takes traffic."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.steps) || self.steps.filter(s, has(s.setWeight)).map(s, s.setWeight).isSorted()",
            sentence="the weights of the steps rise, or repeat",
            holds=_weights_rise,
            field="steps",
        ),
        Rule(
            cel="!has(self.steps) || self.steps.map(s, has(s.warmup)).lastIndexOf(true) <= 0",
            sentence="warmup is the first step of a plan: later it would reach nobody first",
            holds=_warms_up_first,
            field="steps",
        ),
        Rule(
            cel="!has(self.steps) || !self.steps.exists(s, has(s.analysis)) || "
            "(self.steps.exists(s, has(s.setWeight) || has(s.shadow)) && "
            "self.steps.map(s, has(s.setWeight) || has(s.shadow)).indexOf(true) < "
            "self.steps.map(s, has(s.analysis)).indexOf(true))",
            sentence="an analysis needs a setWeight or a shadow before it: there is nothing to analyse",
            holds=_analyses_something,
            field="steps",
        ),
        Rule(
            cel="self.strategy != 'AllAtOnce' || !has(self.steps) || self.steps.all(s, has(s.warmup))",
            sentence="strategy AllAtOnce has no steps but a warmup",
            holds=_has_only_what_all_at_once_needs,
            field="steps",
        ),
        Rule(
            cel="duration(self.progressDeadline) >= duration('1s') && duration(self.progressDeadline) <= "
            "duration('24h')",
            sentence="progressDeadline is between 1s and 24h",
            holds=lambda rollout: timedelta(seconds=1) <= rollout.progress_deadline.delta <= timedelta(hours=24),
            field="progressDeadline",
        ),
        Rule(
            cel="duration(self.deadline) >= duration('1m') && duration(self.deadline) <= duration('720h')",
            sentence="deadline is between 1m and 720h",
            holds=lambda rollout: timedelta(minutes=1) <= rollout.deadline.delta <= timedelta(hours=720),
            field="deadline",
        ),
    )

    strategy: Strategy = Field(
        default=Strategy.CANARY,
        description="strategy is Canary (by steps), Shadow (copies first) or AllAtOnce (warm up, then everything).",
        examples=["Canary"],
    )
    steps: tuple[Step, ...] | None = Field(
        default=None,
        max_length=MAX_STEPS,
        description="steps is the plan; absent, a plan of 10, 25 and 50 percent is resolved into status.plan.",
        examples=[[{"warmup": {"requests": 20}}, {"setWeight": 10}, {"pause": {"duration": "10m"}}]],
    )
    progress_deadline: Duration = Field(
        default=Duration("10m"),
        description="progressDeadline is how long the version may take to become ready with its pods; then "
        "the attempt "
        "has failed. It begins anew after a pause by a person. From 1s to 24h.",
        examples=["30m"],
    )
    deadline: Duration = Field(
        default=Duration("24h"),
        description="deadline is how long the whole attempt may take; then it is Stalled and keeps its weight until a "
        "person promotes it or puts the deadline off. Harm and death still take it back. From 1m to 720h.",
        examples=["72h"],
    )
    on_supersede: OnSupersede = Field(
        default=OnSupersede.RESTART,
        description="onSupersede is what this version does when it finds another rollout of the model running: "
        "Restart takes its place, Queue waits until it has ended, Reject is Rejected until then.",
        examples=["Restart"],
    )
    on_plan_change: OnPlanChange = Field(
        default=OnPlanChange.SUFFIX,
        description="onPlanChange says when an edit of steps in a running rollout counts: Suffix changes "
        "the steps to "
        "come, NextRollout none.",
        examples=["NextRollout"],
    )
    on_failure: OnFailure = Field(
        default=OnFailure.ROLLBACK,
        description="onFailure is what proven harm does: Rollback, or Freeze, which keeps the weight and "
        "waits for a "
        "person. A dead version is dropped in any case.",
        examples=["Rollback"],
    )
    repeat_on_stable: Boolean = Field(
        default=True,
        description="repeatOnStable repeats a request once on stable if it failed on the candidate before "
        "its response began; of what stable is asked at most a fifth may be repeats. The local engine does, a cluster "
        "does once it has Turnout's gateway.",
        examples=[False],
    )
    allow_contract_change: Boolean = Field(
        default=False,
        description="allowContractChange lets inputs, outputs, protocol or embedding space differ from stable's.",
        examples=[True],
    )
    on_stable_unhealthy: OnStableUnhealthy = Field(
        default=OnStableUnhealthy.PROCEED,
        description="onStableUnhealthy says whether the absolute tests of the next analysis of its plan may promote "
        "the version while stable is dead (Proceed), or whether it waits for stable (Hold).",
        examples=["Hold"],
    )
    promoted_scale_down_delay: Duration = Field(
        default=Duration("10m"),
        description="promotedScaleDownDelay is how long the old stable keeps its pods after this version's "
        "promotion, "
        "as the instant way back.",
        examples=["1h"],
    )
    rollback_window: RollbackWindow = Field(
        default=RollbackWindow(),
        description="rollbackWindow is which formerly promoted versions keep their InferenceService; "
        "others are archived.",
        examples=[{"versions": 3}],
    )
    abort_scale_down_delay: Duration = Field(
        default=Duration("30s"),
        description="abortScaleDownDelay is how long a version keeps its pods after its share was taken away.",
        examples=["5m"],
    )
    retry_limit: Int32 = Field(
        default=0,
        ge=0,
        le=10,
        description="retryLimit is how often an attempt that Failed is tried again by itself, with "
        "back-off; harm never is.",
        examples=[2],
    )

"""What would happen to a version if it were applied now: by the same rules, from what is recorded, without a world.

It decides nothing and promises nothing: it says which way the version would go, and for its plan which share, pods and
times each step asks for. How long pods take to start, nobody can know beforehand: those times are not counted.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from turnout.api.analysis import Analysis, Judge, MetricAction
from turnout.api.plan import resolve_plan
from turnout.api.reasons import ROLLOUT_STATES, Role, State
from turnout.api.rollout import OnSupersede, Step, Strategy
from turnout.api.scalars import Duration
from turnout.api.served import unserved
from turnout.api.status import Status
from turnout.api.tunables import missettings
from turnout.api.version import Desired, ModelVersion, immutable_changes
from turnout.judge.power import Traffic, least_ratio
from turnout.rollout.capacity import needed
from turnout.rollout.controls import retried
from turnout.rollout.floors import wanted_pods
from turnout.rollout.made_of import why_not_made_again
from turnout.rollout.notes import few_pods, unjudged
from turnout.rollout.selection import Member
from turnout.rollout.steps import first_weight

NO_TIME = timedelta()
USUALLY_FAILS, WORTH_FINDING = 0.005, 3.0
"""Of stable's requests, where nobody knows yet; and how many times that a candidate may fail without being noticed."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step. `label`: `3/7`, or nothing before and behind the plan. Percent and ready pods are those that it needs.

    `shortest` and `longest`: its own length; None: it has no end of its own.
    """

    label: str
    what: str
    percent: int
    pods: int
    stable_pods: int
    shortest: timedelta = NO_TIME
    longest: timedelta | None = NO_TIME


@dataclass(frozen=True, slots=True)
class Forecast:
    """Which way a version goes. `refusals`: why it would not be acted upon; `stages`: empty where nothing rolls out."""

    version: ModelVersion
    way: str
    refusals: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def shortest(self) -> timedelta:
        return sum((stage.shortest for stage in self.stages), NO_TIME)

    @property
    def longest(self) -> timedelta | None:
        """None: some step waits for a person."""
        lengths = [stage.longest for stage in self.stages]
        known = [length for length in lengths if length is not None]
        return sum(known, NO_TIME) if len(known) == len(lengths) else None


def forecast(
    version: ModelVersion, present: Sequence[ModelVersion], now: datetime, rate: float | None = None
) -> Forecast:
    """`present`: every version of the model that is there now. `rate`: the model's requests per second, if known."""
    others = [each for each in present if each.name != version.name]
    former = next((each for each in present if each.name == version.name), None)
    refusals = tuple(_refusals(version, former, others))
    if refusals:
        return Forecast(version, "would not be acted upon", refusals)
    if way := _standing_still(version, former, others):
        return Forecast(version, way)
    stable = next((each for each in others if each.status.role is Role.Stable), None)
    rival = next((each for each in others if _rolls_out(each)), None)
    way = _way(version, former, stable, rival, is_alone=all(each.status.state is None for each in present))
    stages = tuple(_stages(version, former, stable, now, rate))
    return Forecast(version, way, stages=stages, notes=tuple(_warnings(version, former, stable, stages)))


def _refusals(version: ModelVersion, former: ModelVersion | None, others: Sequence[ModelVersion]) -> Iterator[str]:
    yield from map(str, unserved(version.spec))
    yield from map(str, missettings(version.spec.predictor))
    if former is not None:
        yield from (
            f"{sentence} (the one that is there differs)" for sentence in immutable_changes(former.spec, version.spec)
        )
    for other in others:
        if other.version == version.version:
            yield f"version {version.version} of {version.model} is already {other.name}: give this one another number"
        if f"{other.name}-predictor" == version.name or f"{version.name}-predictor" == other.name:
            yield f"the name {max(other.name, version.name, key=len)} is reserved by {other.name}: rename this one"
        if (
            (_rolls_out(other) or other.status.state is State.Frozen)
            and former is None
            and version.spec.rollout.on_supersede is OnSupersede.REJECT
        ):
            yield f"the rollout of {other.name} runs, and onSupersede is Reject: apply it again afterwards"


def _rolls_out(version: ModelVersion) -> bool:
    return version.status.state in ROLLOUT_STATES and version.status.role is not Role.Stable


def _standing_still(version: ModelVersion, former: ModelVersion | None, others: Sequence[ModelVersion]) -> str:
    """Why no rollout begins; empty if one does."""
    if version.spec.desired is not Desired.LIVE:
        return _stepping_back(version, former, others)
    if former is not None and former.spec == version.spec and former.status.state is not None:
        return f"is there already and is {former.status.state}: nothing changes"
    is_retried = _is_retried(version, former)
    if former is not None and former.status.failed and not is_retried:
        return f"is there and is {former.status.state}: it gets no traffic before it is retried"
    if former is not None and (former.status.state is State.Live or _rolls_out(former)) and not is_retried:
        return f"is there and is {former.status.state}: what changes is taken in place, nothing begins anew"
    above = [each for each in others if each.version > version.version and _is_eligible(each)]
    if above:
        greatest = max(above, key=lambda each: each.version)
        return f"stands by, because {greatest.name} is newer and Live: the greatest eligible version is the target"
    return ""


def _is_retried(version: ModelVersion, former: ModelVersion | None) -> bool:
    """The file brings a new retry token, and that may act."""
    return former is not None and retried(Member(version.name, version, None, former.status), version) is not None


def _stepping_back(version: ModelVersion, former: ModelVersion | None, others: Sequence[ModelVersion]) -> str:
    """What becomes of the traffic of a version that is wanted no more."""
    desired = version.spec.desired
    if former is None or former.status.role is not Role.Stable:
        return f"stands by, because desired is {desired}"
    heir = max((each for each in others if _is_eligible(each)), key=lambda each: each.version, default=None)
    if heir is None:
        return f"stays the stable one though desired is {desired}: no other version is eligible, and it is the last"
    if _rolls_out(heir):
        return f"gives way to {heir.name}, whose rollout runs, as soon as that is promoted"
    if _returns(heir):
        return f"gives way to {heir.name}, which comes back the fast way: it was promoted before"
    return f"gives way to {heir.name}, which goes through its plan first"


def _is_eligible(version: ModelVersion) -> bool:
    is_out = version.status.failed or version.status.state is State.Rejected
    return version.spec.desired is Desired.LIVE and not is_out


def _way(
    version: ModelVersion,
    former: ModelVersion | None,
    stable: ModelVersion | None,
    rival: ModelVersion | None,
    *,
    is_alone: bool,
) -> str:
    if former is not None and _returns(former) and stable is not None:
        return f"comes back in place of {stable.name}, the fast way: it was promoted before"
    way = "is the first of its model: all traffic as soon as it is warm, whatever its steps say"
    if stable is None and not is_alone:
        way = "takes all traffic as soon as it is warm, whatever its steps say, if no deleted version still serves"
    if stable is not None:
        ready = stable.status.replicas.ready
        way = f"takes over from {stable.name} ({ready} pod{'' if ready == 1 else 's'} ready)"
    if rival is None:
        return way
    if version.spec.rollout.on_supersede is OnSupersede.QUEUE:
        return f"{way}, once the rollout of {rival.name} has ended (onSupersede: Queue)"
    return f"{way}; the rollout of {rival.name} ends first, superseded"


def _returns(former: ModelVersion) -> bool:
    """Without its plan: it was promoted, and what is made again of it would be the same."""
    status = former.status
    return status.promoted_at is not None and not why_not_made_again(status, former)


def _stages(
    version: ModelVersion, former: ModelVersion | None, stable: ModelVersion | None, now: datetime, rate: float | None
) -> Iterator[Stage]:
    plan = resolve_plan(version.spec)
    full = _capacity(version, stable, now)
    status = Status(plan=plan.status(), capacity=full)
    returns = former is not None and _returns(former) and stable is not None
    at_once = stable is None or returns or version.spec.rollout.strategy is Strategy.ALL_AT_ONCE
    member, beside = Member(version.name, version, None, status), full if stable else 0
    first = 100 if at_once else first_weight(status)
    deadline = version.spec.rollout.progress_deadline
    yield Stage("", f"its pods start; not ready within {deadline}: Failed", 0, needed(member, first), beside)
    steps = tuple(step for step in plan.steps if not at_once or (step.warmup and not returns))
    percent = 0
    for index, step in enumerate(steps):
        percent = step.set_weight or percent
        pods = needed(member, percent or first)
        yield _stage(step, f"{index + 1}/{len(steps)}", version, percent, (pods, beside), rate)
    yield Stage("", _after(version, stable), 100, needed(member, 100), 0)


def _capacity(version: ModelVersion, stable: ModelVersion | None, now: datetime) -> int:
    """R of capacity.py, from what is recorded."""
    if stable is None:
        return max(1, wanted_pods(version.spec.scaling, now))
    counts = version.spec.scaling.during_rollout.count_ready_pods
    return max(1, wanted_pods(stable.spec.scaling, now), stable.status.replicas.ready if counts else 0)


def _stage(
    step: Step, label: str, version: ModelVersion, percent: int, pods: tuple[int, int], rate: float | None
) -> Stage:
    if step.warmup is not None:
        what = f"warmup: {step.warmup.requests} requests at its own address; not done in {step.warmup.timeout}: Failed"
        return Stage(label, what, percent, *pods)
    if step.set_weight is not None:
        return Stage(label, f"{percent} % as soon as the pods on both sides are ready", percent, *pods)
    if step.analysis is not None:
        return _analysis(step, label, version, percent, pods, rate)
    if step.shadow is not None:
        length = step.shadow.duration.delta
        return Stage(label, f"copies of {step.shadow.percent} % of the requests", percent, *pods, length, length)
    if step.pause is not None and step.pause.duration is not None:
        return Stage(label, "pause", percent, *pods, step.pause.duration.delta, step.pause.duration.delta)
    noun = "approval" if step.approval is not None else "pause"
    return Stage(label, f"{noun}, until: turnout promote {version.model}", percent, *pods, longest=None)


def _analysis(
    step: Step, label: str, version: ModelVersion, percent: int, pods: tuple[int, int], rate: float | None
) -> Stage:
    analysis = step.analysis
    assert analysis is not None
    shortest, longest, policy = analysis.min_duration.delta, analysis.max_duration.delta, version.spec.analysis
    what = f"analysis: {analysis.min_duration} to {analysis.max_duration}, {analysis.min_requests} requests at least"
    if rate is None or not percent:
        return Stage(label, what, percent, *pods, shortest, longest)
    counted = analysis.min_requests / (rate * percent / 100) if rate > 0 else math.inf  # seconds
    if counted > longest.total_seconds():
        seen = int(rate * percent / 100 * longest.total_seconds())
        what += f"; at {rate:g}/s only {seen} come: TooFewRequests, onTooFewRequests is {policy.on_too_few_requests}"
        waits = policy.on_too_few_requests == "Hold"
        return Stage(label, what, percent, *pods, longest, None if waits else longest)
    if counted > shortest.total_seconds():
        what += f"; at {rate:g}/s they take {Duration.of(timedelta(seconds=round(counted)))}"
    what += _blind(policy, rate, percent, longest)
    return Stage(label, what, percent, *pods, max(shortest, timedelta(seconds=counted)), longest)


def _blind(policy: Analysis, rate: float, percent: int, longest: timedelta) -> str:
    """Said where a candidate that fails three times as often as stable would probably not be found in time."""
    if policy.judge is Judge.THRESHOLD or not policy.errors.enabled or percent >= 100:
        return ""
    metrics = policy.errors.weight + (policy.latency.weight if policy.latency.enabled else 0)
    metrics += policy.drift.enabled and policy.drift.action is MetricAction.ROLLBACK  # its part of the mean
    alpha = float(policy.alpha) * policy.errors.weight / metrics
    traffic = Traffic(rate, percent / 100, USUALLY_FAILS, alpha, policy.interval.seconds, policy.assume)
    ratio = least_ratio(traffic, longest.total_seconds())
    if ratio <= WORTH_FINDING:
        return ""
    found = f"only one that fails {ratio:.1f} times as often" if math.isfinite(ratio) else "none"
    return (
        f"; beside a stable that fails {USUALLY_FAILS:.1%}, a candidate that fails three times as often is probably "
        f"not found at {rate:g}/s in {Duration.of(longest)}, {found}: give it weight or time"
    )


def _after(version: ModelVersion, stable: ModelVersion | None) -> str:
    if stable is None:
        return "all traffic: it is stable"
    rollout = version.spec.rollout
    window = rollout.rollback_window
    kept = f"stays the way back for {window.max_age}" if window.versions else "is archived then"
    return f"all traffic; {stable.name} keeps its pods for {rollout.promoted_scale_down_delay} and {kept}"


def _warnings(
    version: ModelVersion, former: ModelVersion | None, stable: ModelVersion | None, stages: Sequence[Stage]
) -> Iterator[str]:
    scaling = version.spec.scaling
    if former and former.status.promoted_at and (why := why_not_made_again(former.status, former)):
        yield f"it was promoted before, and goes through its whole plan all the same: {why}"
    blind = unjudged(version.spec.analysis)
    if blind and any(stage.what.startswith("analysis") for stage in stages):
        yield str(blind)
    ends = sum((stage.longest or NO_TIME for stage in stages), NO_TIME)
    if ends > version.spec.rollout.deadline.delta:
        yield f"its steps may take longer than its deadline of {version.spec.rollout.deadline}: it would stop there"
    if stable is not None and scaling.max_replicas < (beside := max(stage.stable_pods for stage in stages)):
        yield str(few_pods(scaling.max_replicas, beside, stable.name))

"""What follows from the judge's word: harm at any time, and in an analysis step everything that is not harm."""

from turnout.api.analysis import Unproven
from turnout.api.reasons import Reason, State
from turnout.api.rollout import OnFailure, OnStableUnhealthy
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.judge.protocol import Outcome
from turnout.rollout import overdue
from turnout.rollout.capacity import capacity
from turnout.rollout.evidence import UNPROVEN, finding_of, unproven_reason
from turnout.rollout.look import SILENT, Look
from turnout.rollout.record import condemn, enter, freeze, go_on, hold, promote, resume, stop
from turnout.rollout.selection import Member, Selection
from turnout.rollout.steps import current_step
from turnout.rollout.stops import standing

SOURCE_REASONS = frozenset({Reason.NoData, Reason.SourceError})


def is_harmful(member: Member, selection: Selection) -> bool:
    return finding_of(member, selection, Outcome.HARM) is not None


def condemned(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """Harm is proven: the verdict is recorded now, its effect comes with the next pass."""
    finding = finding_of(member, selection, Outcome.HARM)
    if finding is None:
        return None
    now, status = selection.snapshot.now, member.status
    if version.spec.rollout.on_failure is OnFailure.FREEZE:
        return freeze(status, finding.reason, finding.message, now)
    return condemn(status, State.RolledBack, finding.reason, finding.message, now)


def is_stopped_now(member: Member, selection: Selection) -> bool:
    """A metric whose action is Pause has spoken in this pass: whoever spoke before did not know of it."""
    return finding_of(member, selection, Outcome.PAUSE) is not None


def stopped(member: Member, selection: Selection) -> Status | None:
    """By a metric whose action is Pause or by the deadline, now or before; a Held one when its cause is gone."""
    status = member.status
    found = [stop.reason for stop in standing(status)]
    finding = finding_of(member, selection, Outcome.PAUSE)
    late = Reason.DeadlineExceeded if overdue.is_new(member, selection) else None
    reason = next(iter(found), finding.reason if finding else late)
    held = member.held_for is not None and member.held_for not in UNPROVEN
    if reason is None or held or status.reason in {reason, Reason.PausedByPerson}:
        return None
    return stop(status, reason, selection.snapshot.now)


def without_stable(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Stable is dead, and the candidate carries its share: it waits, or proves itself by absolute tests alone."""
    now = selection.snapshot.now
    proceeds = version.spec.rollout.on_stable_unhealthy is OnStableUnhealthy.PROCEED
    passed = member.held_for is Reason.StableUnhealthy and finding_of(member, selection, Outcome.PASS)
    if proceeds and passed:
        return promote(member.status, Reason.PlanCompleted, capacity(selection, version), now)
    return hold(member.status, Reason.StableUnhealthy, now)


def beside_failing(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """Stable answers, and fails too often to be a control: no harm by comparison; what passes goes on in its plan."""
    now, status, step = selection.snapshot.now, member.status, current_step(member.status)
    look = selection.look if member is selection.candidate else None
    if look is None or look.outcome in SILENT:
        return status if member.held_for is Reason.StableFails else None
    runs = status.state is State.Progressing or member.held_for in UNPROVEN | {Reason.StableFails}
    is_judged = step is not None and step.analysis is not None and runs
    if not look.finding.stable_fails or not is_judged or version.spec.analysis.dry_run:
        return None
    proceeds = version.spec.rollout.on_stable_unhealthy is OnStableUnhealthy.PROCEED
    if proceeds and (look.outcome is Outcome.PASS or _advances(look, version)):
        return next_step(status, version, selection)
    return hold(status, Reason.StableFails, now, look.finding.stable_fails)


def _advances(look: Look, version: ModelVersion) -> bool:
    """The step's time is over without proof, and its owner lets it pass all the same."""
    analysis = version.spec.analysis
    policies = {
        Outcome.INCONCLUSIVE: analysis.on_inconclusive,
        Outcome.TOO_FEW_REQUESTS: analysis.on_too_few_requests,
    }
    return policies.get(look.outcome) is Unproven.ADVANCE and look.finding.may_advance


def analysing(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """An analysis step, whether it runs or is Held for want of proof."""
    status, now = member.status, selection.snapshot.now
    look = selection.look if member is selection.candidate else None
    outcome = look.outcome if look else None
    if look is None or outcome is None:
        return status if member.held_for in UNPROVEN else _going_on(status, selection)
    if outcome is Outcome.PASS:
        return next_step(status, version, selection)
    if outcome in SILENT:
        return _silent(member, version, selection, outcome, look.finding.message)
    if outcome in {Outcome.TOO_FEW_REQUESTS, Outcome.INCONCLUSIVE}:
        few, policies = outcome is Outcome.TOO_FEW_REQUESTS, version.spec.analysis
        policy = policies.on_too_few_requests if few else policies.on_inconclusive
        if policy is Unproven.ADVANCE and not look.finding.may_advance:
            policy = Unproven.HOLD
        return _by_policy(policy, status, version, selection, unproven_reason(outcome), look.finding.message)
    if member.held_for in SOURCE_REASONS:
        return resume(status, now)
    return status if member.held_for in UNPROVEN else _going_on(status, selection)


def _silent(member: Member, version: ModelVersion, selection: Selection, outcome: Outcome, message: str) -> Status:
    """No numbers: the step's clock stands, until they come or the grace is over."""
    status, now = member.status, selection.snapshot.now
    since = status.hold.since if status.hold and member.held_for in SOURCE_REASONS else None
    reason = unproven_reason(outcome)
    if since is not None and now - since >= version.spec.analysis.source_grace.delta:
        policy = version.spec.analysis.on_source_error
        if policy is not Unproven.HOLD:
            return _by_policy(policy, status, version, selection, reason, message)
    return hold(status, reason, now, message, since=since)


def _by_policy(
    policy: Unproven, status: Status, version: ModelVersion, selection: Selection, reason: Reason, message: str
) -> Status:
    now = selection.snapshot.now
    match policy:
        case Unproven.ADVANCE:
            return next_step(status, version, selection)
        case Unproven.ROLLBACK:
            return condemn(status, State.RolledBack, reason, message or reason.sentence, now)
    return hold(status, reason, now, message)


def _going_on(status: Status, selection: Selection) -> Status:
    return enter(status, State.Progressing, Reason.AwaitingEvidence, selection.snapshot.now)


def next_step(status: Status, version: ModelVersion, selection: Selection) -> Status:
    """The step is over: the next one begins, at the capacity of this moment."""
    index = status.step.index + 1 if status.step else 0
    return go_on(status, index, capacity(selection, version), selection.snapshot.now)

"""Progressing, Paused, Held, Promoting, RollingBack: while callers meet a candidate.

Death comes first, then a person's or a newer version's wish, then the stable side's health, then the plan.
"""

from datetime import timedelta

from turnout.api.reasons import Reason, State
from turnout.api.rollout import Verb
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.rollout.capacity import capacity, may_have, needed
from turnout.rollout.launching import redeploy
from turnout.rollout.record import (
    condemn_dead,
    end_attempt,
    enter,
    go_on,
    hold,
    resume,
    start_clock,
    stop_clock,
)
from turnout.rollout.selection import Member, Selection
from turnout.rollout.steps import current_step, weight_of

PATIENCE = timedelta(seconds=30)
"""How long a step may want for pods before the version is Held: a pod's usual start is no news."""


def interrupted(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """What goes before the plan in every state with traffic; None if nothing does."""
    now, status, death = selection.snapshot.now, member.status, member.death
    if member.revision is None:
        return redeploy(status, now)
    if death and (selection.stable is not None or selection.fallbacks):
        return condemn_dead(status, death, now) if death.own_fault else hold(status, death.reason, now)
    stable = selection.stable
    if stable and stable.death and not death and status.state is not State.Promoting:
        return hold(status, Reason.StableUnhealthy, now)
    paused = status.reason is Reason.PausedByPerson
    if version.spec.control.paused and not paused and status.state is not State.Promoting:
        return stop_clock(status, now)
    if paused and not version.spec.control.paused:
        return start_clock(status, now)
    return None


def progressing(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Go on to the next step once the weight of this one is observed with its pods."""
    status, now = member.status, selection.snapshot.now
    step, percent = current_step(status), weight_of(status)
    if status.step is None or step is None:
        return enter(status, State.Promoting, Reason.PlanCompleted, now)
    if step.verb is Verb.WARMUP:
        return _next(status, version, selection)
    if not may_have(selection, member, percent):
        waited = now - (status.step.started_at or now)
        if waited >= PATIENCE:
            return hold(status, Reason.TooLittleCapacity, now)
        return enter(status, State.Progressing, Reason.AwaitingCapacity, now)
    if not _holds(member, selection, percent):
        return enter(status, State.Progressing, Reason.AwaitingTraffic, now)
    return _next(status, version, selection)


def paused(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """A pause of the plan ends at its moment; a person's ends in `interrupted`."""
    status, now = member.status, selection.snapshot.now
    if status.reason is Reason.PausedByPerson:
        return status
    if status.step is None or status.step.deadline is None:
        return resume(status, now)
    if now < status.step.deadline:
        return status
    return _next(status, version, selection)


def held(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Go back to the step as soon as the cause has gone."""
    status, now = member.status, selection.snapshot.now
    reason = status.hold.reason if status.hold else None
    if reason is Reason.RollbackBlocked:
        return status if _stable_is_dead(selection) else enter(status, State.RollingBack, _why(status), now)
    if reason in {Reason.Evicted, Reason.RevisionGone, Reason.TooLittleCapacity}:
        percent = max(weight_of(status), 1)
        return resume(status, now) if may_have(selection, member, percent) else status
    return resume(status, now)


def promoting(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Become stable once everything is observed to go here and the pods for it are ready."""
    status, now = member.status, selection.snapshot.now
    if selection.stable is None and member.death:
        return enter(status, State.Promoting, Reason.NothingLives, now)
    if promotion_is_done(member, selection):
        return end_attempt(
            status, State.Live, _promotion_reason(status), now,
            promoted_at=now, replaced_at=None, scale_down_at=None, verdict=None,
        )  # fmt: skip
    if member.ready_pods < needed(member, 100):
        return enter(status, State.Promoting, Reason.AwaitingCapacity, now)
    return enter(status, State.Promoting, Reason.AwaitingTraffic, now)


def promotion_is_done(member: Member, selection: Selection) -> bool:
    """Observed 100, in sync, rolled out and alive."""
    return (
        member.state is State.Promoting
        and not member.death
        and _holds(member, selection, 100)
        and member.ready_pods >= needed(member, 100)
    )


def rolling_back(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Over once it is observed to have no share and stable lives; with stable dead, the living side keeps it."""
    status, now = member.status, selection.snapshot.now
    if _stable_is_dead(selection) and member.ready_pods:
        return hold(status, Reason.RollbackBlocked, now)
    route = selection.route
    if member.observed_percent or (route is not None and not route.in_sync):
        return status
    outcome = status.verdict.outcome if status.verdict else None
    delay = version.spec.rollout.abort_scale_down_delay.delta
    return end_attempt(status, outcome or State.RolledBack, _why(status), now, scale_down_at=now + delay)


def _next(status: Status, version: ModelVersion, selection: Selection) -> Status:
    index = status.step.index + 1 if status.step else 0
    size = capacity(selection, version)
    return go_on(status, index, Reason.StepInProgress, selection.snapshot.now, capacity=size)


def _holds(member: Member, selection: Selection, percent: int) -> bool:
    route = selection.route
    return route is not None and route.in_sync and member.observed_percent == percent


def _stable_is_dead(selection: Selection) -> bool:
    return selection.stable is not None and selection.stable.death is not None


def _why(status: Status) -> Reason:
    return (status.verdict.reason if status.verdict else None) or Reason.Crashed


def _promotion_reason(status: Status) -> Reason:
    return Reason.FastReturn if status.promoted_at else Reason.Promoted

"""Progressing, Paused, Held, Promoting, RollingBack: while callers meet a candidate.

Death comes first, then a person's or a newer version's wish, then the stable side's health, then the plan.
"""

from datetime import datetime, timedelta

from turnout.api.reasons import Reason, State
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.rollout import controls, evidence, failing, proving
from turnout.rollout.capacity import capacity, is_stable_whole, may_have, needed
from turnout.rollout.failing import outcome_of, why_condemned
from turnout.rollout.launching import redeploy
from turnout.rollout.record import condemn_dead, end_attempt, enter, hold, pause, promote, resume
from turnout.rollout.selection import TAKEN_AWAY, Member, Selection
from turnout.rollout.split import desired_weights
from turnout.rollout.steps import current_step, weight_of
from turnout.rollout.stops import standing

PATIENCE = timedelta(seconds=30)
"""How long a step may want for pods before the version is Held, or the cause told: a pod's usual start is no news."""


def interrupted(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """What goes before the plan in every state with traffic; None if nothing does."""
    now, status, death = selection.snapshot.now, member.status, member.death
    if status.step is None:
        return redeploy(status, version, Reason.AwaitingRevision, now)
    if member.revision is None:
        return redeploy(status, version, Reason.RevisionReplaced, now)
    others = selection.stable is not None or bool(selection.fallbacks)
    if death and others and death.own_fault:
        return condemn_dead(status, death, now)
    decided = proving.condemned(member, version, selection)  # its poll is not looked at again
    if death and others and decided is None:
        return hold(status, death.reason, now)
    fresh = proving.is_stopped_now(member, selection)
    decided = decided or (None if fresh else controls.promoted_fully(member, version, selection))
    if decided is not None:
        return decided
    if status.state is State.Promoting:
        committed = member.observed_percent == 100 or selection.stable is None
        return None if committed else _stopped(member, version, selection)
    if selection.stable_is_down and not death:
        return proving.without_stable(member, version, selection)
    moved = None if fresh or controls.is_paused(member, version) else controls.moved_on(member, version, selection)
    return moved or _stopped(member, version, selection) or proving.beside_failing(member, version, selection)


def _stopped(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    status, now = member.status, selection.snapshot.now
    by_person = _paused_by_person(member, version, now)
    if by_person is None and status.reason is Reason.DeadlineExceeded and not standing(status):
        return resume(status, now)  # it was put off
    return by_person or proving.stopped(member, selection)


def _paused_by_person(member: Member, version: ModelVersion, now: datetime) -> Status | None:
    status = member.status
    paused = status.reason is Reason.PausedByPerson
    if controls.is_paused(member, version):
        return None if paused else pause(status, controls.given(member), now)
    return resume(status, now) if paused else None


def progressing(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Go on to the next step once the weight of this one is observed with its pods."""
    status, now = member.status, selection.snapshot.now
    percent, step = weight_of(status), current_step(status)
    if step is None or status.step is None:
        return resume(status, now)
    if _is_alone(member, selection):
        return promote(status, Reason.StableGone, capacity(selection, version), now)
    if not may_have(selection, member, percent):
        if now >= pods_are_awaited_until(status, now):
            return hold(status, Reason.TooLittleCapacity, now)
        return enter(status, State.Progressing, Reason.AwaitingCapacity, now)
    if not _holds(member, selection, percent):
        return enter(status, State.Progressing, Reason.AwaitingTraffic, now)
    if step.analysis is not None:
        return proving.analysing(member, version, selection)
    return proving.next_step(status, version, selection)


def pods_are_awaited_until(status: Status, now: datetime) -> datetime:
    """Counted anew where the step goes on after a pause or a hold: its pods may have been sent away meanwhile."""
    moments = (status.step.started_at if status.step else None, status.state_since)
    return max((moment for moment in moments if moment), default=now) + PATIENCE


def paused(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """A pause of the plan ends at its moment, if it has one; what a person must end, ends in `interrupted`."""
    status, now, step = member.status, selection.snapshot.now, current_step(member.status)
    if status.reason is Reason.PausedByPerson or standing(status):
        return status
    if status.step is None or step is None or (step.pause is None and step.approval is None):
        return resume(status, now)
    if _is_alone(member, selection):
        return promote(status, Reason.StableGone, capacity(selection, version), now)
    if not member.written_percent and not may_have(selection, member, weight_of(status)):
        return hold(status, Reason.TooLittleCapacity, now)  # dropped, and who dropped it died before it wrote that down
    if status.step.deadline is None or now < status.step.deadline:
        return status
    return proving.next_step(status, version, selection)


def held(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Go back to the step as soon as the cause has gone."""
    status, now = member.status, selection.snapshot.now
    reason = member.held_for
    if reason is Reason.RollbackBlocked:
        if not _must_carry_on(member, selection):
            return enter(status, State.RollingBack, why_condemned(status), now)
        return failing.taken_all_the_same(member, version, selection) or status
    if reason in evidence.UNPROVEN:
        return proving.analysing(member, version, selection)
    if reason in TAKEN_AWAY or reason is Reason.TooLittleCapacity:
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
        is_late = status.step is not None and now >= pods_are_awaited_until(status, now)
        reason = Reason.TooLittleCapacity if is_late else Reason.AwaitingCapacity
        return enter(status, State.Promoting, reason, now)
    return enter(status, State.Promoting, Reason.AwaitingTraffic, now)


def promotion_is_done(member: Member, selection: Selection) -> bool:
    """Observed 100, in sync, rolled out and alive."""
    return (
        member.state is State.Promoting
        and not member.death
        and not member.is_aborted
        and not proving.is_harmful(member, selection)
        and _holds(member, selection, 100)
        and member.ready_pods >= needed(member, 100)
    )


def rolling_back(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Over once it is observed to have no share; where nothing else lives, it keeps that and waits."""
    status, now, route = member.status, selection.snapshot.now, selection.route
    if _must_carry_on(member, selection):
        return hold(status, Reason.RollbackBlocked, now)
    had_a_share = status.step is not None
    if route is not None and (member.observed_percent or (had_a_share and not route.in_sync)):
        return status
    waits_until = stable_is_awaited_until(version, status)
    if waits_until and now < waits_until and not selection.stable_is_down and not is_stable_whole(selection, member):
        return status
    delay = version.spec.rollout.abort_scale_down_delay.delta
    return end_attempt(status, outcome_of(status), why_condemned(status), now, scale_down_at=now + delay)


def stable_is_awaited_until(version: ModelVersion, status: Status) -> datetime | None:
    """How long stable may take to have all its pods again: they may want the room that these still hold."""
    found = status.verdict.at if status.verdict else None
    return found + version.spec.rollout.abort_scale_down_delay.delta if found else None


def _must_carry_on(member: Member, selection: Selection) -> bool:
    return desired_weights(selection).get(member.name, 0) > 0


def _holds(member: Member, selection: Selection, percent: int) -> bool:
    route = selection.route
    return route is not None and route.in_sync and member.observed_percent == percent


def _is_alone(member: Member, selection: Selection) -> bool:
    """There is nothing left to take its share from, to compare it with or to go back to."""
    return selection.stable is None and _holds(member, selection, 100)


def _promotion_reason(status: Status) -> Reason:
    return Reason.FastReturn if status.promoted_at else Reason.Promoted

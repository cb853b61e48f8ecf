"""States outside a rollout: waiting for a turn, stable, kept, put away, refused."""

from turnout.api.plan import resolve_plan
from turnout.api.reasons import Reason, State
from turnout.api.status import RevisionStatus, Status
from turnout.api.version import Desired, ModelVersion
from turnout.rollout import controls
from turnout.rollout.capacity import capacity
from turnout.rollout.evidence import forgotten
from turnout.rollout.failing import is_as_recorded, remembered, retired
from turnout.rollout.record import begin_attempt, enter, hold, promote, resolve
from turnout.rollout.selection import Member, Selection
from turnout.rollout.traffic import promotion_is_done
from turnout.rollout.window import in_window

UNTOUCHED = frozenset({None, State.Pending, State.Queued, State.Rejected, State.Standby})
"""States in which a refusal stops a version; one that is deployed goes on and only says so."""


def refused(member: Member, selection: Selection) -> Status | None:
    """Reject a version that nothing runs for; take a Rejected one up again when its cause has gone."""
    problem = selection.refused.get(member.name)
    now = selection.snapshot.now
    if problem is None:
        if member.state is State.Rejected:
            return enter(member.status, State.Pending, Reason.AwaitingReconcile, now)
        return None
    if member.state not in UNTOUCHED or member.status.promoted_at:
        return None
    return enter(member.status, State.Rejected, problem.reason, now)


def newcomer(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Nobody has looked at it yet; or its status was lost while it serves."""
    now = selection.snapshot.now
    if member is selection.stable:
        return _adopted(member, version, State.Live, selection)
    if member.is_aborted and member.deployment:
        return controls.abort_of_a_wait(member.status, selection)  # as it was, and what runs it is kept for a look
    if member.deployment and member.revision:
        return _adopted(member, version, State.Standby, selection)
    return enter(member.status, State.Pending, Reason.AwaitingReconcile, now)


def _adopted(member: Member, version: ModelVersion, state: State, selection: Selection) -> Status:
    """What is not known of it counts against it: only who serves most is taken for promoted."""
    now, revision = selection.snapshot.now, member.revision
    return enter(
        member.status, state, Reason.Adopted, now, attempt=1, resolved=resolve(member, version, selection.snapshot),
        revision=RevisionStatus(name=revision.name, uid=revision.uid) if revision else None,
        promoted_at=now if state is State.Live else None,
        spec_hash=member.deployment.spec_hash if member.deployment else "",
    )  # fmt: skip


def pending(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Begin an attempt if it is the target and no other rollout runs."""
    now, trouble = selection.snapshot.now, selection.snapshot.trouble
    if member.is_aborted:
        return controls.abort_of_a_wait(member.status, selection)
    if member is not selection.target:
        return enter(member.status, State.Standby, _why_not_target(version), now)
    if trouble:
        return enter(member.status, State.Pending, trouble.reason, now)
    if not selection.slot_is_free_for(member):
        return enter(member.status, State.Queued, Reason.QueuedBehind, now)
    if not is_as_recorded(member, version):
        return enter(member.status, State.Pending, Reason.RevisionReplaced, now)
    return begin_attempt(member, version, selection, capacity(selection, version))


def queued(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Wait until the slot is free; a version that is the target no more, or is aborted, waits no more."""
    if member.is_aborted:
        return controls.abort_of_a_wait(member.status, selection)
    if member is selection.target and not selection.slot_is_free_for(member):
        return member.status
    return enter(member.status, State.Pending, Reason.AwaitingReconcile, selection.snapshot.now)


def standby(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Return the fast way if it was promoted before and is still in the window; else by a whole rollout."""
    now, status = selection.snapshot.now, member.status
    if member is selection.target:
        if not selection.slot_is_free_for(member):
            return enter(status, State.Queued, Reason.QueuedBehind, now)
        if status.promoted_at and member.revision and in_window(member, version, selection):
            return _return(member, version, selection)
        return enter(status, State.Pending, Reason.AwaitingReconcile, now)
    if status.promoted_at and not in_window(member, version, selection) and not member.observed_percent:
        return enter(status, State.Archived, Reason.OutsideRollbackWindow, now, scale_down_at=None)
    return enter(status, State.Standby, _why_not_target(version), now)


def _return(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """The fast way back: callers know it, so it needs its pods and no plan."""
    now = selection.snapshot.now
    attempt = member.status.model_copy(update={"plan": resolve_plan(version.spec).status(), "analysis": forgotten(now)})
    return promote(
        attempt, Reason.FastReturn, capacity(selection, version), now,
        rollout_started_at=now, attempt=attempt.attempt + 1, scale_down_at=None, verdict=None,
    )  # fmt: skip


def waits_for_target(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Superseded, Archived: up again if it is the target again."""
    if member is not selection.target:
        return member.status
    return enter(member.status, State.Pending, Reason.AwaitingReconcile, selection.snapshot.now)


def stays(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """A state of another release."""
    return member.status


def unwanted(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """The spec says Standby or Retired, outside a rollout; None where that changes nothing."""
    now, status = selection.snapshot.now, member.status
    if version.spec.desired is Desired.RETIRED:
        if member.observed_percent:
            return None
        known = remembered(status)
        return enter(status, State.Retired, Reason.RetiredByRequest, now, scale_down_at=None, verdict=known)
    if status.failed:
        return retired(member, version, selection) if member.state is State.Retired else None
    if member.state in {None, State.Pending, State.Queued, State.Superseded, State.Retired}:
        return enter(status, State.Standby, Reason.StandbyRequested, now)
    return None


def stable_transition(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """The stable version: replaced, fallen back from, re-pinned, or as it was."""
    now, status = selection.snapshot.now, member.status
    successor = selection.candidate
    if member is not selection.stable or (successor and promotion_is_done(successor, selection)):
        return replaced(member, version, selection, successor)
    if member.was_replaced:
        status = _repinned(member, selection)
    if member.is_down and selection.fallbacks:
        return hold(status, Reason.LivingFallback, now)
    if member.death:
        return enter(status, State.Live, member.death.reason, now)
    if version.spec.desired is not Desired.LIVE and selection.target is None:
        return enter(status, State.Live, Reason.LastServing, now)
    return enter(status, State.Live, Reason.Promoted, now)


def _repinned(member: Member, selection: Selection) -> Status:
    """Remade under the same name: pinned anew once its pods are ready, or at once if nothing else serves."""
    found = member.deployment.revision if member.deployment else None
    alone = not selection.fallbacks and selection.candidate is None
    if found is None or not found.servable or not (found.ready_pods or alone):
        return member.status
    pin = RevisionStatus(name=found.name, uid=found.uid)
    return member.status.model_copy(update={"revision": pin})


def replaced(member: Member, version: ModelVersion, selection: Selection, successor: Member | None) -> Status:
    """Keep its pods for a while as the instant way back."""
    now = selection.snapshot.now
    keeper = (successor or selection.stable or member).version or version
    until = now + keeper.spec.rollout.promoted_scale_down_delay.delta
    return enter(member.status, State.Standby, Reason.Replaced, now, replaced_at=now, scale_down_at=until, step=None)


def _why_not_target(version: ModelVersion) -> Reason:
    if version.metadata.is_leaving:
        return Reason.BeingDeleted
    return Reason.NotTheTarget if version.spec.desired is Desired.LIVE else Reason.StandbyRequested

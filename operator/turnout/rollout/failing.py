"""An attempt that has failed: what ends a Frozen one, what stays known of it, and what begins the next attempt.

What was found bad stays so, whatever else is wished of it meanwhile: only a new retry token leads on.
"""

from datetime import datetime

from turnout.api.reasons import Reason, State
from turnout.api.rollout import OnSupersede
from turnout.api.status import Status, Verdict
from turnout.api.version import Desired, ModelVersion
from turnout.rollout import controls
from turnout.rollout.identity import spec_hash
from turnout.rollout.record import condemn, end_attempt, enter
from turnout.rollout.retrying import tries_again_at
from turnout.rollout.selection import Member, Selection

WITHDRAWN = frozenset({State.Standby, State.Retired})
"""Outcomes of who was found no fault with."""


def failed(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """RolledBack, Aborted, Failed: a person's token leads on; a Failed one is also tried again by itself, counted."""
    noted = controls.retried(member, version)
    if noted is not None:
        return _again(noted, selection)
    due = tries_again_at(version, member.status)
    if due is None or selection.snapshot.now < due or not _would_be_target(member, selection):
        return member.status
    return _again(member.status.model_copy(update={"retries": member.status.retries + 1}), selection)


def _again(status: Status, selection: Selection) -> Status:
    now = selection.snapshot.now
    return enter(status, State.Pending, Reason.AwaitingReconcile, now, analysis=None, step=None, verdict=None)


def retired(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Wanted again: one that had failed waits for a new token, as it did before."""
    noted, status, now = controls.retried(member, version), member.status, selection.snapshot.now
    if noted is not None:
        return _again(noted, selection)
    if status.failed is None or status.verdict is None:
        return enter(status, State.Pending, Reason.AwaitingReconcile, now)
    return enter(status, status.failed, status.verdict.reason or Reason.Crashed, now)


def remembered(status: Status) -> Verdict | None:
    """What is kept of a failed attempt when its version is retired."""
    if status.failed is None:
        return status.verdict
    known = status.verdict or Verdict(reason=status.reason, at=status.state_since)
    return known.model_copy(update={"outcome": status.failed})


def withdrawn(status: Status, version: ModelVersion, now: datetime) -> Status:
    """A person wants it to live no more."""
    desired = version.spec.desired
    if is_judged(status):
        return as_judged(status, now)
    outcome = State.Retired if desired is Desired.RETIRED else State.Standby
    if version.metadata.is_leaving:
        return condemn(status, outcome, Reason.BeingDeleted, "it is being deleted", now)
    return condemn(status, outcome, Reason.Withdrawn, f"desired was set to {desired}", now)


def is_judged(status: Status) -> bool:
    """Found harmful in this attempt, and with a share all the same: by policy, or because a person overruled that."""
    return status.verdict is not None and status.verdict.outcome in {State.Frozen, State.RolledBack}


def as_judged(status: Status, now: datetime, besides: str = "") -> Status:
    """Out of the split for what it was frozen for, whatever happens to it besides."""
    verdict = status.verdict or Verdict(reason=status.reason)
    reason = verdict.reason or Reason.Superseded
    says = "; ".join(filter(None, (verdict.message or reason.sentence.rstrip("."), besides)))
    return condemn(status, State.RolledBack, reason, says, now, verdict.at)


def outcome_of(status: Status) -> State:
    """Where a rollback leads."""
    outcome = status.verdict.outcome if status.verdict else None
    return outcome if outcome in OUTCOMES else State.RolledBack


def why_condemned(status: Status) -> Reason:
    return (status.verdict.reason if status.verdict else None) or Reason.Crashed


OUTCOMES = frozenset({State.RolledBack, State.Aborted, *WITHDRAWN})


def taken_all_the_same(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """Condemned, it carries on because nothing else lives, and is wanted again; None where nobody says so.

    A person overrules the verdict, by a new attempt or by making it stable; who had withdrawn it may want it back.
    """
    status, outcome = controls.retried(member, version), outcome_of(member.status)
    if status is None and outcome in WITHDRAWN and member is selection.target:
        status = member.status
    if status is None:
        return controls.promoted_fully(member, version, selection)
    return _again(end_attempt(status, outcome, why_condemned(status), selection.snapshot.now), selection)


def _would_be_target(member: Member, selection: Selection) -> bool:
    return selection.target is None or selection.target.number < member.number


def is_as_recorded(member: Member, version: ModelVersion) -> bool:
    """What runs it may be used again: made of this very spec, and the revision that was pinned, or none."""
    deployment = member.deployment
    if deployment is None or deployment.leaving:
        return True
    lost = member.status.revision is not None and member.revision is None
    return deployment.spec_hash == spec_hash(version) and not lost


def frozen(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Judged harmful, it keeps its share and waits for a person, or for a newer version to take its place."""
    now, status = selection.snapshot.now, member.status
    if member.is_aborted:
        return controls.abort(status, selection)
    if version.spec.desired is not Desired.LIVE or version.metadata.is_leaving:
        return as_judged(status, now)
    if member.death or member.revision is None:
        found = member.death.message if member.death else Reason.RevisionGone.sentence.rstrip(".")
        return as_judged(status, now, f"then {found}")
    if _is_replaced(member, selection):
        return as_judged(status, now)
    noted = controls.retried(member, version)
    if noted is not None:
        return _again(noted, selection)
    return controls.promoted_fully(member, version, selection) or status


def _is_replaced(member: Member, selection: Selection) -> bool:
    target = selection.target
    if target is None or target is selection.stable or target.version is None:
        return False
    return target is not member and target.version.spec.rollout.on_supersede is OnSupersede.RESTART

"""An attempt that has failed: what ends a Frozen one, and what begins the next attempt."""

from turnout.api.reasons import Reason, State
from turnout.api.rollout import OnSupersede
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.rollout import controls
from turnout.rollout.identity import spec_hash
from turnout.rollout.record import condemn, enter
from turnout.rollout.retrying import tries_again_at
from turnout.rollout.selection import Member, Selection


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
    return enter(status, State.Pending, Reason.AwaitingReconcile, selection.snapshot.now, analysis=None, step=None)


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
    if controls.is_aborted(member):
        return controls.abort(status, selection)
    if version.spec.desired is not Desired.LIVE:
        outcome = State.Retired if version.spec.desired is Desired.RETIRED else State.Standby
        return condemn(status, outcome, Reason.Withdrawn, f"desired was set to {version.spec.desired}", now)
    if member.death or member.revision is None:
        why = member.death or None
        return condemn(
            status, State.RolledBack, why.reason if why else Reason.RevisionGone,
            why.message if why else Reason.RevisionGone.sentence, now,
        )  # fmt: skip
    if _is_replaced(member, selection):
        verdict = status.verdict
        reason = verdict.reason if verdict and verdict.reason else Reason.Superseded
        return condemn(status, State.RolledBack, reason, verdict.message if verdict else reason.sentence, now)
    noted = controls.retried(member, version)
    if noted is not None:
        return _again(noted, selection)
    return controls.promoted_fully(member, version, selection) or status


def _is_replaced(member: Member, selection: Selection) -> bool:
    target = selection.target
    if target is None or target is selection.stable or target.version is None:
        return False
    return target is not member and target.version.spec.rollout.on_supersede is OnSupersede.RESTART

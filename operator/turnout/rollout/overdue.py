"""The deadline of a whole attempt: once it is over, no planned rise until a person promotes, or gives it more time.

It stops a plan as a metric does whose action is Pause; harm and the readiness net work on. The first of its model and
one on the fast way back have no plan to stop: it is only told of them.
"""

from datetime import datetime

from turnout.api.judgement import Stop
from turnout.api.reasons import ROLLOUT_STATES, Reason, State
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.rollout.controls import given
from turnout.rollout.selection import TRAFFIC_STATES, Member, Selection, is_stable_state
from turnout.rollout.steps import reached, weight_of

METRIC = "deadline"
RUNNING = ROLLOUT_STATES - {State.RollingBack}


def overdue_since(member: Member, status: Status, now: datetime) -> datetime | None:
    """Since when the attempt takes longer than its deadline; None while it does not, or a person has let it go on."""
    runs = status.state in RUNNING and not is_stable_state(status) and not _only_carries_on(status)
    known = _stop(status)
    if member.version is None or not runs or (known and known.lifted_at):
        return None
    end = _end(status, member.version)
    return end if end and now >= end else None


def is_new(member: Member, selection: Selection) -> bool:
    """It is over, and that is not recorded yet: what is to stop its plan from this pass on."""
    return _stop(member.status) is None and _is_to_stop(member, member.status, selection)


def noted(member: Member, version: ModelVersion, after: Status, selection: Selection) -> Status:
    """With the stop, once it is due; without it where the deadline was put off, or no plan is left to stop.

    Whoever promotes when it is over has seen that, also before any caller has met it.
    """
    known, now, end = _stop(after), selection.snapshot.now, _end(after, version)
    if known is None and after.state in TRAFFIC_STATES and _is_to_stop(member, after, selection):
        full_at = after.control.full_at
        asked = after.control.promote_token != member.status.control.promote_token
        asked = asked or (full_at is not None and end is not None and full_at >= end)
        found = Stop(
            reason=Reason.DeadlineExceeded, metric=METRIC, at=now, weight=_kept(member, selection),
            message=f"it takes longer than its deadline of {version.spec.rollout.deadline}",
            lifted_at=now if asked else None,
        )  # fmt: skip
        return after.model_copy(update={"stops": (*after.stops, found)})
    if known is None:
        return after
    is_idle = known.lifted_at is None and not _is_to_stop(member, after, selection)
    if is_idle or not _is_over(after, version, now):
        return after.model_copy(update={"stops": tuple(stop for stop in after.stops if stop is not known)})
    return after


def _stop(status: Status) -> Stop | None:
    return next((stop for stop in status.stops if stop.reason is Reason.DeadlineExceeded), None)


def _is_to_stop(member: Member, status: Status, selection: Selection) -> bool:
    version = member.version
    is_over = version is not None and _is_over(status, version, selection.snapshot.now)
    return is_over and has_a_plan(member, status, selection) and not _only_carries_on(status)


def has_a_plan(member: Member, status: Status, selection: Selection) -> bool:
    """There is something that it would go on with, and a stable version to take it from."""
    return selection.stable not in (None, member) and status.promoted_at is None


def _is_over(status: Status, version: ModelVersion, now: datetime) -> bool:
    end = _end(status, version)
    return end is not None and now >= end


def _end(status: Status, version: ModelVersion) -> datetime | None:
    started = status.rollout_started_at
    return started + version.spec.rollout.deadline.delta if started else None


def _only_carries_on(status: Status) -> bool:
    """Its attempt has ended: it serves because nothing else lives."""
    return status.hold is not None and status.hold.reason is Reason.RollbackBlocked


def _kept(member: Member, selection: Selection) -> int:
    """What it has of its plan in percent: no more than what is written, unless that is away with its pods."""
    has = 0 if selection.stable_is_down else given(member)  # all of it, while it carries stable's
    return min(max(has, reached(member.status)), weight_of(member.status))

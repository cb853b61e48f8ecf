"""How a transition is written down. Pure changes of one Status; every moment is the Snapshot's."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from turnout.api.plan import resolve_plan
from turnout.api.reasons import Reason, State
from turnout.api.scalars import Duration
from turnout.api.status import Attempt, Hold, ResolvedStatus, Status, StepPause, StepStatus, Verdict, WeightStatus
from turnout.api.version import ModelVersion
from turnout.rollout.health import Death
from turnout.rollout.identity import spec_hash
from turnout.rollout.made_of import why_not_the_same
from turnout.rollout.rendering import template_hash
from turnout.rollout.selection import Member, Selection
from turnout.rollout.snapshot import Snapshot
from turnout.rollout.steps import enter_step, phase_of, remaining, steps_of
from turnout.rollout.stops import standing

HISTORY = 5
"""Attempts that are kept, for people."""
NOT_PAUSED: Mapping[str, None] = {"paused_since": None, "paused_weight": None}


def enter(status: Status, state: State, reason: Reason, now: datetime, **facts: Any) -> Status:
    """Record a state and its reason; the state's moment changes only if the state does.

    `facts` are further fields of Status. What belongs to the state before (a hold, a stopped clock) is cleared
    unless it is named.
    """
    since = status.state_since if status.state is state else now
    cleared: dict[str, Any] = {"hold": None} if state is not State.Held else {}
    update = {**cleared, "state": state, "reason": reason, "state_since": since, **facts}
    return status.model_copy(update=update)


def hold(status: Status, reason: Reason, now: datetime, message: str = "", since: datetime | None = None) -> Status:
    """Wait; the hold's own moment is that of its reason, or `since` where it only goes on for another."""
    if status.state is State.Held and status.hold and status.hold.reason is reason:
        return status
    begun = Hold(reason=reason, since=since or now, message=message)
    return enter(status, State.Held, reason, now, hold=begun, step=_stand_still(status, now))


def resolve(member: Member, version: ModelVersion, snapshot: Snapshot) -> ResolvedStatus:
    """The image and the template of a version: as recorded once it has been made; before that as they are now.

    So an attempt that failed for want of an image is not bound to that, and a version that callers have met never
    changes.
    """
    known, status = member.status.resolved, member.status
    was_made = status.revision or status.promoted_at or (member.deployment and member.deployment.uid)
    if known and known.image and was_made:
        return known
    wished, images = version.spec.predictor.image, snapshot.images
    image = "" if images is None else wished or images.get(version.spec.predictor.runtime, "")
    return ResolvedStatus(image=image, template_hash=template_hash(version, image))


def begin_attempt(member: Member, version: ModelVersion, selection: Selection, size: int) -> Status:
    """Number the attempt, take the snapshot of its plan and of what it becomes, and start to deploy.

    One that was promoted returns without its plan only where what runs it is still there, or is the same made again.
    """
    now = selection.snapshot.now
    digest = spec_hash(version)
    resolved = resolve(member, version, selection.snapshot)
    is_there = member.deployment is not None and member.deployment.uid and not member.deployment.leaving
    is_known = is_there or not why_not_the_same(member.status, version)
    return enter(
        member.status, State.Deploying, Reason.AwaitingRevision, now,
        attempt=member.status.attempt + 1, plan=resolve_plan(version.spec).status(), step=None,
        rollout_started_at=now, progress_since=now, capacity=size, resolved=resolved, spec_hash=digest,
        revision=None, verdict=None, scale_down_at=None, weight=WeightStatus(), analysis=None, stops=(),
        promoted_at=member.status.promoted_at if is_known else None,
        control=member.status.control.model_copy(update={"aborted_at": None, "full_at": None, **NOT_PAUSED}),
    )  # fmt: skip


def condemn(
    status: Status, outcome: State, reason: Reason, message: str, now: datetime, found: datetime | None = None
) -> Status:
    """Write the verdict down before the effect that it causes; the share goes in the next pass at the latest."""
    verdict = Verdict(outcome=outcome, reason=reason, message=message, at=found or now)
    return enter(status, State.RollingBack, reason, now, verdict=verdict, step=_ended(status))


def freeze(status: Status, reason: Reason, message: str, now: datetime) -> Status:
    """Write the verdict down and keep the share: a person decides."""
    verdict = Verdict(outcome=State.Frozen, reason=reason, message=message, at=now)
    return end_attempt(status, State.Frozen, reason, now, verdict=verdict, step=_ended(status))


def condemn_dead(status: Status, death: Death, now: datetime) -> Status:
    return condemn(status, State.RolledBack, death.reason, death.message, now)


def end_attempt(status: Status, outcome: State, reason: Reason, now: datetime, **facts: Any) -> Status:
    """Enter the state in which an attempt ends, with a line for its history."""
    attempt = max(status.attempt, 1)
    frozen = next((each for each in status.history if (each.attempt, each.outcome) == (attempt, State.Frozen)), None)
    is_overruled = outcome is State.Live
    line = Attempt(
        attempt=attempt,
        outcome=outcome.value,
        reason=frozen.reason if frozen and not is_overruled else reason.value,
        started_at=status.rollout_started_at,
        finished_at=now,
        max_weight=100 if outcome is State.Live else status.weight.most,
    )
    others = tuple(each for each in status.history if each.attempt != attempt or is_overruled)
    history = (*others, line)[-HISTORY:]
    return enter(status, outcome, reason, now, history=history, stops=(), **facts)


def _ended(status: Status) -> StepStatus | None:
    return status.step.model_copy(update={"paused": None, "deadline": None}) if status.step else None


def go_on(status: Status, index: int, size: int, now: datetime) -> Status:
    """Begin the step of `index` at that capacity; behind the last there is only promotion."""
    step = enter_step(status, index, now)
    return resume(status.model_copy(update={"step": step, "capacity": size}), now)


def promote(status: Status, reason: Reason, size: int, now: datetime, **facts: Any) -> Status:
    """Go behind the last step at once: everything, as soon as its pods are ready."""
    step = StepStatus(index=len(steps_of(status)), started_at=now)
    return enter(status, State.Promoting, reason, now, capacity=size, step=step, **facts)


def pause(status: Status, given: int, now: datetime) -> Status:
    """A person pauses: the step keeps what is left of it, and the version the share that it has, in percent.

    It may have been held meanwhile: the pause is the same.
    """
    control = status.control
    if control.paused_since is None:
        control = control.model_copy(update={"paused_since": now, "paused_weight": given})
    step = _stand_still(status, now)
    return enter(status, State.Paused, Reason.PausedByPerson, now, step=step, control=control)


def stop(status: Status, reason: Reason, now: datetime) -> Status:
    """A metric pauses: a person is to look at it, so nothing ends that by itself."""
    return enter(status, State.Paused, reason, now, step=_stand_still(status, now))


def resume(status: Status, now: datetime) -> Status:
    """The state in which the recorded step runs, as if the time in between had not been; if nothing else stops it."""
    control = status.control.model_copy(update=NOT_PAUSED)
    for found in standing(status):
        if found.reason is not None:
            return stop(status.model_copy(update={"control": control}), found.reason, now)
    step = _run_on(status, now)
    if step is None or step.index >= len(steps_of(status)):
        return enter(status, State.Promoting, Reason.PlanCompleted, now, step=step, control=control)
    state, reason = phase_of(steps_of(status)[step.index])
    return enter(status, state, reason, now, step=step, control=control)


def _stand_still(status: Status, now: datetime) -> StepStatus | None:
    """The step with its clock stopped; a clock that stands keeps what it had left."""
    step = status.step
    left = remaining(step, now) if step and step.paused is None else None
    if step is None or left is None:
        return step
    return step.model_copy(update={"paused": StepPause(since=now, remaining=Duration.of(left)), "deadline": None})


def _run_on(status: Status, now: datetime) -> StepStatus | None:
    step = status.step
    if step is None or step.paused is None:
        return step
    left = step.paused.remaining
    return step.model_copy(update={"paused": None, "deadline": now + left.delta if left else None})

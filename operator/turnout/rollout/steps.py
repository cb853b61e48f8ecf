"""A plan's steps: which weight is in force, what comes next, when a step is over. All from the recorded status."""

from datetime import datetime, timedelta

from turnout.api.reasons import Reason, State
from turnout.api.rollout import Step, Verb
from turnout.api.status import Status, StepStatus


def steps_of(status: Status) -> tuple[Step, ...]:
    return status.plan.steps if status.plan else ()


def current_step(status: Status) -> Step | None:
    """The step that runs; None before the first and behind the last."""
    steps = steps_of(status)
    return steps[status.step.index] if status.step and status.step.index < len(steps) else None


def phase_of(step: Step) -> tuple[State, Reason]:
    """What a version does while this step runs."""
    if step.approval is not None:
        return State.Paused, Reason.AwaitingApproval
    if step.pause is not None:
        return State.Paused, Reason.PausedByPlan
    if step.analysis is not None:
        return State.Progressing, Reason.AwaitingEvidence
    if step.set_weight is not None:
        return State.Progressing, Reason.AwaitingTraffic
    return State.Progressing, Reason.StepInProgress


def longest(step: Step) -> timedelta | None:
    """After how long the step ends, or gives up; None where it has no end of its own."""
    if step.pause is not None and step.pause.duration is not None:
        return step.pause.duration.delta
    return step.analysis.max_duration.delta if step.analysis is not None else None


def elapsed(status: Status, at: datetime) -> timedelta:
    """How long the step's own clock has run by then; it stands still while the version is Held or Paused."""
    step, whole = current_step(status), None
    if step is not None and status.step is not None:
        whole, left = longest(step), remaining(status.step, at)
    if whole is None or left is None:
        return timedelta()
    return max(whole - left, timedelta())


def weight_of(status: Status) -> int:
    """The percent that the plan has reached: that of the last setWeight up to the recorded step; 100 behind it."""
    steps = steps_of(status)
    if status.step is None:
        return 0
    if status.step.index >= len(steps):
        return 100
    return next((s.set_weight for s in reversed(steps[: status.step.index + 1]) if s.set_weight is not None), 0)


def reached(status: Status) -> int:
    """The percent of the last setWeight that is over: what it has had, whoever has taken that away meanwhile."""
    passed = steps_of(status)[: status.step.index] if status.step else ()
    return next((step.set_weight for step in reversed(passed) if step.set_weight is not None), 0)


def first_weight(status: Status) -> int:
    """The first share that it is to have: all where the plan or a person asks for none, and on the way back."""
    if status.promoted_at or status.control.full_at:
        return 100
    return next((s.set_weight for s in steps_of(status) if s.set_weight is not None), 100)


def first_step_in_traffic(status: Status) -> int:
    """The index after the warmup."""
    steps = steps_of(status)
    return 1 if steps and steps[0].verb is Verb.WARMUP else 0


def enter_step(status: Status, index: int, now: datetime) -> StepStatus:
    """The record of a step that begins now. Its deadline is set only where the step has an end of its own."""
    steps = steps_of(status)
    total = len(steps)
    if index >= total:
        return StepStatus(index=index, display=f"{total}/{total}", started_at=now)
    step = steps[index]
    length = longest(step)
    ends = now + length if length is not None else None
    return StepStatus(index=index, verb=step.verb, display=f"{index + 1}/{total}", started_at=now, deadline=ends)


def remaining(step: StepStatus, now: datetime) -> timedelta | None:
    """What is left of a step that has an end of its own, also while its clock stands."""
    if step.paused is not None:
        return step.paused.remaining.delta if step.paused.remaining else None
    return max(step.deadline - now, timedelta()) if step.deadline else None

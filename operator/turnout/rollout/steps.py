"""A plan's steps: which weight is in force, what comes next, when a step is over. All from the recorded status."""

from datetime import datetime

from turnout.api.rollout import Step, Strategy, Verb
from turnout.api.scalars import Duration
from turnout.api.status import Status, StepStatus
from turnout.api.version import ModelVersion


def steps_of(status: Status) -> tuple[Step, ...]:
    return status.plan.steps if status.plan else ()


def weight_of(status: Status) -> int:
    """The percent that the plan has reached: that of the last setWeight up to the recorded step; 100 behind it."""
    steps = steps_of(status)
    if status.step is None:
        return 0
    if status.step.index >= len(steps):
        return 100
    return next((s.set_weight for s in reversed(steps[: status.step.index + 1]) if s.set_weight is not None), 0)


def first_weight(version: ModelVersion, status: Status) -> int:
    """The first share that it is to have: all where the plan asks for none, and on the way back."""
    if version.spec.rollout.strategy is Strategy.ALL_AT_ONCE or status.promoted_at:
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
    ends = now + step.pause.duration.delta if step.pause and step.pause.duration else None
    return StepStatus(index=index, verb=step.verb, display=f"{index + 1}/{total}", started_at=now, deadline=ends)


def remaining(step: StepStatus, now: datetime) -> Duration | None:
    """What is left of a step that has an end of its own."""
    return Duration.of(step.deadline - now) if step.deadline else None

"""A plan that is edited while its rollout runs: what was passed stays, the running step too, the rest is the new one's.

A step of the edited plan counts as passed if its weight is below the one reached, or if it is the like of a step that
was passed or runs at that weight. So weights never fall, and nothing that is asked for at this weight is skipped.
"""

from collections import Counter
from collections.abc import Sequence

from turnout.api.plan import ResolvedPlan, plan_hash, resolve_plan
from turnout.api.reasons import State
from turnout.api.rollout import MAX_STEPS, OnPlanChange, Step, Strategy, Verb
from turnout.api.status import PlanSource, PlanStatus, Status
from turnout.api.version import ModelVersion
from turnout.rollout.steps import steps_of

Place = tuple[int, Verb, int]
"""The weight in force, the verb, and the how-manieth of that verb at that weight."""

NEXT_ATTEMPT = "the edited steps count from the next attempt on"


def replanned(status: Status, version: ModelVersion) -> Status | None:
    """The status with what is left of the edited plan; None if that changes nothing."""
    steps = _edited(status, version)
    if steps is None or steps == steps_of(status) or _why_not(steps, version):
        return None
    plan = PlanStatus(hash=plan_hash(steps), source=resolve_plan(version.spec).source, steps=steps)
    step = status.step
    if step is not None:
        step = step.model_copy(update={"display": f"{step.index + 1}/{len(steps)}"})
    return status.model_copy(update={"plan": plan, "step": step})


def plan_note(status: Status, version: ModelVersion) -> str:
    """Why an edit of the steps does not count now; empty if it does, or if there is none."""
    steps = _edited(status, version)
    return "" if steps is None or steps == steps_of(status) else _why_not(steps, version)


def _why_not(steps: Sequence[Step], version: ModelVersion) -> str:
    if version.spec.rollout.on_plan_change is OnPlanChange.NEXT_ROLLOUT:
        return f"onPlanChange is NextRollout, so {NEXT_ATTEMPT}"
    if version.spec.rollout.strategy is not Strategy.CANARY:
        return f"strategy does not change in a rollout, and {NEXT_ATTEMPT}"
    if len(steps) > MAX_STEPS:
        return f"with the steps that were passed there would be more than {MAX_STEPS}, so {NEXT_ATTEMPT}"
    return ""


def _edited(status: Status, version: ModelVersion) -> tuple[Step, ...] | None:
    """The recorded steps up to the running one, then those of the spec that are still to come."""
    running, new = _running(status), resolve_plan(version.spec)
    if running is None or _is_default(status, new):
        return None
    passed = steps_of(status)[: running + 1]
    places = _places(passed)
    reached = places[-1][0] if places else 0
    return (*passed, *_to_come(new.steps, set(places), reached))


def _running(status: Status) -> int | None:
    """The index of the running step, -1 before the first; None where no step is to come."""
    steps = steps_of(status)
    match status.state:
        case State.Deploying:
            return -1
        case State.Warming:
            return 0 if steps and steps[0].verb is Verb.WARMUP else -1
        case State.Progressing | State.Paused | State.Held if status.step and status.step.index < len(steps):
            return status.step.index
        case _:
            return None


def _is_default(status: Status, new: ResolvedPlan) -> bool:
    """Nobody wrote it, so nobody edited it: another release of the operator may have another default."""
    return status.plan is None or status.plan.source is PlanSource.DEFAULT is new.source


def _to_come(steps: Sequence[Step], passed: set[Place], reached: int) -> tuple[Step, ...]:
    return tuple(
        step
        for step, place in zip(steps, _places(steps), strict=True)
        if place[0] >= reached and place not in passed and (step.verb is not Verb.WARMUP or not passed)
    )


def _places(steps: Sequence[Step]) -> list[Place]:
    weight, before, places = 0, Counter[tuple[int, Verb]](), []
    for step in steps:
        weight = weight if step.set_weight is None else step.set_weight
        places.append((weight, step.verb, before[weight, step.verb]))
        before[weight, step.verb] += 1
    return places

"""A plan that is edited while its rollout runs: what was passed stays, the running step too, the rest is the new one's.

A step of the edited plan counts as passed if its weight is below the one reached, or if it is the like of a step that
was passed or runs at that weight. What waits for evidence or for a person is counted whatever its weight: as many as
were passed. So weights never fall, and moving a gate in the plan is no way around it.
"""

from collections import Counter
from collections.abc import Sequence

from turnout.api.plan import ResolvedPlan, plan_hash, resolve_plan
from turnout.api.reasons import State
from turnout.api.rollout import MAX_STEPS, OnPlanChange, Step, Strategy, Verb
from turnout.api.served import unserved
from turnout.api.status import PlanSource, PlanStatus, Status
from turnout.api.version import ModelVersion
from turnout.rollout.steps import steps_of

Kind = tuple[Verb, bool]
"""The verb, and whether it waits for evidence or for a person: a pause may, or may not."""
Place = tuple[int, Kind, int]
"""The weight in force, the kind, and the how-manieth of that kind at that weight."""

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
    if unserved(version.spec):
        return "the plan goes on as it was before the edit"  # rather than without a step that was asked for
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
    return (*passed, *_to_come(new.steps, passed))


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


def _to_come(steps: Sequence[Step], passed: Sequence[Step]) -> tuple[Step, ...]:
    places = _places(passed)
    reached, done = places[-1][0] if places else 0, set(places)
    gates = Counter(_kind(step) for step in passed if is_gate(step))
    to_come = []
    for step, place in zip(steps, _places(steps), strict=True):
        if is_gate(step):
            gates[_kind(step)] -= 1
            is_passed = gates[_kind(step)] >= 0
        else:
            is_passed = place[0] < reached or place in done or (step.verb is Verb.WARMUP and bool(passed))
        if not is_passed:
            to_come.append(step)
    return tuple(to_come)


def _kind(step: Step) -> Kind:
    return step.verb, is_gate(step)


def is_gate(step: Step) -> bool:
    """It ends only by evidence or by a person."""
    endless = step.pause is not None and step.pause.duration is None
    return endless or step.verb in {Verb.APPROVAL, Verb.ANALYSIS}


def _places(steps: Sequence[Step]) -> list[Place]:
    weight, before, places = 0, Counter[tuple[int, Kind]](), []
    for step in steps:
        weight = weight if step.set_weight is None else step.set_weight
        places.append((weight, _kind(step), before[weight, _kind(step)]))
        before[weight, _kind(step)] += 1
    return places

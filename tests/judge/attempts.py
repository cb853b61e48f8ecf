"""A version's status as an attempt leaves it: the real judge over random traffic, poll after poll. Seeded."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

from tests.judge.counting import START, Attempt, analysis
from turnout.api.judgement import Stop, Trail
from turnout.api.plan import default_steps
from turnout.api.reasons import Reason, State
from turnout.api.status import Hold, PlanSource, PlanStatus, Status, StepStatus, Verdict
from turnout.api.version import ModelVersion
from turnout.judge.protocol import Finding, Outcome
from turnout.rollout.trail import extended

EVERY = timedelta(seconds=15)
BINS = 10


@dataclass(frozen=True)
class Plot:
    """What happens: rates of errors, how much slower the candidate is, how far its scores have moved; `alone`: stable
    is dead.
    """

    canary: float = 0.005
    stable: float = 0.005
    slower: float = 1.0
    moved: float | None = None
    per_second: float = 20.0
    polls: int = 40
    weights: tuple[tuple[int, int], ...] = ()
    alone: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


@lru_cache(maxsize=64)
def played(plot: Plot, state: State) -> ModelVersion:
    """Version 7 of `signals`, as it stands at the end."""
    drift: dict[str, Any] = {} if plot.moved is None else {"drift": {"enabled": True}}
    attempt = Attempt(analysis(**drift, **plot.fields), stable_unhealthy=plot.alone)
    found, trail = _run(attempt, plot)
    said = {"trail": trail, "polled_at": attempt.at - EVERY, "verdict": found.outcome.value}
    is_harm = found.outcome is Outcome.HARM
    status = Status(
        state=state,
        attempt=1,
        hold=Hold(reason=Reason.StableUnhealthy, since=START) if plot.alone else None,
        analysis=found.status.model_copy(update=said),
        plan=PlanStatus(hash="9c1d44e0", steps=default_steps(), source=PlanSource.DEFAULT),
        step=StepStatus(
            index=attempt.step_index,
            display=f"{attempt.step_index + 1}/7",
            started_at=START,
            deadline=START + timedelta(minutes=15),
        ),
        verdict=Verdict(outcome=State.RolledBack, reason=found.reason, message=found.message, at=attempt.at)
        if is_harm
        else None,
        stops=(stop(found, attempt),) if found.outcome is Outcome.PAUSE else (),
    )
    return version_of(attempt, status)


def stop(found: Finding, attempt: Attempt) -> Stop:
    return Stop(
        reason=found.reason, metric=found.metric, message=found.message, at=attempt.at - EVERY, weight=attempt.weight
    )


def version_of(attempt: Attempt, status: Status) -> ModelVersion:
    predictor = {"runtime": "sklearn", "artifact": {"uri": "file:///models/signals/7"}}
    spec = {"model": "signals", "version": 7, "predictor": predictor, "analysis": attempt.analysis.body()}
    return ModelVersion.model_validate(
        {
            "apiVersion": "turnout.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": "signals-7", "namespace": "support"},
            "spec": spec,
            "status": status.body(),
        }
    )


def _run(attempt: Attempt, plot: Plot) -> tuple[Finding, Trail]:
    draw, weights = random.Random(3), dict(plot.weights)
    trail: Trail | None = None
    for poll in range(plot.polls + 1):
        if poll:
            _serve(attempt, plot, draw)
        at = attempt.at
        found = attempt.ask()
        trail = extended(trail, found.status, at, attempt.weight, EVERY)
        if found.outcome in {Outcome.HARM, Outcome.PAUSE}:
            break
        if poll in weights:
            attempt.weight = weights[poll]
            attempt.step_index += 2
    assert trail is not None
    return found, trail


def _serve(attempt: Attempt, plot: Plot, draw: random.Random) -> None:
    requests = round(plot.per_second * 15)
    ours = sum(draw.random() < attempt.weight / 100 for _ in range(requests))
    sides = (
        (attempt.canary[0], ours, plot.canary, plot.slower, plot.moved or 0.0),
        (attempt.stable[0], requests - ours, plot.stable, 1.0, 0.0),
    )
    for pod, count, rate, slower, moved in sides:
        bad = sum(draw.random() < rate for _ in range(count))
        pod.serve(count, bad, [draw.lognormvariate(-3, 0.5) * slower for _ in range(200)])
        bins = pod.outputs.setdefault("score", [0] * BINS)
        for _ in range(count):
            bins[min(BINS - 1, max(0, int(draw.gauss(0.5 + moved, 0.15) * BINS)))] += 1

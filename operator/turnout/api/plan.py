"""The plan of an attempt: the steps of the spec, or the default plan where the spec has none.

Resolved once, when an attempt begins, and recorded in `status.plan`; from then on the record counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from turnout.api.rollout import AnalysisStep, Step, Strategy, Warmup
from turnout.api.status import PlanSource, PlanStatus
from turnout.api.version import Spec

DEFAULT_WEIGHTS = (10, 25, 50)


@dataclass(frozen=True)
class ResolvedPlan:
    """Steps to follow, whose they are, and a hash that changes exactly when a step does."""

    steps: tuple[Step, ...]
    hash: str
    source: PlanSource

    def status(self) -> PlanStatus:
        return PlanStatus(hash=self.hash, source=self.source, steps=self.steps)


def resolve_plan(spec: Spec) -> ResolvedPlan:
    """The plan that an attempt of `spec` would follow if it began now."""
    if spec.rollout.steps is not None:
        return _plan(spec.rollout.steps, PlanSource.SPEC)
    if spec.rollout.strategy is Strategy.ALL_AT_ONCE:
        return _plan((Step(warmup=Warmup()),), PlanSource.DEFAULT)
    return _plan(default_steps(), PlanSource.DEFAULT)


def default_steps() -> tuple[Step, ...]:
    """10, 25, 50 percent, each analysed: the plan of those who write none."""
    rising = [(Step(set_weight=weight), Step(analysis=AnalysisStep())) for weight in DEFAULT_WEIGHTS]
    return (Step(warmup=Warmup()), *(step for pair in rising for step in pair))


def plan_hash(steps: Sequence[Step]) -> str:
    """16 hexadecimal digits over the steps as they are written."""
    written = json.dumps([step.body() for step in steps], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def _plan(steps: tuple[Step, ...], source: PlanSource) -> ResolvedPlan:
    return ResolvedPlan(steps, plan_hash(steps), source)

"""`status.analysis`: both sides, the evidence of each metric, and when a pass is to be expected."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import log

from turnout.api.judgement import AnalysisStatus
from turnout.judge import words
from turnout.judge.drift import distance
from turnout.judge.memory import MILLI
from turnout.judge.protocol import Outcome
from turnout.judge.published import comparisons
from turnout.judge.terms import DRIFT, LATENCY, REFERENCE
from turnout.judge.verdict import Case, Verdict

MOST_SHOWN = 16
FURTHEST = timedelta(days=2)
"""A pass that is further away is not foretold."""


def status(case: Case, verdict: Verdict, memory: str, blind: Sequence[str]) -> AnalysisStatus:
    """`memory`: as text. `blind`: what is not seen, a sentence each."""
    canary, stable = case.memory.step_requests
    return AnalysisStatus.model_validate(
        {
            "verdict": verdict.outcome.value,
            "expected_at": expected_at(case) if verdict.outcome is Outcome.HOLD else None,
            "requests": {"canary": canary, "stable": stable},
            "harm": words.evidence(case.combined),
            "metrics": [*_streams(case), *_drift(case), *_custom(case)][:MOST_SHOWN],
            "blind": blind,
            "memory": memory,
        }
    )


Shown = dict[str, str]
"""A `MetricStatus` before it is checked, once with all others."""


def _streams(case: Case) -> list[Shown]:
    terms, totals = case.terms, case.memory.totals
    shown = []
    for stream, evidence, (n_c, x_c, n_s, x_s) in zip(terms.streams, case.evidence, totals, strict=True):
        edge = case.edge_of(stream) if stream.metric == LATENCY else None
        shown.append(
            _shown(
                stream.name,
                words.evidence(evidence),
                _proof(case, stream.metric) if terms.gates(stream) else "",
                words.decimal(words.rate(n_c, x_c)),
                words.decimal(words.rate(n_s, x_s)),
                words.decimal(edge) if edge else "",
            )
        )
    return shown


def _drift(case: Case) -> list[Shown]:
    shown = []
    if case.drift is not None:
        moved = words.decimal(distance(*case.answers))
        shown.append(_shown(DRIFT, words.evidence(case.drift), _proof(case, DRIFT), moved, ""))
    both = comparisons(case.terms, case.memory, case.poll)
    if both is not None:
        distances = (words.decimal(each.distance) if each.is_possible else "" for each in both)
        shown.append(_shown(REFERENCE, "", _proof(case, REFERENCE), *distances))
    return shown


def _proof(case: Case, metric: str) -> str:
    """How much of the proof is there, as evidence: all of it is one over beta."""
    proof = case.proofs.get(metric)
    return words.evidence(proof * log(1 / case.terms.beta)) if proof is not None else ""


def _custom(case: Case) -> list[Shown]:
    values = case.poll.custom if case.poll else {}
    names = [metric.name for metric in case.question.analysis.custom if metric.name in values]
    return [_shown(name, "", "", f"{values[name]:g}", "") for name in names]


def _shown(name: str, harm: str, passed: str, canary: str, stable: str, edge: str = "") -> Shown:
    return {"name": name, "harm": harm, "pass": passed, "canary": canary, "stable": stable, "edge": edge}


def expected_at(case: Case) -> datetime | None:
    """When the slowest metric is proven if it goes on at its mean pace; None where it gets nowhere."""
    memory, step = case.memory, case.question.step
    ran = memory.at - memory.step_began
    if step is None or ran <= 0 or not case.proofs:
        return None
    slowest = min(case.proofs.values())
    if slowest <= 0:
        return None
    left = timedelta(milliseconds=ran * max(0.0, 1 / slowest - 1))
    waits = (left, step.min_duration.delta - case.question.elapsed)
    longest = max(waits)
    if longest > FURTHEST:
        return None
    return datetime.fromtimestamp(memory.at // MILLI, UTC) + timedelta(seconds=round(longest.total_seconds()))

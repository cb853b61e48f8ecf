"""A judge that says what a test wants it to say; what it remembers is how many polls it has taken in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from turnout.api.judgement import AnalysisStatus, MetricStatus, RequestCounts
from turnout.api.reasons import Reason
from turnout.judge.protocol import Finding, Outcome, Question

REASONS = {Outcome.HARM: Reason.ErrorRate, Outcome.PAUSE: Reason.Drift}
MESSAGES = {
    Outcome.HARM: "errors: 9.1 % against 0.3 %",
    Outcome.PAUSE: "drift: its answers have moved by 0.4",
    Outcome.NO_DATA: "no request reached it",
}


@dataclass(frozen=True)
class Scripted:
    """`says` is asked with each poll that has numbers; a Pass waits for its step's minDuration.

    A Pause is about `metric`, and no more than what a person has seen of it stays unsaid once it was lifted.
    """

    says: Callable[[int, Question], Outcome]
    may_advance: bool = True
    metric: str = "drift"
    level: float = 0.4
    stable_fails: str = ""
    metrics: tuple[MetricStatus, ...] = ()

    def look(self, question: Question) -> Finding:
        seen = int(question.memory or 0)
        assert question.poll is not None
        if question.poll.trouble:
            return Finding(Outcome.SOURCE_ERROR, Reason.SourceError, question.poll.trouble)
        outcome = self.says(seen, question)
        step = question.step
        if outcome is Outcome.PASS and (step is None or question.elapsed < step.min_duration.delta):
            outcome = Outcome.HOLD
        lifted = question.lifted.get((Reason.Drift, self.metric))
        if outcome is Outcome.PAUSE and lifted is not None and self.level <= lifted.level:
            outcome = Outcome.INCONCLUSIVE if _is_over(question) else Outcome.HOLD
        counts = RequestCounts(canary=40 * (seen + 1), stable=360 * (seen + 1))
        status = AnalysisStatus(verdict=outcome.value, requests=counts, memory=str(seen + 1), metrics=self.metrics)
        reason, message = REASONS.get(outcome, Reason.AwaitingEvidence), MESSAGES.get(outcome, "")
        return Finding(
            outcome, reason, message, status, self.may_advance, self.metric, str(self.level), self.stable_fails
        )


def always(outcome: Outcome) -> Scripted:
    return Scripted(lambda seen, question: outcome)


UNASKED = always(Outcome.HOLD)
"""The judge of a world whose source of evidence never answers."""


def then(polls: int, outcome: Outcome, before: Outcome = Outcome.HOLD) -> Scripted:
    """That outcome after so many polls have been taken in."""
    return Scripted(lambda seen, question: outcome if seen >= polls else before)


def unproven(outcome: Outcome, *, may_advance: bool = True) -> Scripted:
    """Nothing is proven until the step's time is over; then this."""

    def says(seen: int, question: Question) -> Outcome:
        return outcome if _is_over(question) else Outcome.HOLD

    return Scripted(says, may_advance)


def _is_over(question: Question) -> bool:
    step = question.step
    return step is not None and question.elapsed >= step.max_duration.delta


def analysed(*weights: int, shortest: str = "10s", longest: str = "30s", **analysis: Any) -> dict[str, Any]:
    """Blocks of a spec: each weight analysed, polled every five seconds."""
    step = {"analysis": {"minDuration": shortest, "maxDuration": longest, "minRequests": 0}}
    held = [each for weight in weights for each in ({"setWeight": weight}, step)]
    return {
        "rollout": {"steps": [{"warmup": {"requests": 2}}, *held]},
        "analysis": {"interval": "5s", **analysis},
    }

"""The judge where none is wired: it looks at nothing, proves nothing, and says so aloud."""

from turnout.api.reasons import Reason
from turnout.judge.protocol import Finding, Outcome, Question

NOTHING_JUDGED = "nothing is judged: readiness alone decides"


class NoJudge:
    """Passes a step when its minDuration is over; never where stable is dead, since it knows no absolute test."""

    reads = False

    def look(self, question: Question) -> Finding:
        step = question.step
        over = step is not None and question.elapsed >= step.min_duration.delta
        outcome = Outcome.PASS if over and not question.stable_unhealthy else Outcome.HOLD
        return Finding(outcome, Reason.StepInProgress, NOTHING_JUDGED)

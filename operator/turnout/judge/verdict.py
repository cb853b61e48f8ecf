"""From what is remembered to an outcome, in a fixed order: harm, bounds, drift, no data, pass, the end of the time."""

from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import NamedTuple

from turnout.api.analysis import Against, CustomMetric, Judge, MetricAction
from turnout.api.reasons import Reason
from turnout.judge import budget, custom, passing, published, words
from turnout.judge.answers import counted, have_same_bins
from turnout.judge.drift import distance, distance_at_least, distance_at_most, part_of, wealth
from turnout.judge.harm import log_mean
from turnout.judge.health import fails_by
from turnout.judge.memory import DRIFT_GIVEN_UP, MILLI, Memory, milliseconds
from turnout.judge.protocol import Outcome, Poll, Question
from turnout.judge.terms import DRIFT, ERRORS, LATENCY, REFERENCE, Stream, Terms

NOTHING_DECIDES = "anything: enable errors or latency, or add a custom bound that is no dryRun"
REASONS = {ERRORS: Reason.ErrorRate, LATENCY: Reason.Latency, DRIFT: Reason.Drift}


class Verdict(NamedTuple):
    """An outcome with its reason, a sentence for a person, and whether policy may let the step through.

    `metric`, `level`: see `Finding`.
    """

    outcome: Outcome
    reason: Reason
    message: str
    may_advance: bool = True
    metric: str = ""
    level: str = ""


@dataclass(frozen=True)
class Case:
    """All that a verdict is made of. `poll`: the last that was fit for use; `now`: its moment in milliseconds."""

    terms: Terms
    memory: Memory
    question: Question
    poll: Poll | None

    @cached_property
    def evidence(self) -> list[float]:
        """The log of each stream's evidence of harm."""
        return [log_mean(logs, MILLI) for logs in self.memory.wealths]

    @cached_property
    def combined(self) -> float:
        """The log of the evidence of harm of all metrics together: what decides, and what is shown."""
        return budget.combined(self.terms, self.evidence, self.drift if self.drifted else None)

    @property
    def drift(self) -> float | None:
        """The log of the evidence of drift; None where it is off."""
        if not self.terms.drift_from or Against.STABLE not in self.terms.drift_from:
            return None
        return wealth(self.memory.banked / MILLI, self.memory.drift / MILLI, self.memory.epoch)

    @property
    def drifted(self) -> bool:
        """Significant, and by more than is tolerated."""
        drift = self.drift
        significant = drift is not None and drift >= log(1 / self.terms.drift_alpha)
        return significant and self.moved_at_least > self.terms.drift_tolerance

    @property
    def stable_fails(self) -> bool:
        """Stable answers, but fails so often that nothing can be compared with it."""
        fails = fails_by(self.memory.watch) and not self.question.stable_unhealthy
        return fails and self.question.analysis.judge is not Judge.THRESHOLD

    @property
    def lifted_bounds(self) -> dict[str, int]:
        """Until when a person has let a bound of one's own pass, in milliseconds, by the metric's name."""
        lifted = self.question.lifted.items()
        return {name: milliseconds(past.at) for (reason, name), past in lifted if reason is Reason.CustomMetric}

    @cached_property
    def moved_at_least(self) -> float:
        """How far the candidate's answers surely are from stable's."""
        return distance_at_least(*self.answers, self.terms.drift_alpha * part_of(self.memory.epoch))

    @cached_property
    def answers(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of both sides, over the same bins; none where the two versions count over different ones."""
        canary, stable = self.memory.answers
        name = self.terms.drift_output
        alike = len(canary) == len(stable) and (not self.poll or name is None or have_same_bins(name, self.poll))
        return (canary, stable) if alike else ((), ())

    @property
    def threshold(self) -> float:
        return log(1 / self.terms.alpha)

    @cached_property
    def proofs(self) -> dict[str, float]:
        """Per metric that must pass, how much of the proof is there: 1 is all of it."""
        terms, memory = self.terms, self.memory
        needed, found = log(1 / terms.beta), dict[str, float]()
        errors, latency, limit = memory.passes
        if terms.error_limit is not None:
            found[ERRORS] = passing.evidence(errors, self._clustering(terms.error_limit)) / needed
        if terms.latency_ratio is not None:
            spread = memory.split.factor if terms.robust and not self.absolute_only else 1.0
            found[LATENCY] = passing.evidence(limit if self.absolute_only else latency, spread) / needed
        is_alone = self.absolute_only or not terms.streams or terms.drift_output is None
        return found if is_alone else {**found, **self._nearness}

    @property
    def absolute_only(self) -> bool:
        """Nothing is compared with stable, latency included."""
        has_limit = self.terms.latency_limit is not None
        return self.question.stable_unhealthy or (has_limit and self.stable_fails)

    def _clustering(self, limit: float) -> float:
        """How much more errors vary than single ones would, on the side where they do more."""
        canary, stable = self.memory.spreads
        if not self.terms.robust:
            return 1.0
        return max(canary.factor_at(limit), 1.0 if self.stable_fails else stable.factor)

    @property
    def _nearness(self) -> dict[str, float]:
        """The part of the answers needed to prove that they have not moved far: bounds fall as one over the root."""
        terms, memory, found = self.terms, self.memory, dict[str, float]()
        if Against.STABLE in terms.drift_from and self.is_comparable:
            found[DRIFT] = distance_at_most(*self.answers, terms.beta * part_of(memory.epoch))
        both = published.comparisons(terms, memory, self.poll)
        if both is not None and published.is_due(terms, both[0], self.poll):
            found[REFERENCE] = both[0].at_most(terms.beta * part_of(memory.epoch))
        return {metric: min(1.0, (terms.drift_near / at_most) ** 2) for metric, at_most in found.items()}

    @cached_property
    def is_comparable(self) -> bool:
        """Both sides count their answers over bins that mean the same."""
        name, poll = self.terms.drift_output, self.poll
        if name is None or poll is None or self.memory.gave_up & DRIFT_GIVEN_UP:
            return False
        return bool(counted(name, poll.canary) and counted(name, poll.stable) and have_same_bins(name, poll))

    def edge_of(self, stream: Stream) -> float | None:
        """Seconds; where a latency stream's edge lies now."""
        cuts = self.memory.cuts
        return self.poll.edges[cuts[stream.edge]] if self.poll and stream.edge < len(cuts) else None


def reached(case: Case) -> Verdict:
    """What is known now; the first rule that speaks decides."""
    return _harm(case) or _bounds(case) or _drift(case) or _left(case) or _no_traffic(case) or _step(case)


def urgent(case: Case) -> Verdict | None:
    """What decides although the last poll was of no use."""
    return _harm(case)


def _harm(case: Case) -> Verdict | None:
    if case.question.analysis.judge is Judge.THRESHOLD or case.question.stable_unhealthy or case.stable_fails:
        return None
    terms, memory = case.terms, case.memory
    if case.combined < case.threshold:
        return None
    drift = case.drift if terms.drift_rolls_back and case.drifted else None
    stream, strength = budget.culprit(terms, case.evidence)
    if drift is not None and (stream is None or drift > strength):
        return Verdict(Outcome.HARM, Reason.Drift, _moved(case))
    if stream is None:
        return None
    edge = case.edge_of(stream) if stream.metric == LATENCY else None
    return Verdict(Outcome.HARM, REASONS[stream.metric], words.proven_worse(terms, memory, stream, edge))


def _bounds(case: Case) -> Verdict | None:
    metrics, poll = case.question.analysis.custom, case.poll
    if not metrics or poll is None:
        return None
    found = custom.broken(metrics, poll.custom, case.memory.out_since, case.memory.at, case.lifted_bounds)
    if found is None:
        return None
    outcome = Outcome.PAUSE if found.metric.action is MetricAction.PAUSE else Outcome.HARM
    said, level = _broken(found.metric, found.value), f"{found.value:g}"
    return Verdict(outcome, Reason.CustomMetric, said, metric=found.metric.name, level=level)


def _broken(metric: CustomMetric, value: float) -> str:
    low, high = metric.min or "any", metric.max or "any"
    return f"{metric.name} is {value:g}, outside {low} to {high} for {metric.for_}; this bound carries no guarantee"


def _drift(case: Case) -> Verdict | None:
    if not case.drifted or case.terms.drift_rolls_back or case.question.analysis.judge is Judge.THRESHOLD:
        return None
    lifted = case.question.lifted.get((Reason.Drift, DRIFT))
    if lifted is not None and case.moved_at_least <= lifted.level:
        return None  # no more than what a person has seen and let pass
    level = words.decimal(distance(*case.answers))
    return Verdict(Outcome.PAUSE, Reason.Drift, _moved(case), metric=DRIFT, level=level)


def _moved(case: Case) -> str:
    canary, stable = case.answers
    return (
        f"the answers moved by {distance(canary, stable):.2f}, surely more than {case.moved_at_least:.2f} "
        f"(Kolmogorov-Smirnov; tolerance {case.terms.drift_tolerance:g}), in {words.spaced(sum(canary))} answers"
    )


def _left(case: Case) -> Verdict | None:
    """The candidate's answers are not those it was published with."""
    both = published.comparisons(case.terms, case.memory, case.poll)
    if both is None or not published.has_left(case.terms, both[0]) or case.question.analysis.judge is Judge.THRESHOLD:
        return None
    lifted = case.question.lifted.get((Reason.Drift, REFERENCE))
    if lifted is not None and both[0].at_least <= lifted.level:
        return None  # no more than what a person has seen and let pass
    level = words.decimal(both[0].distance)
    return Verdict(Outcome.PAUSE, Reason.Drift, published.left(case.terms, *both), metric=REFERENCE, level=level)


def _no_traffic(case: Case) -> Verdict | None:
    """A bound of one's own has no number: nothing is known, and no time runs."""
    if case.poll is None:
        return None
    name = custom.silent(case.question.analysis.custom, case.poll.custom)
    return Verdict(Outcome.NO_DATA, Reason.NoData, f"the query of {name} has no number") if name else None


def _step(case: Case) -> Verdict:
    step, elapsed = case.question.step, case.question.elapsed
    missing = _missing(case)
    said = words.undecided(case.memory, missing)
    if step is None:
        return Verdict(Outcome.HOLD, Reason.AwaitingEvidence, said)
    requests = case.memory.step_requests[0]
    if elapsed >= step.min_duration.delta and requests >= step.min_requests and not missing:
        return Verdict(Outcome.PASS, Reason.StepDone, words.passed(case.memory, case.question.analysis.judge))
    if elapsed < step.max_duration.delta:
        return Verdict(Outcome.HOLD, Reason.AwaitingEvidence, said)
    if requests < step.min_requests:
        few = f"{words.spaced(requests)} of {words.spaced(step.min_requests)} requests in {step.max_duration}"
        more = words.enough(requests, step.min_requests, elapsed, case.memory.weight)
        return Verdict(Outcome.TOO_FEW_REQUESTS, Reason.TooFewRequests, f"{few}; {more}")
    suspect = suspicious(case)
    unproven = "neither harm nor a pass is proven"
    message = f"{unproven}, and too much speaks for harm to go on: {said}" if suspect else f"{unproven}: {said}"
    return Verdict(Outcome.INCONCLUSIVE, Reason.Inconclusive, message, may_advance=not suspect)


def suspicious(case: Case) -> bool:
    """Any metric's evidence of harm is ten or more."""
    metrics = {stream.metric for stream in case.terms.streams}
    return any(budget.of_metric(case.terms, case.evidence, metric) >= budget.SUSPICION for metric in metrics)


def _missing(case: Case) -> list[str]:
    """What a pass still wants, in words."""
    analysis = case.question.analysis
    streams_decide = bool(case.terms.streams) and analysis.judge is Judge.SEQUENTIAL
    if not streams_decide and all(metric.dry_run for metric in analysis.custom):
        return [NOTHING_DECIDES]
    if analysis.judge is Judge.THRESHOLD:
        starts = custom.moments(case.memory.out_since)
        out = [(metric, starts.get(custom.identity(metric), 0)) for metric in analysis.custom]
        broken = [(m, since) for m, since in out if since and not m.dry_run]
        past = case.lifted_bounds
        return [f"{m.name} within its bounds" for m, since in broken if not custom.is_let_pass(m, since, past)]
    return (
        _unproven(case)
        if case.proofs or not case.terms.streams
        else ["anything: stable fails, and only latency is judged"]
    )


def _unproven(case: Case) -> list[str]:
    unproven = {metric: max(0, int(100 * part)) for metric, part in case.proofs.items() if part < 1}
    return [f"{wanted(case, metric)} ({part} %)" for metric, part in unproven.items()]


def wanted(case: Case, metric: str) -> str:
    """What a proof of that metric would prove."""
    terms = case.terms
    if metric == ERRORS:
        return f"errors below {words.percent(terms.error_limit or 0.0)}"
    if metric == LATENCY and not case.absolute_only:
        return f"slow requests below {terms.latency_ratio:g} times stable's"
    if metric == LATENCY and terms.latency_limit is None:
        return "latency (latency.passBelow is empty)"
    if metric == LATENCY:
        return f"{words.percent(1 - passing.SLOW_PART)} of answers within {terms.latency_limit:g} s"
    whose = "stable's" if metric == DRIFT else "those at publishing"
    return f"answers within {terms.drift_near:g} of {whose}"

"""What the judge knows of a version's last attempt, for a person: both sides, each bet, how far it is from a verdict.

Read from the status alone, by the judge's own arithmetic: nothing is reckoned here that the judge reckons otherwise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import log

from turnout.api.analysis import Assumption, Judge
from turnout.api.judgement import AnalysisStatus, MetricStatus
from turnout.api.reasons import ROLLOUT_STATES, Reason, State
from turnout.api.version import ModelVersion
from turnout.judge import budget, words
from turnout.judge.drift import distance
from turnout.judge.memory import MILLI, Memory, parse
from turnout.judge.power import Traffic, seconds_to_detect
from turnout.judge.protocol import Question
from turnout.judge.terms import DRIFT, ERRORS, LATENCY, REFERENCE, Stream, Terms, terms_of
from turnout.judge.verdict import Case, wanted
from turnout.rollout.steps import current_step, elapsed
from turnout.rollout.stops import standing
from turnout.rollout.trail import Moment, logarithm, moments

RATIOS = (3, 10)
"""Candidates that are so many times worse are foretold."""
LOOKS_WORSE = log(10.0)


@dataclass(frozen=True, slots=True)
class Count:
    """What one side did: bad events among requests."""

    requests: int
    bad: int

    @property
    def rate(self) -> float:
        return words.rate(self.requests, self.bad)


@dataclass(frozen=True, slots=True)
class Bet:
    """One kind of bad event. `evidence`: the logarithm of what speaks for harm; `proof`: how much of the proof that it
    is good is there, 1 is all; None where nothing is asked. `wanted` says what that proof would prove.
    """

    name: str
    bad: str
    canary: Count
    stable: Count
    evidence: float
    proof: float | None = None
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Nearness:
    """A comparison of answers that a pass waits for; `proof`, `wanted`: as of a `Bet`."""

    name: str
    proof: float
    wanted: str


@dataclass(frozen=True, slots=True)
class Moved:
    """How both sides' answers spread over the bins, and how far apart that is, surely and at a glance."""

    canary: tuple[int, ...]
    stable: tuple[int, ...]
    distance: float
    at_least: float
    tolerance: float
    evidence: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What the step wants, and what of it is there."""

    display: str
    requests: int
    needed: int
    ran: timedelta
    shortest: timedelta
    deadline: datetime | None
    expected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Account:
    """The whole. `harm`, `threshold`: logarithms of the evidence of all metrics and of where it is a verdict.
    `published`: how far both sides' answers lie from those at their publishing, if that is looked at.
    `alone`: stable is dead, and only what the version proves itself counts.
    """

    namespace: str
    model: str
    name: str
    version: int
    attempt: int
    state: State
    weight: int
    sentence: str
    verdict: str
    polled_at: datetime | None
    promise: str
    beta: float
    harm: float
    threshold: float
    bets: tuple[Bet, ...] = ()
    near: tuple[Nearness, ...] = ()
    moved: Moved | None = None
    published: MetricStatus | None = None
    custom: tuple[MetricStatus, ...] = ()
    asked: Asked | None = None
    began: datetime | None = None
    moments: tuple[Moment, ...] = ()
    finds: str = ""
    notes: tuple[str, ...] = field(default=())
    alone: bool = False

    @property
    def rows(self) -> tuple[Bet, ...]:
        """The bets that have counts to show: of a version that is alone not those which count both sides only."""
        return tuple(bet for bet in self.bets if bet.canary.requests) if self.alone else self.bets

    @property
    def runs(self) -> bool:
        """The judge has not said its last word."""
        return self.state in ROLLOUT_STATES and self.state is not State.RollingBack


def account_of(version: ModelVersion) -> Account | None:
    """None where it was never judged by numbers, or its memory is of another release."""
    status = version.status
    analysis = status.analysis
    memory = parse(analysis.memory) if analysis else None
    if analysis is None or memory is None:
        return None
    terms = terms_of(version.spec.analysis)
    if len(memory.totals) != len(terms.streams):  # the terms were edited: the next poll begins anew
        return None
    no_control = status.hold is not None and status.hold.reason is Reason.StableUnhealthy
    question = Question(version.spec.analysis, analysis.memory, None, stable_unhealthy=no_control)
    case = Case(terms, memory, question, None)
    shown = {metric.name: metric for metric in analysis.metrics}
    bets, near = tuple(_bets(case, shown)), tuple(_near(case, shown))
    proofs = [*(bet.proof for bet in bets if bet.proof is not None), *(each.proof for each in near)]
    return Account(
        namespace=version.namespace,
        model=version.model,
        name=version.name,
        version=version.version,
        attempt=status.attempt,
        state=status.state or State.Pending,
        weight=memory.weight,
        sentence=_sentence(version, case, bool(proofs) and min(proofs) >= 1, shown),
        verdict=analysis.verdict,
        polled_at=analysis.polled_at,
        promise=words.promise(terms, memory),
        beta=terms.beta,
        harm=case.combined,
        threshold=case.threshold,
        bets=bets,
        near=near,
        moved=_moved(case, shown),
        published=shown.get(REFERENCE),
        custom=tuple(shown[metric.name] for metric in version.spec.analysis.custom if metric.name in shown),
        asked=_asked(version, analysis),
        began=analysis.trail.began if analysis.trail else None,
        moments=moments(analysis.trail) if analysis.trail else (),
        finds=_finds(terms, memory) if status.state in ROLLOUT_STATES else "",
        notes=tuple(_notes(version, memory)),
        alone=no_control,
    )


def _bets(case: Case, shown: Mapping[str, MetricStatus]) -> Iterator[Bet]:
    terms = case.terms
    for stream, evidence, total in zip(terms.streams, case.evidence, case.memory.totals, strict=True):
        n_c, x_c, n_s, x_s = total
        canary, stable = Count(n_c, x_c), Count(n_s, x_s)
        if case.question.stable_unhealthy and stream.metric == ERRORS:
            canary, stable = (Count(side.requests, side.bad) for side in case.memory.spreads)
        yield Bet(
            stream.name,
            _bad(stream, shown if n_c or n_s else {}),
            canary,
            stable,
            evidence,
            case.proofs.get(stream.metric) if terms.gates(stream) else None,
            wanted(case, stream.metric) if terms.gates(stream) else "",
        )


def _near(case: Case, shown: Mapping[str, MetricStatus]) -> Iterator[Nearness]:
    """As the judge has recorded them: whether two sides count over the same bins is known from a poll alone."""
    needed = log(1 / case.terms.beta)
    for name in (DRIFT, REFERENCE):
        proof = shown[name].pass_ if name in shown else ""
        if proof:
            part = 1.0 if proof == words.evidence(needed) else logarithm(proof) / needed
            yield Nearness(name, part, wanted(case, name))


def _edge(stream: Stream, shown: Mapping[str, MetricStatus]) -> str:
    known = shown.get(stream.name)
    return known.edge if known else ""


def _bad(stream: Stream, shown: Mapping[str, MetricStatus]) -> str:
    if stream.metric != LATENCY:
        return "errors"
    edge = _edge(stream, shown)
    return f"slower than {edge} s" if edge else f"slow ({stream.name})"


def _sentence(version: ModelVersion, case: Case, is_proven: bool, shown: Mapping[str, MetricStatus]) -> str:
    """The verdict as it was recorded; before it, both sides in the metric that says most."""
    status, terms, memory = version.status, case.terms, case.memory
    if status.verdict and status.verdict.message:
        return status.verdict.message
    stops = standing(status)
    if stops:
        return stops[-1].message
    if status.hold and status.hold.message and status.state is State.Held:
        return status.hold.message
    if case.question.stable_unhealthy:
        return f"stable is dead: only what this version proves itself counts: {_alone(case, is_proven)}"
    stream, evidence = budget.culprit(terms, case.evidence)
    if stream is not None and not any(map(any, memory.totals)):
        return "nothing has been counted yet"
    if stream is None:
        return "nothing but bounds of its own is judged" if shown else "nothing is judged"
    if evidence < LOOKS_WORSE:  # nothing stands out: what people ask for first
        stream = terms.streams[0]
    edge = float(_edge(stream, shown) or 0)
    return f"{words.compared(terms, memory, stream, edge)}: {_relation(version, case, is_proven, evidence)}"


def _alone(case: Case, is_proven: bool) -> str:
    """What the candidate did, and whether that is enough."""
    known = case.memory.spreads[0]
    did = f"{words.spaced(case.memory.step_requests[0])} requests in this step"
    if known.requests:
        did = f"{words.percent(words.rate(known.requests, known.bad))} errors of {words.spaced(known.requests)}"
    return f"{did}, {'proven good enough' if is_proven else 'not proven good enough yet'}"


def _relation(version: ModelVersion, case: Case, is_proven: bool, evidence: float) -> str:
    if version.spec.analysis.judge is Judge.THRESHOLD:
        return "shown only; bounds of your own decide, without a guarantee"
    if version.status.state in {State.Live, State.Standby, State.Promoting}:
        return "good enough to be promoted" if is_proven else "no harm was proven, and it was let through"
    if evidence >= LOOKS_WORSE:
        return f"looks worse than stable, and is not proven so: evidence {amount(evidence)} of {amount(case.threshold)}"
    return "proven good enough in this step" if is_proven else "neither is proven yet"


def _moved(case: Case, shown: Mapping[str, MetricStatus]) -> Moved | None:
    """Nothing is compared where the judge has not compared: the two may count over bins of other meaning."""
    if case.drift is None:
        return None
    canary, stable = case.answers
    known = shown.get(DRIFT)
    if known is None or (known.canary == "0" and distance(canary, stable)):
        canary, stable = (), ()
    return Moved(
        canary,
        stable,
        distance(canary, stable),
        case.moved_at_least,
        case.terms.drift_tolerance,
        case.drift,
    )


def _asked(version: ModelVersion, analysis: AnalysisStatus) -> Asked | None:
    status = version.status
    step = current_step(status)
    if step is None or step.analysis is None or status.step is None or status.state not in ROLLOUT_STATES:
        return None
    at = analysis.polled_at or status.step.started_at
    return Asked(
        status.step.display,
        analysis.requests.canary,
        step.analysis.min_requests,
        elapsed(status, at) if at else timedelta(),
        step.analysis.min_duration.delta,
        status.step.deadline,
        analysis.expected_at,
    )


def _finds(terms: Terms, memory: Memory) -> str:
    """What the judge would find at the traffic that was seen, and how soon."""
    seconds = (memory.at - memory.step_began) / MILLI
    stream = next((each for each in terms.streams if each.metric == ERRORS), None)
    if stream is None or not memory.step_began or seconds <= 0 or not memory.step_requests[1]:
        return ""
    _, _, n_s, x_s = memory.totals[terms.streams.index(stream)]
    rps, bad = sum(memory.step_requests) / seconds, max(1, x_s) / max(1, n_s)
    total = sum(each.weight for each in terms.streams)
    seen = Traffic(
        round(rps, 2), memory.weight / 100, round(bad, 6), terms.alpha * stream.weight / total,
        terms.interval, Assumption(terms.assume), stream.tolerate,
    )  # fmt: skip
    times = [(ratio, seconds_to_detect(seen, ratio)) for ratio in RATIOS if bad * ratio < 1]
    found = [f"{ratio} times as many in about {lasting(needed)}" for ratio, needed in times]
    if not found:
        return ""
    at = f"at {rps:.3g} requests a second, {memory.weight} % and {words.percent(bad)} errors of stable"
    return f"{at} it finds {', '.join(found)}"


def _notes(version: ModelVersion, memory: Memory) -> Iterator[str]:
    if memory.anew:
        yield f"the judge's memory was lost: the budget of this attempt is {memory.anew + 1} x alpha"
    yield from version.status.analysis.blind if version.status.analysis else ()
    if version.spec.analysis.dry_run:
        yield "dryRun: it decides nothing"
    if standing(version.status):
        yield f"it has stopped the rollout: turnout promote {version.model} or turnout abort {version.model} decides"


def bound_words(metric: MetricStatus) -> str:
    """A number that no bet is laid on."""
    return f"{metric.name}: {metric.canary}, held to a bound of its own, without a guarantee"


def published_words(metric: MetricStatus) -> str:
    """How far both sides have gone from what they were published with."""
    sides = {"the candidate's": metric.canary, "stable's": metric.stable}
    known = [f"{side} lie {value} from those at its publishing" for side, value in sides.items() if value]
    return f"answers: {' and '.join(known) or 'none can be held against those at publishing yet'}"


def amount(log_evidence: float) -> str:
    """Evidence as a person reads it."""
    return "< 0.01" if log_evidence < log(0.01) else words.evidence(log_evidence)


def portion(log_evidence: float, threshold: float) -> int:
    """How much of the way to a verdict, in percent; evidence grows by factors, so the way is a logarithm's."""
    return max(0, min(100, int(100 * log_evidence / threshold))) if threshold > 0 else 0


def lasting(seconds: float) -> str:
    """A length of time, as precise as a forecast can be."""
    if seconds > 48 * 3600:
        return "more than 2 days"
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 300 else f"{seconds:.0f} s"

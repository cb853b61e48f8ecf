"""The judge that keeps its promise: P(a rollback of a version that is no worse) <= alpha, however often it looks.

Pure: a question in, a finding out; what it must know of earlier polls comes with the question as text. `Threshold`
is judged here as well: the same numbers are shown, and only bounds of one's own decide.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from turnout.api.analysis import Analysis
from turnout.api.reasons import Reason
from turnout.judge import blind, words
from turnout.judge.accounting import absorbed, entered, new_memory
from turnout.judge.health import bound
from turnout.judge.increments import grouped, is_usable
from turnout.judge.memory import Memory, milliseconds, parse, written
from turnout.judge.protocol import Finding, Outcome, PodCounters, Poll, Question
from turnout.judge.report import status
from turnout.judge.terms import Terms, terms_of
from turnout.judge.verdict import Case, Verdict, reached, urgent

LOST_MEMORY = "the judge's memory was lost and is begun anew: this attempt's false-alarm budget is {times} x alpha"
SILENCE = 60_000
"""Milliseconds without a request on either side from which on nothing is known; at least four intervals."""
MOST_WRITTEN = 256
"""So many attempts judged at a time need not read their memory's text; of more, the oldest read theirs again."""
HALTS = frozenset({Outcome.HARM, Outcome.PAUSE})
TROUBLES = frozenset({Outcome.NO_DATA, Outcome.SOURCE_ERROR})
SILENT = Verdict(Outcome.NO_DATA, Reason.NoData, "nobody asked either side for a while")


class Written(NamedTuple):
    """A memory whose text was written, and what it was judged by."""

    analysis: Analysis
    terms: Terms
    memory: Memory


class SequentialJudge:
    """Looks at a poll once: the engine records what comes back, and asks again with the next.

    What it wrote last it need not read again: the same text means the same memory. Another process reads the text.
    Nor need it look up what the very same analysis means.
    """

    def __init__(self) -> None:
        self._written: dict[str, Written] = {}

    def look(self, question: Question) -> Finding:
        analysis, known = question.analysis, self._written.get(question.memory)
        terms = known.terms if known and known.analysis is analysis else terms_of(analysis)
        before = entered(recalled(question.memory, terms, known and known.memory), question.step_index)
        case, verdict = _weighed(terms, before, question)
        text, memory = written(case.memory)
        if len(self._written) >= MOST_WRITTEN:
            self._written.pop(next(iter(self._written)))
        self._written[text] = Written(analysis, terms, memory)
        return _finding(case, verdict, text)


def _weighed(terms: Terms, before: Memory, question: Question) -> tuple[Case, Verdict]:
    poll = question.poll
    if poll is None:
        case = Case(terms, before, question, None)
        return case, urgent(case) or Verdict(Outcome.HOLD, Reason.AwaitingEvidence, "no poll yet")
    trouble = _trouble(poll, question.stable_unhealthy, before)
    if trouble is not None:
        case = Case(terms, before, question, None)
        return case, urgent(case) or trouble
    return _looked(terms, before, question, poll)


def _looked(terms: Terms, before: Memory, question: Question, poll: Poll) -> tuple[Case, Verdict]:
    after = before
    if question.stable_unhealthy:
        poll = replace(poll, stable=())
    if max(len(poll.canary), len(poll.stable)) > before.groups:
        canary, stable = (grouped(pods, before.groups) for pods in (poll.canary, poll.stable))
        poll = replace(poll, canary=canary, stable=stable)
    if milliseconds(poll.at) > before.at:
        after = absorbed(terms, before, poll, question.analysis.custom, question.stable_unhealthy)
        if after.at - after.asked > max(SILENCE, int(4000 * terms.interval)):
            case = Case(terms, before, question, None)
            return case, urgent(case) or SILENT
    case = Case(terms, after, question, poll)
    return case, reached(case)


def recalled(text: str, terms: Terms, known: Memory | None = None) -> Memory:
    """The attempt's memory; a new one at its start, and where the old one cannot be read or means another thing.

    `known`: what the text says, if that need not be read.
    """
    if not text:
        return new_memory(terms, anew=0)
    found = known or parse(text)
    if found is None:
        return new_memory(terms, anew=1)
    return found if found.fingerprint == terms.fingerprint else new_memory(terms, anew=found.anew + 1)


def _trouble(poll: Poll, stable_unhealthy: bool, memory: Memory) -> Verdict | None:
    if poll.trouble:
        what = "AmbiguousQuery: " if poll.ambiguous else ""
        return Verdict(Outcome.SOURCE_ERROR, Reason.SourceError, f"{what}{poll.trouble}")
    unfit = _unfit("the candidate", poll.canary, poll, memory)
    if not unfit and not stable_unhealthy:
        unfit = _unfit("stable", poll.stable, poll, memory)
    return Verdict(Outcome.NO_DATA, Reason.NoData, unfit) if unfit else None


def _unfit(side: str, pods: Sequence[PodCounters], poll: Poll, memory: Memory) -> str:
    if not pods:
        return f"no pod of {side} has counters"
    fit = is_usable(pods, poll.edges, needs_latency=bool(memory.cuts))
    return "" if fit else f"the counters of {side} cannot be right, or lack the latency"


def _finding(case: Case, verdict: Verdict, memory: str) -> Finding:
    if case.question.step is None and verdict.outcome in TROUBLES:
        verdict = verdict._replace(outcome=Outcome.HOLD)  # no step waits for evidence: it has time to come back
    message = verdict.message
    spots = blind.spots(case)
    shown = status(case, verdict, memory, [*spots, *blind.unseen(case)][: blind.MOST_SAID])
    if verdict.outcome not in HALTS:
        message = "; ".join((message, *spots))
    if case.memory.anew:
        message = f"{message}; {LOST_MEMORY.format(times=case.memory.anew + 1)}"
    said = verdict.outcome, verdict.reason, message, shown, verdict.may_advance
    fails = words.fails(bound(case.terms.error_limit)) if case.stable_fails and case.terms.error_limit else ""
    return Finding(*said, verdict.metric, verdict.level, fails)

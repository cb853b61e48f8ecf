"""What the judge is asked about the candidate, which numbers it needs for that, and what is remembered of its answer.

Harm is looked for whenever the candidate has a share, whatever its step does. It refuses to look at a poll twice, or
at one of other revisions.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from turnout.api.conditions import EPOCH
from turnout.api.judgement import AnalysisStatus
from turnout.api.reasons import Reason, State
from turnout.api.rollout import AnalysisStep, OnStableUnhealthy
from turnout.api.status import RevisionStatus, Status
from turnout.api.version import ModelVersion
from turnout.judge.protocol import Finding, Judge, Outcome, Poll, Question
from turnout.rollout.look import Look
from turnout.rollout.plan import PollRequest
from turnout.rollout.selection import TRAFFIC_STATES, Member, Selection
from turnout.rollout.steps import current_step, elapsed, reached, steps_of
from turnout.rollout.stops import added, is_told, let_pass, standing
from turnout.rollout.trail import extended

NO_CONTROL = frozenset({Reason.StableUnhealthy, Reason.StableFails})
"""What a candidate is Held for while only absolute tests count, from the beginning of the hold on."""
UNPROVEN = frozenset({Reason.NoData, Reason.SourceError, Reason.Inconclusive, Reason.TooFewRequests})
"""What a candidate is Held for in an analysis step, until the judge says otherwise."""


def examine(selection: Selection, judge: Judge) -> Look | None:
    """Ask the judge about the candidate; None where nobody is judged, or there is nothing new to look at."""
    candidate = selection.candidate
    if candidate is None or candidate.version is None or not _is_exposed(candidate, selection):
        return None
    poll = _new_poll(candidate, selection)
    if poll is None:
        return None
    question = _question(candidate, candidate.version, poll, selection)
    finding = judge.look(question)
    return Look(finding, _counting(finding, question, candidate.status), poll)


def _is_exposed(candidate: Member, selection: Selection) -> bool:
    has_share = candidate.observed_percent > 0 or candidate.written_percent > 0
    carries_on = candidate.held_for is Reason.RollbackBlocked
    return has_share and candidate.state in TRAFFIC_STATES and not carries_on and selection.stable is not None


def _question(candidate: Member, version: ModelVersion, poll: Poll, selection: Selection) -> Question:
    status, at = candidate.status, poll.at
    since_stable_died = status.hold.since if candidate.held_for in NO_CONTROL and status.hold else None
    return Question(
        analysis=version.spec.analysis,
        memory=status.analysis.memory if status.analysis else "",
        poll=poll,
        step=_step_to_prove(candidate, version),
        step_index=status.step.index if status.step else 0,
        elapsed=max(at - since_stable_died, timedelta()) if since_stable_died else elapsed(status, at),
        stable_unhealthy=selection.stable_is_down,
        lifted=let_pass(status),
    )


def _step_to_prove(candidate: Member, version: ModelVersion) -> AnalysisStep | None:
    step = current_step(candidate.status)
    if step is None or standing(candidate.status):
        return None
    if candidate.held_for in NO_CONTROL:
        proceeds = version.spec.rollout.on_stable_unhealthy is OnStableUnhealthy.PROCEED
        return _analysis_to_come(candidate.status) if proceeds else None
    runs = candidate.state is State.Progressing or candidate.held_for in UNPROVEN
    return step.analysis if runs else None


def _analysis_to_come(status: Status) -> AnalysisStep | None:
    """The first at or behind the step that runs: a hold moves no step, and the fix of a dead stable must get out."""
    to_come = steps_of(status)[status.step.index :] if status.step else ()
    return next((step.analysis for step in to_come if step.analysis is not None), None)


def _counting(finding: Finding, question: Question, status: Status) -> Outcome:
    """What is acted upon: a dry run decides nothing, and what a metric has stopped stays so until a person lifts it."""
    if question.analysis.dry_run:
        return _of_a_dry_run(question)
    told = finding.outcome is Outcome.PAUSE and is_told(status, finding)
    return Outcome.HOLD if told else finding.outcome


def _of_a_dry_run(question: Question) -> Outcome:
    over = question.step is not None and question.elapsed >= question.step.min_duration.delta
    return Outcome.PASS if over and not question.stable_unhealthy else Outcome.HOLD


def taken_in(member: Member, status: Status, selection: Selection) -> Status:
    """What is recorded of the judge's answer, in the same write as what follows from it; nothing without numbers."""
    look = selection.look
    if member is not selection.candidate or look is None or look.poll is None or not look.is_taken_in:
        return status
    found, poll, before = look.finding.status, look.poll, status.analysis
    interval = member.version.spec.analysis.interval.delta if member.version else timedelta()
    trail = extended(before.trail if before else None, found, poll.at, poll.weight, interval)
    said = {"verdict": look.finding.outcome.value, "polled_at": poll.at, "trail": trail}
    noted = status.model_copy(update={"analysis": found.model_copy(update=said)})
    if look.outcome is not Outcome.PAUSE or status.state not in TRAFFIC_STATES:
        return noted
    has = max(member.written_percent, member.status.weight.desired, reached(member.status))  # also where its pods went
    return added(noted, look.finding, has, selection.snapshot.now)


def forgotten(now: datetime) -> AnalysisStatus:
    """The judge's memory at the start: empty, and nothing before this moment counts."""
    return AnalysisStatus(polled_at=now)


def poll_request(selection: Selection) -> PollRequest | None:
    """The numbers that are due; None while there are newer ones to look at."""
    candidate, look = selection.candidate, selection.look
    if candidate is None or candidate.version is None or not _is_exposed(candidate, selection):
        return None
    if candidate.revision is None or (look and look.is_taken_in):
        return None
    analysis, status = candidate.version.spec.analysis, candidate.status
    at = _grid(selection.snapshot.now, analysis.interval.delta)
    since, poll = _taken_until(status), _new_poll(candidate, selection)
    if poll is not None and not poll.trouble:
        since = poll.at
    if (poll is not None and poll.at >= at) or (since is not None and since >= at):
        return None
    return PollRequest(
        version=candidate.name, at=at, since=since,
        canary=RevisionStatus(name=candidate.revision.name, uid=candidate.revision.uid),
        stable=_control(selection), analysis=analysis,
        weight=candidate.observed_percent, weight_since=_weight_since(candidate, selection),
    )  # fmt: skip


def _weight_since(candidate: Member, selection: Selection) -> datetime | None:
    """Since when the share that it has is known to hold; None while another is on its way."""
    told = candidate.status.weight
    return told.verified_at if told.observed == candidate.observed_percent and not selection.is_shifting else None


def moments(selection: Selection) -> Iterator[datetime]:
    """When the candidate is to be looked at again though nothing happens."""
    candidate = selection.candidate
    if candidate is None or candidate.version is None or not _is_exposed(candidate, selection):
        return
    analysis, status = candidate.version.spec.analysis, candidate.status
    yield _grid(selection.snapshot.now, analysis.interval.delta) + analysis.interval.delta
    if candidate.held_for in {Reason.NoData, Reason.SourceError} and status.hold and status.hold.since:
        yield status.hold.since + analysis.source_grace.delta


def _grid(now: datetime, interval: timedelta) -> datetime:
    return EPOCH + (now - EPOCH) // interval * interval


def _control(selection: Selection) -> RevisionStatus:
    stable = selection.stable
    if stable is None or stable.is_down or stable.revision is None:
        return RevisionStatus(name="", uid="")
    return RevisionStatus(name=stable.revision.name, uid=stable.revision.uid)


def _taken_until(status: Status) -> datetime | None:
    return status.analysis.polled_at if status.analysis else None


def _new_poll(candidate: Member, selection: Selection) -> Poll | None:
    """The last poll, if it is of these two revisions and has not been taken in."""
    poll, until = selection.snapshot.poll, _taken_until(candidate.status)
    if poll is None or candidate.revision is None:
        return None
    asked = candidate.revision.uid, _control(selection).uid
    known = until is not None and poll.at <= until
    return None if known or (poll.canary_uid, poll.stable_uid) != asked else poll


def unproven_reason(outcome: Outcome) -> Reason:
    """The reason to wait that belongs to an outcome without proof."""
    return {
        Outcome.NO_DATA: Reason.NoData,
        Outcome.SOURCE_ERROR: Reason.SourceError,
        Outcome.TOO_FEW_REQUESTS: Reason.TooFewRequests,
    }.get(outcome, Reason.Inconclusive)


def finding_of(member: Member, selection: Selection, outcome: Outcome) -> Finding | None:
    """What was found of this version in this pass, if it is that."""
    look = selection.look
    found = look is not None and member is selection.candidate and look.outcome is outcome
    return look.finding if look is not None and found else None

"""One sentence for a person: what a version does or waits for, with moments and never ages (rest writes nothing)."""

from math import log

from turnout.api.analysis import Unproven
from turnout.api.judgement import AnalysisStatus, Stop
from turnout.api.moments import moment
from turnout.api.reasons import Reason, State
from turnout.api.rollout import OnStableUnhealthy, Warmup
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.judge.terms import DRIFT, REFERENCE, terms_of
from turnout.judge.words import evidence
from turnout.rollout.capacity import needed
from turnout.rollout.controls import is_alone, is_paused
from turnout.rollout.failing import WITHDRAWN
from turnout.rollout.made_of import why_not_the_same
from turnout.rollout.overdue import overdue_since
from turnout.rollout.retrying import tries_again_at
from turnout.rollout.selection import Member, Selection
from turnout.rollout.steps import first_weight, steps_of, weight_of
from turnout.rollout.stops import standing

ANSWERS = {DRIFT: "its answers are near stable's", REFERENCE: "its answers are near those at publishing"}


def message(member: Member, status: Status, selection: Selection) -> str:
    """The sentence for a status that is about to be recorded."""
    says, late = _says(member, status, selection), overdue_since(member, status, selection.snapshot.now)
    if status.state in {State.Paused, State.Held}:
        besides = (stop.message for stop in standing(status) if stop.message not in says)
        says = "; ".join((says, *(f"then it stays stopped: {message}" for message in besides)))
    if status.state in ENDED and member.observed_percent and is_alone(selection):
        says = f"{says}; it answers {member.observed_percent} % meanwhile, for nothing else lives"
    return f"{says}; over its deadline since {moment(late)}" if late else says


ENDED = frozenset({State.RolledBack, State.Aborted, State.Failed, State.Superseded, State.Standby})
"""States without a share, unless it is the last that lives."""


def _says(member: Member, status: Status, selection: Selection) -> str:
    match status.state:
        case State.Rejected:
            return selection.refused[member.name].message if member.name in selection.refused else ""
        case State.Deploying:
            return _deploying(member, status, selection)
        case State.Warming:
            return _warming(member, status)
        case State.Progressing | State.Paused | State.Held | State.Promoting:
            return _in_traffic(member, status, selection)
        case State.RollingBack | State.RolledBack | State.Failed | State.Aborted | State.Frozen:
            return _finding(member, status)
        case State.Retired if status.failed:
            return _finding(member, status)
        case State.Live:
            return _live(member, status, selection)
        case State.Pending if selection.snapshot.trouble:
            return selection.snapshot.trouble.message
        case State.Archived if member.version and (why := why_not_the_same(status, member.version)):
            return f"{Reason.OutsideRollbackWindow.sentence} It returns by its whole plan only: {why}"
        case State.Standby | State.Superseded | State.Archived | State.Queued:
            return _waiting(status, selection)
        case _:
            return status.reason.sentence if status.reason else ""


def _deploying(member: Member, status: Status, selection: Selection) -> str:
    version = member.version
    problem = member.deployment.problem if member.deployment else selection.snapshot.trouble
    says = status.reason.sentence.rstrip(".") if status.reason else "it is being made"
    if problem:
        says = problem.message
    elif status.reason is Reason.AwaitingPods and version:
        says = f"{member.ready_pods} of {needed(member, first_weight(status))} pods ready"
    if version is None or status.progress_since is None:
        is_paused_here = version is not None and is_paused(member, version)
        return f"{says}; its deadline waits until a person resumes it" if is_paused_here else says
    until = status.progress_since + version.spec.rollout.progress_deadline.delta
    return f"{says}; gives up at {moment(until, status.state_since)}"


def _warming(member: Member, status: Status) -> str:
    step = steps_of(status)[0].warmup if steps_of(status) else None
    since, timeout = status.state_since, (step or Warmup()).timeout.delta
    says = f"answers its examples at its own address since {moment(since, since)}"
    return f"{says}; gives up at {moment(since + timeout, since)}" if since else says


def _in_traffic(member: Member, status: Status, selection: Selection) -> str:
    percent, model = f"{weight_of(status)} %", selection.snapshot.key.model
    match status.reason:
        case Reason.AwaitingCapacity | Reason.TooLittleCapacity:
            return _capacity(member, status, selection)
        case Reason.NothingLives if member.death:
            return f"nothing of it answers: {member.death.message}{_hindrance(member)}"
        case Reason.AwaitingTraffic if status.state is State.Progressing:
            return f"waits until the Route gives it {percent}"
        case Reason.PausedByPlan if status.step and status.step.deadline:
            return f"{percent} until {moment(status.step.deadline, status.state_since)}"
        case Reason.PausedByPlan:
            return f"{percent} until a person moves it on: turnout promote {model}"
        case Reason.AwaitingApproval:
            return f"{percent}; waits for a person's approval: turnout promote {model}"
        case Reason.PausedByPerson:
            kept = min(weight_of(status), status.control.paused_weight or 0)
            return f"{kept} %; a person paused it at {moment(status.control.paused_since)}: turnout resume {model}"
        case Reason.AwaitingEvidence:
            return _evidence(percent, member, status)
        case Reason.NoData | Reason.SourceError | Reason.Inconclusive | Reason.TooFewRequests:
            return _unproven(percent, member, status)
        case Reason.LivingFallback if selection.fallbacks:
            cause = f"{member.death.message if member.death else 'it was dead'}{_hindrance(member)}"
            return f"nothing of it answers ({cause}); {selection.fallbacks[0].name} answers in its place"
        case Reason.StableUnhealthy if selection.stable:
            return _without_stable(member, status, selection.stable, selection)
        case Reason.RollbackBlocked:
            return _condemned(member, status, selection.stable)
        case Reason.StableFails if status.hold:
            return f"{status.hold.message}; {percent} is kept since {moment(status.hold.since)}"
        case Reason.Evicted | Reason.TrafficStuck | Reason.ReadinessLost:
            cause = member.death.message if member.death else "its pods were taken away"
            return f"{cause}{_hindrance(member)}; it returns to {percent} when its pods are ready"
    stops = standing(status)
    if status.state is State.Paused and stops:
        return stopped(stops[0], min(weight_of(status), stops[0].weight), model)
    if status.state is State.Promoting:
        return "all traffic is on its way to it"
    return f"{percent} since {moment(status.step.started_at if status.step else None)}"


def _is_dead(member: Member) -> str:
    cause = f"{member.death.message if member.death else 'it was'}{_hindrance(member)}"
    return f"{member.name} is dead ({cause})"


def _without_stable(member: Member, status: Status, stable: Member, selection: Selection) -> str:
    """Who answers meanwhile, and what this one waits for."""
    instead = f"{selection.fallbacks[0].name} answers in its place" if selection.fallbacks else "this one carries on"
    says, version = f"{_is_dead(stable)}; {instead} until that is back", member.version
    if version is None:
        return says
    proves = ", this one passes its next analysis by absolute tests" if _may_prove_itself(version, status) else ""
    return f"{says}{proves} or a person promotes it: turnout promote {version.model} --full"


def _may_prove_itself(version: ModelVersion, status: Status) -> bool:
    proceeds = version.spec.rollout.on_stable_unhealthy is OnStableUnhealthy.PROCEED
    to_come = steps_of(status)[status.step.index :] if status.step else ()
    return proceeds and not version.spec.analysis.dry_run and any(step.analysis for step in to_come)


def _condemned(member: Member, status: Status, stable: Member | None) -> str:
    """The verdict, why it serves in spite of that, and what leads out."""
    until = f"{_is_dead(stable)}; this one carries on until that is back," if stable else "it carries on alone until"
    says = f"{_found(status)}; {until} a newer version takes over or a person decides"
    version, outcome = member.version, status.verdict.outcome if status.verdict else None
    if version and version.spec.desired is not Desired.LIVE and outcome in WITHDRAWN:
        return f"{says}: desired: Live"
    if version is None or version.spec.control.abort or version.spec.desired is not Desired.LIVE:
        return f"{says}: {_retry(version)}"
    return f"{says}: {_retry(version)}, or turnout promote {version.model} --full"


def stopped(stop: Stop, percent: int, model: str) -> str:
    decide = f"turnout promote {model} or turnout abort {model}"
    if stop.reason is Reason.DeadlineExceeded:
        decide = f"a longer rollout.deadline or turnout promote {model} lets its step go on; or turnout abort {model}"
    return f"{stop.message}; {percent} % until a person decides: {decide}"


def _evidence(percent: str, member: Member, status: Status) -> str:
    step, analysis, known = status.step, status.analysis, status.step.started_at if status.step else None
    says = f"{percent} since {moment(step.started_at)}" if step else percent
    if analysis and analysis.verdict:
        says += f"; {analysis.requests.canary} requests"
    missing = _unproven_answers(member, analysis) if analysis else ""
    if missing:
        says += f"; still to prove: {missing}"
    if analysis and analysis.expected_at:
        return f"{says}; passes at about {moment(analysis.expected_at, known)} if it goes on like this"
    return f"{says}; judged until {moment(step.deadline, known)} at the latest" if step and step.deadline else says


def _unproven_answers(member: Member, analysis: AnalysisStatus) -> str:
    """What of its answers is still to be proven, as the judge has recorded it."""
    if member.version is None:
        return ""
    enough = float(evidence(log(1 / terms_of(member.version.spec.analysis).beta)))
    missing = {metric.name for metric in analysis.metrics if metric.pass_ and float(metric.pass_) < enough}
    return " and ".join(whose for name, whose in ANSWERS.items() if name in missing)


def _unproven(percent: str, member: Member, status: Status) -> str:
    """A silent source ends with data or by policy; a step without proof with proof, or by a person."""
    hold, version = status.hold, member.version
    if hold is None or hold.since is None or version is None or status.reason is None:
        return percent
    says = f"{(hold.message or status.reason.sentence).rstrip('.')}; {percent} is kept since {moment(hold.since)}"
    if status.reason in {Reason.Inconclusive, Reason.TooFewRequests}:
        return f"{says}, until it is proven or a person decides: turnout promote {version.model}"
    policy, grace = version.spec.analysis.on_source_error, version.spec.analysis.source_grace
    if policy is Unproven.HOLD:
        return f"{says}, until there are numbers"
    return f"{says}, until there are numbers; onSourceError: {policy} at {moment(hold.since + grace.delta, hold.since)}"


def _capacity(member: Member, status: Status, selection: Selection) -> str:
    percent = 100 if status.state is State.Promoting else weight_of(status)
    stable = selection.stable
    sides = [f"{needed(member, percent)} ready pods of {_has(member)}"]
    if stable and percent < 100 and stable.ready_pods < (status.capacity or 1):
        sides.append(f"{status.capacity} of {_has(stable)}")
    return f"{percent} % needs {' and '.join(sides)}"


def _has(member: Member) -> str:
    problem = member.deployment.problem if member.deployment else None
    return f"{member.name} (has {member.ready_pods}{f': {problem.message}' if problem else ''})"


def _hindrance(member: Member) -> str:
    """What keeps its pods from coming back; of a fault of its own the death has told, and each restart another."""
    problem = member.deployment.problem if member.deployment else None
    own_fault = member.death is not None and member.death.own_fault
    return f": {problem.message}" if problem and not own_fault else ""


def _finding(member: Member, status: Status) -> str:
    """What was found, and what it waits for now."""
    verdict, version, says = status.verdict, member.version, _found(status)
    again = tries_again_at(version, status) if version else None
    match status.state:
        case State.RollingBack:
            return f"{says}; waits until the Route gives it nothing"
        case State.Frozen:
            return f"{says}; keeps {weight_of(status)} % until a person aborts, retries or fully promotes it"
        case State.Failed if again and version:
            left = f"{status.retries + 1} of {version.spec.rollout.retry_limit}"
            return f"{says}; tries again at {moment(again, verdict.at if verdict else None)} ({left})"
    return f"{says}; waits for {_retry(version)}"


def _found(status: Status) -> str:
    verdict = status.verdict
    says = f"{verdict.message} (found at {moment(verdict.at)})" if verdict else ""
    return says or (status.reason.sentence.rstrip(".") if status.reason else "it has ended")


def _retry(version: ModelVersion | None) -> str:
    """What leads out of a failed state."""
    token = "a new control.retryToken"
    if version is None:
        return token
    first = "control.abort: false and " if version.spec.control.abort else ""
    if version.spec.desired is not Desired.LIVE:
        return f"desired: Live and {first}{token}"
    return f"{first}{token}: turnout retry {version.model} {version.version}"


def _live(member: Member, status: Status, selection: Selection) -> str:
    if member.death:
        serving = [m.name for m in selection.members.values() if m is not member and m.observed_percent and m.lives]
        instead = f"; {serving[0]} answers in its place" if serving and not member.observed_percent else ""
        return f"nothing of it answers: {member.death.message}{_hindrance(member)}{instead}"
    if status.reason is Reason.LastServing:
        return Reason.LastServing.sentence
    if member.revision and not member.revision.wanted:
        return f"stable since {moment(status.promoted_at)}; asleep, the next request wakes it"
    return f"stable since {moment(status.promoted_at)}"


def _waiting(status: Status, selection: Selection) -> str:
    target = selection.target
    if status.state is State.Queued:
        running = ", ".join(occupant.name for occupant in selection.occupants)
        return f"waits until {running or 'the rollout before it'} has ended"
    if status.reason is Reason.BeingDeleted:
        return Reason.BeingDeleted.sentence
    if status.scale_down_at and selection.snapshot.now < status.scale_down_at and status.state is State.Standby:
        why = "as the instant way back" if status.promoted_at else "to be looked at"
        return f"keeps its pods until {moment(status.scale_down_at, status.state_since)}, {why}"
    if target and status.reason in {Reason.NotTheTarget, Reason.Superseded, Reason.Replaced}:
        return f"{target.name} is the target"
    return status.reason.sentence if status.reason else ""

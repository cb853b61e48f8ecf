"""One sentence for a person: what a version does or waits for, with moments and never ages (rest writes nothing)."""

from datetime import datetime

from turnout.api.reasons import Reason, State
from turnout.api.status import Status
from turnout.rollout.capacity import needed
from turnout.rollout.selection import Member, Selection
from turnout.rollout.steps import first_weight, weight_of


def clock(moment: datetime | None) -> str:
    return f"{moment:%H:%M:%S}" if moment else "an unknown moment"


def message(member: Member, status: Status, selection: Selection) -> str:
    """The sentence for a status that is about to be recorded."""
    match status.state:
        case State.Rejected:
            return selection.refused[member.name].message if member.name in selection.refused else ""
        case State.Deploying:
            return _deploying(member, status, selection)
        case State.Warming:
            return f"answers its examples at its own address since {clock(status.state_since)}"
        case State.Progressing | State.Paused | State.Held | State.Promoting:
            return _in_traffic(member, status, selection)
        case State.RollingBack | State.RolledBack | State.Failed | State.Aborted:
            return _finding(status)
        case State.Live:
            return _live(member, status)
        case State.Pending if selection.snapshot.trouble:
            return selection.snapshot.trouble.message
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
        return says
    return f"{says}; gives up at {clock(status.progress_since + version.spec.rollout.progress_deadline.delta)}"


def _in_traffic(member: Member, status: Status, selection: Selection) -> str:
    percent = f"{weight_of(status)} %"
    match status.reason:
        case Reason.AwaitingCapacity | Reason.TooLittleCapacity:
            return _capacity(member, status, selection)
        case Reason.PausedByPlan:
            return f"{percent} until {clock(status.step.deadline if status.step else None)}"
        case Reason.PausedByPerson:
            return f"{percent}; a person paused it at {clock(status.control.paused_since)}"
        case Reason.StableUnhealthy | Reason.RollbackBlocked | Reason.LivingFallback if selection.stable:
            dead = selection.stable.death
            return f"{selection.stable.name} is dead ({dead.message if dead else 'it was'}); this one carries on"
        case Reason.Evicted | Reason.TrafficStuck | Reason.ReadinessLost:
            cause = member.death.message if member.death else "its pods were taken away"
            return f"{cause}; it returns to {percent} when its pods are ready"
    if status.state is State.Promoting:
        return "all traffic is on its way to it"
    return f"{percent} since {clock(status.step.started_at if status.step else None)}"


def _capacity(member: Member, status: Status, selection: Selection) -> str:
    percent = 100 if status.state is State.Promoting else weight_of(status)
    stable = selection.stable
    sides = [f"{needed(member, percent)} ready pods of {member.name} (has {member.ready_pods})"]
    if stable and percent < 100 and stable.ready_pods < (status.capacity or 1):
        sides.append(f"{status.capacity} of {stable.name} (has {stable.ready_pods})")
    return f"{percent} % needs {' and '.join(sides)}"


def _finding(status: Status) -> str:
    verdict = status.verdict
    if verdict is None:
        return status.reason.sentence if status.reason else ""
    return f"{verdict.message} (found at {clock(verdict.at)})"


def _live(member: Member, status: Status) -> str:
    if member.death:
        return f"nothing of it answers: {member.death.message}"
    if status.reason is Reason.LastServing:
        return Reason.LastServing.sentence
    if member.revision and not member.revision.wanted:
        return f"stable since {clock(status.promoted_at)}; asleep, the next request wakes it"
    return f"stable since {clock(status.promoted_at)}"


def _waiting(status: Status, selection: Selection) -> str:
    target = selection.target
    if status.state is State.Queued:
        running = ", ".join(occupant.name for occupant in selection.occupants)
        return f"waits until {running or 'the rollout before it'} has ended"
    if status.scale_down_at and selection.snapshot.now < status.scale_down_at and status.state is State.Standby:
        return f"keeps its pods until {clock(status.scale_down_at)}, as the instant way back"
    if target and status.reason in {Reason.NotTheTarget, Reason.Superseded, Reason.Replaced}:
        return f"{target.name} is the target"
    return status.reason.sentence if status.reason else ""

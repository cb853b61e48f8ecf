"""Events: each happening told once, when the record that speaks of it changes."""

from collections.abc import Iterator, Mapping

from turnout.api.moments import moment
from turnout.api.reasons import ConditionType, EventReason, Reason, State
from turnout.api.rollout import Verb
from turnout.api.status import ConditionStatus, Status, StepStatus
from turnout.api.version import ModelVersion
from turnout.judge.blind import LEFT_OUT
from turnout.rollout.made_of import why_not_the_same
from turnout.rollout.messages import stopped
from turnout.rollout.notes import noted
from turnout.rollout.plan import Event
from turnout.rollout.selection import TRAFFIC_STATES, Member, Selection
from turnout.rollout.snapshot import Split
from turnout.rollout.steps import steps_of, weight_of
from turnout.rollout.stops import standing

ENTERED: Mapping[State, tuple[EventReason, bool]] = {
    State.Rejected: (EventReason.Rejected, True),
    State.Queued: (EventReason.Queued, False),
    State.Deploying: (EventReason.RolloutStarted, False),
    State.Live: (EventReason.Promoted, False),
    State.Standby: (EventReason.Standby, False),
    State.RollingBack: (EventReason.RollbackStarted, True),
    State.RolledBack: (EventReason.RolledBack, True),
    State.Aborted: (EventReason.Aborted, False),
    State.Frozen: (EventReason.Frozen, True),
    State.Superseded: (EventReason.Superseded, False),
    State.Failed: (EventReason.Failed, True),
    State.Archived: (EventReason.Archived, False),
    State.Retired: (EventReason.Retired, False),
}
"""The event of entering a state, and whether it is a warning. Other states are told by their steps."""

SAID: Mapping[Reason, EventReason] = {
    Reason.LastServing: EventReason.LastServing,
    Reason.KServeMissing: EventReason.DependencyMissing,
    Reason.EnvoyMissing: EventReason.DependencyMissing,
    Reason.PortTaken: EventReason.DependencyMissing,
    Reason.QuotaExceeded: EventReason.QuotaExceeded,
}
"""The warning of a reason that comes up."""

BECAME: Mapping[tuple[ConditionType, ConditionStatus], tuple[EventReason, bool]] = {
    (ConditionType.RevisionPinned, ConditionStatus.FALSE): (EventReason.UnplannedRevision, True),
    (ConditionType.Contended, ConditionStatus.TRUE): (EventReason.Contended, True),
}
"""The event of a condition that turns."""


SPOKE: Mapping[tuple[ConditionType, Reason], EventReason] = {
    (ConditionType.Stalled, Reason.DeadlineExceeded): EventReason.DeadlineExceeded,
    (ConditionType.TrafficInSync, Reason.TrafficStuck): EventReason.TrafficStuck,
    (ConditionType.TrafficInSync, Reason.TrafficUnwritable): EventReason.TrafficUnwritable,
}
"""The warning of a condition that takes up a reason."""


def happenings(version: ModelVersion, after: Status) -> Iterator[Event]:
    """Compare what was recorded with what is about to be."""
    before = version.status
    if after.state is not before.state and after.state is not None:
        yield from _entered(version, before, after)
    elif after.hold is not None and after.hold != before.hold:
        yield _held(version, after)
    elif after.state is State.Promoting:
        yield from _promoting(version, before, after)
    if after.revision is not None and before.revision is None and after.state is State.Warming:
        yield _event(version, EventReason.RevisionPinned, f"{after.revision.name} is ready and pinned")
    if after.step is not None and after.step.verb and after.step.started_at != _started(before):
        yield _event(version, EventReason.StepEntered, _step_text(after, after.step))
    if before.plan and after.plan and before.plan.hash != after.plan.hash and before.attempt == after.attempt:
        yield _event(version, EventReason.PlanChanged, _plan_text(after))
    yield from _paused(version, before, after)
    for stop in standing(after):
        if stop not in before.stops and stop.reason is not Reason.DeadlineExceeded:  # told as a condition
            text = f"{stop.reason}: {stopped(stop, stop.weight, version.model)}"
            yield _event(version, EventReason.Paused, text, warning=True)
    told = SAID.get(after.reason) if after.reason and after.reason is not before.reason else None
    if told:
        yield _event(version, told, after.message, warning=True)
    yield from _turned(version, before, after)
    yield from _cautions(version, before, after)


def _paused(version: ModelVersion, before: Status, after: Status) -> Iterator[Event]:
    """A person pauses or resumes; a pause that gives way to a death or to a newer version does not go on."""
    was, since = before.control.paused_since, after.control.paused_since
    if since is not None and since != was:
        yield _event(version, EventReason.Paused, after.message)
    elif was is not None and since is None and after.state in TRAFFIC_STATES:
        yield _event(version, EventReason.Resumed, after.message)


def _promoting(version: ModelVersion, before: Status, after: Status) -> Iterator[Event]:
    """Its pods are missing for longer than their usual start, or have come."""
    lacked, lacks = (status.reason is Reason.TooLittleCapacity for status in (before, after))
    if lacks and not lacked:
        yield _held(version, after)
    elif lacked and after.reason is Reason.AwaitingTraffic:
        yield _event(version, EventReason.Resolved, after.message)


def _step_text(status: Status, step: StepStatus) -> str:
    if step.verb is Verb.ANALYSIS:
        until = moment(step.deadline, step.started_at)
        return f"step {step.display}: {weight_of(status)} % is judged until {until} at the latest"
    if step.verb is Verb.APPROVAL or (step.verb is Verb.PAUSE and not step.deadline):
        return f"step {step.display}: {weight_of(status)} % until a person moves it on"
    if step.deadline:
        return f"step {step.display}: {weight_of(status)} % until {moment(step.deadline, step.started_at)}"
    return f"step {step.display}: {weight_of(status)} %"


def _plan_text(status: Status) -> str:
    """What is to come, in the words of a plan."""
    passed = status.step.index + 1 if status.step else 0
    weights = [f"{step.set_weight} %" for step in steps_of(status)[passed:] if step.set_weight is not None]
    to_come = len(steps_of(status)) - passed
    return f"the edited steps count from now on: {to_come} to come" + (f", by {', '.join(weights)}" if weights else "")


def _started(status: Status) -> object:
    return status.step.started_at if status.step else None


def _entered(version: ModelVersion, before: Status, after: Status) -> Iterator[Event]:
    if after.reason is Reason.Adopted:
        yield _event(version, EventReason.StatusRebuilt, Reason.Adopted.sentence, warning=True)
        return
    if before.state is State.Held and after.state is State.Live:
        yield _event(version, EventReason.Resolved, "it answers again")
        return
    if before.state is State.Held and after.state in {State.Progressing, State.Paused}:
        yield _event(version, EventReason.Resolved, after.message)
    if before.state is State.Warming and after.state in {State.Progressing, State.Paused, State.Promoting}:
        besides = f"; {Reason.NoStable.sentence}" if after.reason is Reason.NoStable else ""
        yield _event(version, EventReason.WarmedUp, f"it answered its examples as the artifact says{besides}")
    first = before.state in {None, State.Pending} and after.state is State.Standby
    if after.state is State.Held:
        yield _held(version, after)
        return
    if before.state is State.Retired and after.failed:  # nothing happens now: it has failed before
        yield _event(version, EventReason.Caution, f"it is {after.state} as before: {after.message}", warning=True)
        return
    told = ENTERED.get(after.state) if after.state and not first else None
    blocked = before.hold is not None and before.hold.reason is Reason.RollbackBlocked  # its start has been told
    if told and not blocked:
        reason = f"{after.reason}: " if after.reason and after.reason.value != told[0].value else ""
        if after.state is State.Deploying and before.promoted_at and not after.promoted_at:
            reason += f"it was promoted before, and goes through its whole plan: {why_not_the_same(before, version)}; "
        yield _event(version, told[0], f"{reason}{after.message}", warning=told[1])


def _held(version: ModelVersion, after: Status) -> Event:
    blocked = after.hold is not None and after.hold.reason is Reason.RollbackBlocked
    told = EventReason.RollbackBlocked if blocked else EventReason.Held
    return _event(version, told, f"{after.reason}: {after.message}", warning=True)


def _cautions(version: ModelVersion, before: Status, after: Status) -> Iterator[Event]:
    """What comes up of notes, and of what is not judged though it was asked for."""
    known, now = (_accepted(status) for status in (before, after))
    for field, note in now.items():
        if field not in known:
            yield _event(version, EventReason.Caution, note, warning=True)
    if before.attempt == after.attempt and after.analysis and after.analysis.requests.canary:
        seen = before.analysis.blind if before.analysis and before.analysis.requests.canary else ()
        for sentence in after.analysis.blind:
            if sentence not in seen and LEFT_OUT in sentence:
                yield _event(version, EventReason.Caution, sentence, warning=True)


def _accepted(status: Status) -> Mapping[str, str]:
    condition = status.condition(ConditionType.Accepted)
    return noted(condition.message if condition else "")


def _turned(version: ModelVersion, before: Status, after: Status) -> Iterator[Event]:
    for condition in after.conditions:
        was = before.condition(ConditionType(condition.type))
        told = BECAME.get((ConditionType(condition.type), condition.status))
        if told and (was is None or was.status is not condition.status):
            yield _event(version, told[0], condition.message, warning=told[1])
    for (kind, reason), event in SPOKE.items():
        now, was = after.condition(kind), before.condition(kind)
        if now and now.reason == reason and (was is None or was.reason != reason):
            yield _event(version, event, now.message, warning=True)


def traffic_events(selection: Selection, split: Split, drifted: bool) -> Iterator[Event]:
    """A split that is about to be written: told on the candidate, or on stable where there is none."""
    told = selection.candidate or selection.stable
    names = {m.revision_name: m.name for m in selection.members.values()}
    text = ", ".join(f"{names.get(share.revision, share.revision)} {share.percent} %" for share in split)
    for member in selection.members.values():
        gone = member.observed_percent and all(s.revision != member.revision_name for s in split)
        if gone and member.death and member.version:
            text_of_death = f"out of the split: {member.death.message}; now {text}"
            yield _event(member.version, EventReason.Dropped, text_of_death, warning=True)
    if told is None or told.version is None:
        return
    if drifted:
        yield _event(told.version, EventReason.DriftCorrected, f"put back to {text}", warning=True)
    else:
        yield _event(told.version, EventReason.WeightChanged, text)


def ghost_event(member: Member, teller: ModelVersion) -> Event:
    """A deleted version that still serves, told by a version that remains."""
    return _event(teller, EventReason.GhostServing, f"{member.name} was deleted and serves until it is replaced")


def _event(version: ModelVersion, reason: EventReason, text: str, *, warning: bool = False) -> Event:
    return Event(version=version.name, reason=reason, message=text[:1000], warning=warning)

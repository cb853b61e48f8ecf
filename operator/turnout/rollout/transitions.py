"""The table of states: what a version's next recorded state is. At most one transition in a pass.

A transition only records. What it leads to (a share taken away, pods, a deletion) follows in the next pass from the
record, so a kill in between repeats the pass and loses nothing.
"""

from collections.abc import Callable, Mapping

from turnout.api.reasons import ROLLOUT_STATES, Reason, State
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.rollout import controls, evidence, failing, launching, overdue, proving, standing, traffic
from turnout.rollout.made_of import by_digest
from turnout.rollout.record import end_attempt
from turnout.rollout.replanning import replanned
from turnout.rollout.selection import TRAFFIC_STATES, Member, Selection, is_stable_state

Transition = Callable[[Member, ModelVersion, Selection], Status]

TABLE: Mapping[State | None, Transition] = {
    None: standing.newcomer,
    State.Pending: standing.pending,
    State.Queued: standing.queued,
    State.Deploying: launching.deploying,
    State.Warming: launching.warming,
    State.Progressing: traffic.progressing,
    State.Paused: traffic.paused,
    State.Held: traffic.held,
    State.Promoting: traffic.promoting,
    State.RollingBack: traffic.rolling_back,
    State.Standby: standing.standby,
    State.Superseded: standing.waits_for_target,
    State.Archived: standing.waits_for_target,
    State.Retired: failing.retired,
    State.RolledBack: failing.failed,
    State.Failed: failing.failed,
    State.Aborted: failing.failed,
    State.Frozen: failing.frozen,
}
"""The rule of each state; a state of another release that is not here stays as it is."""


def advance(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """The status to record for one version; equal to the recorded one if nothing is due."""
    if _is_blind(member, selection):
        return member.status
    after = _advanced(member, version, selection)
    after = overdue.noted(member, version, evidence.taken_in(member, after, selection), selection)
    return controls.acknowledged(member, version, by_digest(member, version, after))


def _advanced(member: Member, version: ModelVersion, selection: Selection) -> Status:
    if is_stable_state(member.status):
        return standing.stable_transition(member, version, selection)
    if member is selection.stable and member.name not in selection.refused:
        return standing.newcomer(member, version, selection)
    refused = standing.refused(member, selection)
    if refused is not None:
        return refused
    if member.state in ROLLOUT_STATES and member.state is not State.RollingBack:
        edited = replanned(member.status, version)
        if edited is not None and not (member.death or proving.is_harmful(member, selection)):
            return edited  # before anything moves on: what a person wrote together counts together
        stopped = _stopped(member, version, selection)
        if stopped is not None:
            return stopped
    elif version.spec.desired is not Desired.LIVE and member.state not in {State.RollingBack, State.Frozen}:
        unwanted = standing.unwanted(member, version, selection)
        if unwanted is not None:
            return unwanted
        if version.spec.desired is Desired.RETIRED:
            return member.status
    return TABLE.get(member.state, standing.stays)(member, version, selection)


def _is_blind(member: Member, selection: Selection) -> bool:
    """The engine cannot see what runs, so what has been deployed stays as it was last seen."""
    unseen = selection.snapshot.trouble is not None and member.deployment is None
    return unseen and member.state in {State.Warming, State.RollingBack, State.Live, *TRAFFIC_STATES}


def _stopped(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """A rollout that ends or waits whatever its step says: withdrawn, superseded, or by a death."""
    now, status = selection.snapshot.now, member.status
    if member.held_for is Reason.RollbackBlocked:
        return None
    if member.is_aborted and not _is_to_be_condemned(member, selection):
        return controls.abort(status, selection)
    if status.plan is None:
        return launching.redeploy(status, version, Reason.AwaitingRevision, now)
    if selection.stable is None and traffic.promotion_is_done(member, selection):
        return None  # the first of its model: whatever comes next needs a stable one
    is_unwanted = version.spec.desired is not Desired.LIVE or version.metadata.is_leaving
    if is_unwanted and not _is_to_be_condemned(member, selection):
        return failing.withdrawn(status, version, now)
    if member is not selection.runner and not _is_to_be_condemned(member, selection):
        if failing.is_judged(status):
            return failing.as_judged(status, now)
        delay = version.spec.rollout.abort_scale_down_delay.delta
        return end_attempt(status, State.Superseded, Reason.Superseded, now, scale_down_at=now + delay, step=None)
    if member.state in TRAFFIC_STATES:
        return traffic.interrupted(member, version, selection)
    return controls.promoted_fully(member, version, selection)


def _is_to_be_condemned(member: Member, selection: Selection) -> bool:
    """Its own crash is told, also where a newer version takes over at that very moment."""
    dead = member.state in TRAFFIC_STATES and member.death is not None and member.death.own_fault
    return dead and (selection.stable is not None or bool(selection.fallbacks))

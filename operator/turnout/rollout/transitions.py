"""The table of states: what a version's next recorded state is. At most one transition in a pass.

A transition only records. What it leads to (a share taken away, pods, a deletion) follows in the next pass from the
record, so a kill in between repeats the pass and loses nothing.
"""

from collections.abc import Callable, Mapping

from turnout.api.reasons import ROLLOUT_STATES, Reason, State
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.rollout import launching, standing, traffic
from turnout.rollout.record import condemn, end_attempt
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
    State.Retired: standing.retired,
    State.RolledBack: standing.stays,
    State.Failed: standing.stays,
    State.Aborted: standing.stays,
    State.Frozen: standing.stays,
}
"""The rule of each state; a state of another release that is not here stays as it is."""


def advance(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """The status to record for one version; equal to the recorded one if nothing is due."""
    if member.state is not None and is_stable_state(member.status):
        return standing.stable_transition(member, version, selection)
    refused = standing.refused(member, selection)
    if refused is not None:
        return refused
    if member.state in ROLLOUT_STATES and member.state is not State.RollingBack:
        stopped = _stopped(member, version, selection)
        if stopped is not None:
            return stopped
    elif version.spec.desired is not Desired.LIVE and member.state is not State.RollingBack:
        unwanted = standing.unwanted(member, version, selection)
        if unwanted is not None:
            return unwanted
        if version.spec.desired is Desired.RETIRED:
            return member.status
    return TABLE.get(member.state, standing.stays)(member, version, selection)


def _stopped(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """A rollout that ends or waits whatever its step says: withdrawn, superseded, or by a death."""
    now, status = selection.snapshot.now, member.status
    blocked = status.hold is not None and status.hold.reason is Reason.RollbackBlocked
    if blocked:
        return None
    if version.spec.desired is not Desired.LIVE:
        outcome = State.Retired if version.spec.desired is Desired.RETIRED else State.Standby
        return condemn(status, outcome, Reason.Withdrawn, f"desired was set to {version.spec.desired}", now)
    dead_by_itself = member.state in TRAFFIC_STATES and member.death is not None and member.death.own_fault
    if member is not selection.target and not dead_by_itself:
        delay = version.spec.rollout.abort_scale_down_delay.delta
        return end_attempt(status, State.Superseded, Reason.Superseded, now, scale_down_at=now + delay, step=None)
    return traffic.interrupted(member, version, selection) if member.state in TRAFFIC_STATES else None

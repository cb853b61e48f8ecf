"""`decide`: the brain. One frozen Snapshot in, one Plan out; total, pure, without a clock.

The split follows from what was recorded before this pass, and from who is dead; what is recorded now leads on in the
next one. See plan.py for why this survives a kill between any two writes.
"""

from collections.abc import Container, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from turnout.api.reasons import State
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.judge.protocol import Judge
from turnout.rollout.acceptance import is_of_older_self
from turnout.rollout.arriving import UNTOLD, is_on_its_way
from turnout.rollout.capacity import autoscaling
from turnout.rollout.conditions import STUCK, complete
from turnout.rollout.controls import told
from turnout.rollout.evidence import examine, moments, poll_request
from turnout.rollout.failing import is_as_recorded
from turnout.rollout.floors import next_edge
from turnout.rollout.happenings import ghost_event, happenings, traffic_events
from turnout.rollout.health import FROZEN_AFTER, next_look
from turnout.rollout.identity import spec_hash
from turnout.rollout.launching import request
from turnout.rollout.plan import Deploy, Event, Own, Plan, ProbeRequest, Retire, RouteChange, Scale
from turnout.rollout.record import resolve
from turnout.rollout.retrying import tries_again_at
from turnout.rollout.selection import Member, Selection, is_stable_state, select
from turnout.rollout.snapshot import Route, Snapshot, Split
from turnout.rollout.split import Weights, desired_split, desired_weights
from turnout.rollout.traffic import PATIENCE, pods_are_awaited_until, stable_is_awaited_until
from turnout.rollout.transitions import advance
from turnout.rollout.unread import complaints
from turnout.rollout.window import window_of

NEEDS_DEPLOYMENT = frozenset(
    {State.Deploying, State.Warming, State.Progressing, State.Paused, State.Held, State.Promoting, State.Live}
)
GONE = frozenset({State.Failed, State.Archived, State.Retired})
"""States whose deployment is deleted at once."""
ABANDONED = frozenset({State.RolledBack, State.Aborted, State.Superseded})
"""States whose deployment is kept for a look, until rollbackWindow.maxAge."""
BACK_OFF = timedelta(seconds=60)
"""How long a contended Route is left to the other side before it is put back again."""


def decide(snapshot: Snapshot, judge: Judge) -> Plan:
    """What to do now about one model. `decide(apply(decide(s)))` settles: at rest the Plan changes nothing."""
    if not snapshot.versions:
        # owner references, or their absence, say what becomes of the rest
        return Plan(complaints=tuple(complaints(snapshot)))
    selection = select(snapshot)
    selection = replace(selection, look=examine(selection, judge))
    weights = desired_weights(selection)
    change = _route_change(selection, weights)
    record, events = _records(selection, weights, on_its_way=is_on_its_way(selection, change))
    retire = tuple(_retire(selection, weights))
    return Plan(
        route=change,
        scale=tuple(_scale(selection)),
        deploy=tuple(_deploy(selection)),
        retire=retire,
        own=tuple(_own(selection, {retired.deployment.name for retired in retire})),
        probe=tuple(_probe(selection)),
        poll=poll_request(selection),
        complaints=tuple(complaints(snapshot)),
        record=record,
        events=tuple(events),
        again=min(_moments(selection, record), default=None),
        grace=min(_graces(selection), default=None),
    )


def _versioned(selection: Selection) -> Iterator[tuple[Member, ModelVersion]]:
    return ((m, m.version) for m in selection.members.values() if m.version is not None)


def _records(selection: Selection, weights: Weights, *, on_its_way: bool) -> tuple[dict[str, Status], list[Event]]:
    record: dict[str, Status] = {}
    events: list[Event] = []
    for member, version in _versioned(selection):
        status = advance(member, version, selection)
        if on_its_way and complete(member, version, status, weights, selection, as_told=True) == version.status:
            continue
        after = complete(member, version, status, weights, selection)
        if after != version.status:
            record[version.name] = after
            events.extend((*happenings(version, after), *told(member, version, after, selection)))
    return record, events


def _route_change(selection: Selection, weights: Weights) -> RouteChange | None:
    """The write that makes the Route carry the wish; None while it does, or while others fight for it."""
    route, split = selection.route, desired_split(selection, weights)
    if not split or sum(share.percent for share in split) != 100:
        return None
    if route is None and selection.snapshot.trouble:
        return None  # it may be there and unseen
    owners = selection.owners
    same_owners = route is not None and route.owners == {uid for _, uid in owners}
    if route is not None and route.written == split and same_owners:
        return None
    if _backs_off(selection, weights):
        return None
    if route is not None and route.written == split:
        events = _ghosts(selection, route)
    else:
        drifted = route is not None and bool(route.foreign_edits) and _wish_is_recorded(selection, weights)
        events = traffic_events(selection, split, drifted)
    return RouteChange(split, owners, _fallback(selection, split), tuple(events))


def _ghosts(selection: Selection, route: Route) -> Iterator[Event]:
    """Told when its reference goes: that happens once."""
    stable = selection.stable if route.owners - {uid for _, uid in selection.owners} else None
    if stable and stable.is_ghost and selection.teller and selection.teller.version:
        yield ghost_event(stable, selection.teller.version)


def _wish_is_recorded(selection: Selection, weights: Weights) -> bool:
    """The wish is the one already recorded: so it was somebody else who changed the Route."""
    return all(v.status.weight.desired == weights.get(v.name, 0) for _, v in _versioned(selection))


def _backs_off(selection: Selection, weights: Weights) -> bool:
    """Only putting back can wait: whatever this pass itself wants, a dead version's drop above all, cannot."""
    route = selection.route
    if route is None or not route.contended or not _wish_is_recorded(selection, weights):
        return False
    if any(m.death and (m.observed_percent or m.written_percent) for m in selection.members.values()):
        return False  # somebody puts the dead back
    return selection.snapshot.now - route.foreign_edits[-1] < BACK_OFF


def _fallback(selection: Selection, split: Split) -> str:
    """Where a request is repeated that failed on the candidate: on stable, if both are in the split."""
    stable, candidate = selection.stable, selection.candidate
    if stable is None or candidate is None or candidate.version is None or len(split) < 2:
        return ""
    wanted = candidate.version.spec.rollout.repeat_on_stable and stable.lives
    return stable.revision_name if wanted else ""


def _scale(selection: Selection) -> Iterator[Scale]:
    for member in selection.members.values():
        wished = autoscaling(selection, member, selection.snapshot.now)
        if member.deployment and member.revision and wished and wished != member.revision.autoscaling:
            yield Scale(member.deployment, wished)


def _deploy(selection: Selection) -> Iterator[Deploy]:
    for member, version in _versioned(selection):
        if member.state in NEEDS_DEPLOYMENT and _is_to_be_made(member) and not selection.snapshot.trouble:
            resolved = member.status.resolved or resolve(member, version, selection.snapshot)
            yield Deploy(version, resolved.image, spec_hash(version), selection.owners)


def _is_to_be_made(member: Member) -> bool:
    """Of what was refused an attempt fails; a version that callers have met is made again until it is taken."""
    return member.deployment is None or not (member.deployment.uid or member.state is State.Deploying)


def _retire(selection: Selection, weights: Weights) -> Iterator[Retire]:
    """Nothing is deleted that has a share, as written, observed or wished, or that callers may still be sent to."""
    if selection.route is None and (
        selection.snapshot.trouble or selection.snapshot.key.model in selection.snapshot.taken
    ):
        return  # a Route that cannot be seen, or is not ours any more, may still name it
    if selection.is_shifting:
        return
    written = {share.revision for share in selection.route.written} if selection.route else set()
    for member in selection.members.values():
        deployment = member.deployment
        if deployment is None or deployment.leaving or weights.get(member.name) or member.observed_percent:
            continue
        if member.revision_name and member.revision_name in written:
            continue
        why = _why_gone(member, selection)
        if why:
            yield Retire(deployment, why)


def _why_gone(member: Member, selection: Selection) -> str:
    if member.version is None or (member.deployment and is_of_older_self(member.version, member.deployment)):
        kept = not selection.owners or member.is_unread or member is selection.stable
        return "" if kept else "its ModelVersion was deleted"
    if member.state in GONE:
        return f"it is {member.state}"
    if member.state is State.Pending and not is_as_recorded(member, member.version):
        return "it is not what was recorded of it, so it is made anew"
    max_age = window_of(selection, member.version).max_age.delta
    since = member.status.state_since
    if _is_abandoned(member.status) and since and selection.snapshot.now - since >= max_age:
        return f"it is {member.state} since {since:%Y-%m-%d}"
    return ""


def _is_abandoned(status: Status) -> bool:
    """Not to return but by a whole rollout."""
    return status.state in ABANDONED or (status.state is State.Standby and status.promoted_at is None)


def _own(selection: Selection, going: Container[str]) -> Iterator[Own]:
    owners = selection.owners
    uids = frozenset(uid for _, uid in owners)
    for name, member in selection.members.items():
        deployment = member.deployment
        if deployment and not deployment.leaving and name not in going and deployment.owners != uids:
            yield Own(deployment, owners)


def _probe(selection: Selection) -> Iterator[ProbeRequest]:
    """Ask the warming version for its examples' answers, and stable for its contract to compare."""
    for member in selection.members.values():
        if member.state is not State.Warming or not _unprobed(member, selection):
            continue
        yield request(member, selection.snapshot.key.model)
    warming = any(m.state is State.Warming for m in selection.members.values())
    stable = selection.stable
    if warming and stable and stable.ready_pods and _unprobed(stable, selection):
        yield replace(request(stable, selection.snapshot.key.model), requests=0)


def _unprobed(member: Member, selection: Selection) -> bool:
    if member.revision is None:
        return False
    probe = selection.snapshot.probes.get(member.revision.uid)
    return probe is None or not probe.done


def _moments(selection: Selection, record: dict[str, Status]) -> Iterator[datetime]:
    """Every moment at which this pass would have decided otherwise though nothing happened, but those of `_graces`."""
    now = selection.snapshot.now
    due = [
        moment
        for member in selection.members.values()
        for moment in _moments_of(member, record.get(member.name, member.status), selection)
    ]
    due.extend(moments(selection))
    route = selection.route
    if route is not None and route.unsynced_since:
        due.extend(route.unsynced_since + wait for wait in (UNTOLD, FROZEN_AFTER, timedelta(seconds=STUCK)))
    if route is not None and route.contended:
        due.append(route.foreign_edits[-1] + BACK_OFF)
    return (moment for moment in due if moment is not None and moment > now)


def _graces(selection: Selection) -> Iterator[datetime]:
    """When a revision that serves, or is to, counts as dead unless it has answered by then."""
    now = selection.snapshot.now
    looks = (next_look(m.revision, now, m.start_deadline) for m in selection.members.values() if _serves(m))
    return (look for look in looks if look is not None)


def _serves(member: Member) -> bool:
    return bool(member.observed_percent) or member.state in NEEDS_DEPLOYMENT


def _moments_of(member: Member, status: Status, selection: Selection) -> Iterator[datetime | None]:
    version = member.version
    if version is None:
        return
    rollout = version.spec.rollout
    yield status.scale_down_at
    if member.deployment:
        yield next_edge(version.spec.scaling, selection.snapshot.now)
    if status.state is State.Deploying and status.progress_since:
        yield status.progress_since + rollout.progress_deadline.delta
        yield status.progress_since + PATIENCE  # by then the platform has said something, or that is what is told
    if status.state is State.Warming and status.state_since:
        yield status.state_since + request(member, version.model).timeout
    if status.step and status.state is State.Paused:
        yield status.step.deadline
    if status.step and status.state in {State.Progressing, State.Promoting}:
        yield pods_are_awaited_until(status, selection.snapshot.now)
    if status.rollout_started_at and status.state in NEEDS_DEPLOYMENT and not is_stable_state(status):
        yield status.rollout_started_at + rollout.deadline.delta
    yield tries_again_at(version, status)
    if status.state is State.RollingBack:
        yield stable_is_awaited_until(version, status)
    if status.state is State.Standby and status.replaced_at:
        yield status.replaced_at + window_of(selection, version).max_age.delta
    if _is_abandoned(status) and status.state_since:
        yield status.state_since + window_of(selection, version).max_age.delta

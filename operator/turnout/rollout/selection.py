"""Who is who in a model: which versions are accepted, which one is stable, which one is the target.

Roles are derived in every pass from what is recorded and observed, never read back. The one selection rule: the
target is the greatest version that is Live and accepted and whose attempt has not failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from turnout.api.reasons import ROLLOUT_STATES, Reason, State
from turnout.api.rollout import OnSupersede
from turnout.api.status import EPOCH, Status
from turnout.api.version import DeletionPolicy, Desired, ModelVersion
from turnout.rollout.acceptance import refusals
from turnout.rollout.health import GRACE, Death, death, freezes
from turnout.rollout.look import Look
from turnout.rollout.snapshot import Deployment, Problem, Revision, Route, Snapshot

TRAFFIC_STATES = frozenset({State.Progressing, State.Paused, State.Held, State.Promoting})
"""States of a candidate that has been warmed up, so that callers may meet it."""

TAKEN_AWAY = frozenset({Reason.Evicted, Reason.ReadinessLost, Reason.TrafficStuck})
"""What a candidate is Held for without a share, until its pods are ready: no fault of its own."""

ABORT = "abort"
"""The wish of the control block, as `status.control.refused` names it."""

WAITING = frozenset({None, State.Pending, State.Queued, State.Rejected})
"""States before a rollout, in which a pause or an abort is a wish about what is to come."""

SETTLED_IN = ROLLOUT_STATES | {State.Live}
"""States in which a refusal is only said: what runs goes on."""

GHOST_START_DEADLINE = timedelta(minutes=10)
"""How long a version may come up from zero whose ModelVersion, and so its own deadline, is gone."""


@dataclass(frozen=True)
class Member:
    """One version of the model with what runs it. `version` is None for a ghost, whose ModelVersion is gone."""

    name: str
    version: ModelVersion | None
    deployment: Deployment | None
    status: Status
    observed_percent: int = 0
    written_percent: int = 0
    death: Death | None = None

    @property
    def state(self) -> State | None:
        return self.status.state

    @property
    def held_for(self) -> Reason | None:
        hold = self.status.hold
        return hold.reason if hold and self.state is State.Held else None

    @property
    def is_ghost(self) -> bool:
        return self.version is None

    @property
    def is_unread(self) -> bool:
        """Its ModelVersion exists and cannot be read: what it wants is unknown, so it keeps what it has."""
        return bool(self.deployment and self.deployment.unread)

    @property
    def number(self) -> int:
        if self.is_unread and self.deployment:
            return self.deployment.version
        return self.version.version if self.version else 0

    @property
    def start_deadline(self) -> timedelta:
        """How long it may come up from zero before it counts as dead.

        A candidate with a share is never at zero: one that seems to start has lost its pods, and who looks has
        lost its memory.
        """
        if self.state in TRAFFIC_STATES | {State.Frozen} and (self.observed_percent or self.written_percent):
            return GRACE
        return self.version.spec.rollout.progress_deadline.delta if self.version else GHOST_START_DEADLINE

    @property
    def revision(self) -> Revision | None:
        """The pinned revision, or the one to pin; None if the pinned one was replaced by another of its name."""
        found = self.deployment.revision if self.deployment else None
        pinned = self.status.revision
        return None if found and pinned and found.uid != pinned.uid else found

    @property
    def was_replaced(self) -> bool:
        found = self.deployment.revision if self.deployment else None
        return bool(found and self.status.revision and found.uid != self.status.revision.uid)

    @property
    def revision_name(self) -> str:
        if self.revision:
            return self.revision.name
        return self.status.revision.name if self.status.revision else ""

    @property
    def ready_pods(self) -> int:
        return self.revision.ready_pods if self.revision else 0

    @property
    def is_aborted(self) -> bool:
        """A person wants its attempt, or its wait for one, to end, and was not told before that this has no effect."""
        wants = self.version is not None and self.version.spec.control.abort
        return wants and ABORT not in self.status.control.refused

    @property
    def lives(self) -> bool:
        """It could answer a request now, or would wake up to do so."""
        return self.revision is not None and self.death is None

    @property
    def is_able(self) -> bool:
        """It may be given a share at this moment: its pods are ready, and a Route takes a split that names it."""
        return self.revision is not None and self.revision.servable and self.ready_pods > 0

    @property
    def is_down(self) -> bool:
        """Dead, or out of the split and not able: what has been dropped comes back with its pods, not before."""
        return self.death is not None or not (self.observed_percent or self.written_percent or self.is_able)


@dataclass(frozen=True)
class Selection:
    """The roles of one pass."""

    snapshot: Snapshot
    members: Mapping[str, Member]
    refused: Mapping[str, Problem]
    stable: Member | None
    target: Member | None
    runner: Member | None
    """Whose rollout may go on: the target, or the one that a queued target waits for."""
    look: Look | None = None  # at the candidate

    @property
    def route(self) -> Route | None:
        return self.snapshot.route

    @cached_property
    def candidate(self) -> Member | None:
        """The one whose rollout runs and may go on."""
        runner = self.runner
        if runner is None or runner is self.stable or runner.state not in ROLLOUT_STATES:
            return None
        return runner

    @cached_property
    def frozen(self) -> Member | None:
        """One that was judged harmful and keeps its share until a person decides."""
        return _frozen(self.members)

    @property
    def teller(self) -> Member | None:
        """Who tells what concerns the model, and none of its versions that could tell it itself."""
        return self.target or next((m for m in self.members.values() if m.version), None)

    @property
    def is_shifting(self) -> bool:
        """Callers may be sent where neither the Route nor its status names anybody any more: the gateway hears last."""
        return self.route is not None and not self.route.in_sync

    @property
    def stable_is_down(self) -> bool:
        return self.stable is not None and self.stable.is_down

    @cached_property
    def occupants(self) -> tuple[Member, ...]:
        """Versions whose rollout is not over: they run, or still hold a share that was not theirs to keep.

        One that carries on only because nothing else lives keeps nobody waiting: the next may be the fix.
        """
        return tuple(m for m in self.members.values() if m is not self.stable and self._occupies(m))

    def _occupies(self, member: Member) -> bool:
        if member.state is State.Superseded:
            return member.observed_percent > 0 and self.stable is not None and not self.stable_is_down
        if member.state is State.Frozen:
            return member.observed_percent > 0 or member.written_percent > 0
        return member.state in ROLLOUT_STATES and member.held_for is not Reason.RollbackBlocked

    def slot_is_free_for(self, member: Member) -> bool:
        return all(occupant is member for occupant in self.occupants)

    @cached_property
    def fallbacks(self) -> tuple[Member, ...]:
        """Formerly promoted versions with ready pods, the last promoted first."""
        able = [m for m in self.members.values() if m.state is State.Standby and _can_take_over(m)]
        return tuple(sorted(able, key=_promoted_at, reverse=True))

    @property
    def owners(self) -> tuple[tuple[str, str], ...]:
        """(name, uid) of every ModelVersion of the model; none if any says Orphan."""
        versions, unread = self.snapshot.versions, [d for d in self.snapshot.deployments if d.unread]
        orphans = any(v.spec.deletion_policy is DeletionPolicy.ORPHAN for v in versions)
        if orphans or any(not deployment.owners for deployment in unread):
            return ()
        read, deployed = {(v.name, v.uid) for v in versions}, {(d.name, d.unread) for d in unread}
        return tuple(sorted(read | deployed | {(each.name, each.uid) for each in self.snapshot.unread}))


def _promoted_at(member: Member) -> datetime:
    return member.status.promoted_at or EPOCH


def _can_take_over(member: Member) -> bool:
    return member.status.promoted_at is not None and member.is_able


def is_stable_state(status: Status) -> bool:
    """Recorded as stable: Live, or Held because it is dead and another carries its share."""
    if status.state is State.Held:
        return status.hold is not None and status.hold.reason is Reason.LivingFallback
    return status.state is State.Live


def select(snapshot: Snapshot) -> Selection:
    """Derive every role from one Snapshot."""
    refused = refusals(snapshot)
    members = _members(snapshot)
    stable = _stable(members, snapshot)
    unread = stable if stable and stable.is_unread else None
    eligible = _eligible(members, refused, above=unread.number if unread else 0)
    while (late := _late(eligible, members, stable)) is not None:
        refused[late.name] = _in_progress(late, _running(members, stable), _frozen(members))
        eligible.remove(late)
    target = eligible[-1] if eligible else None
    return Selection(snapshot, members, refused, stable, target, _runner(target, eligible, members, stable))


def _members(snapshot: Snapshot) -> dict[str, Member]:
    deployments = {deployment.name: deployment for deployment in snapshot.deployments}
    versions = {version.name: version for version in snapshot.versions}
    return {
        name: _member(name, versions.get(name), deployments.get(name), snapshot)
        for name in sorted({*deployments, *versions})
    }


def _member(name: str, version: ModelVersion | None, deployment: Deployment | None, snapshot: Snapshot) -> Member:
    member = Member(name, version, deployment, version.status if version else Status())
    revision, route, now = member.revision, snapshot.route, snapshot.now
    if not member.revision_name:
        return member
    if route:
        shares = route.percent_observed(member.revision_name), route.percent_written(member.revision_name)
        member = replace(member, observed_percent=shares[0], written_percent=shares[1])
    killed = death(revision, now, member.start_deadline)
    if killed is None and revision and route:
        killed = freezes(revision, route, now)
    return replace(member, death=killed)


def _stable(members: Mapping[str, Member], snapshot: Snapshot) -> Member | None:
    """Recorded Live, the last promoted; else who serves most of those without a record, ghosts and lost ones.

    Of two that serve as much, the older: what is not known of a version counts against it.
    """
    recorded = [m for m in members.values() if m.version and is_stable_state(m.status)]
    if recorded:
        return max(recorded, key=lambda m: (_promoted_at(m), m.number))
    serving = [m for m in members.values() if m.observed_percent and m.state in {None, State.Rejected}]
    return max(serving, key=lambda m: (m.observed_percent, -m.number), default=None)


def _eligible(members: Mapping[str, Member], refused: Mapping[str, Problem], above: int) -> list[Member]:
    """Live, accepted and not failed, the greatest last: the target."""
    eligible = [
        member
        for member in members.values()
        if member.version
        and member.number > above
        and member.version.spec.desired is Desired.LIVE
        and not member.version.metadata.is_leaving
        and (member.name not in refused or member.state in SETTLED_IN)
        and member.status.failed is None
        and not _is_kept_from_beginning(member)
    ]
    return sorted(eligible, key=lambda m: m.number)


def _is_kept_from_beginning(member: Member) -> bool:
    """Its abort is left true: no attempt begins, and none of another ends for it. Who was promoted returns."""
    if member.state in WAITING:
        return member.is_aborted
    is_left = member.version is not None and member.version.spec.control.abort
    return is_left and member.status.promoted_at is None and member.state not in SETTLED_IN


def _running(members: Mapping[str, Member], stable: Member | None) -> Member | None:
    """The one whose rollout would go on if nobody came; one on its way back or carrying on alone keeps nobody out."""
    for member in members.values():
        wanted = member.version is not None and member.version.spec.desired is Desired.LIVE
        ends = member.state is State.RollingBack or member.held_for is Reason.RollbackBlocked
        if wanted and member is not stable and member.state in ROLLOUT_STATES and not ends:
            return member
    return None


def _comes_upon(newcomer: Member | None, policy: OnSupersede) -> bool:
    """It is in no rollout itself, and would do so on finding another one."""
    version = newcomer.version if newcomer and newcomer.state not in SETTLED_IN else None
    return version is not None and version.spec.rollout.on_supersede is policy


def _late(eligible: list[Member], members: Mapping[str, Member], stable: Member | None) -> Member | None:
    """The target that is to be refused because another rollout runs, or one that is frozen has its share."""
    target = eligible[-1] if eligible else None
    refuses = _comes_upon(target, OnSupersede.REJECT) and target is not stable
    return target if refuses and (_running(members, stable) or _frozen(members)) else None


def _frozen(members: Mapping[str, Member]) -> Member | None:
    return next((m for m in members.values() if m.state is State.Frozen and m.written_percent), None)


def _in_progress(late: Member, running: Member | None, frozen: Member | None) -> Problem:
    name = running.name if running else "another"
    does = f"{frozen.name} is frozen" if frozen and not running else f"{name} is being rolled out"
    text = f"{does}, and {late.name} says onSupersede: Reject; it is looked at again after that"
    return Problem(Reason.RolloutInProgress, text)


def _runner(
    target: Member | None, eligible: list[Member], members: Mapping[str, Member], stable: Member | None
) -> Member | None:
    running = _running(members, stable)
    waits = target is not stable and _comes_upon(target, OnSupersede.QUEUE)
    return running if waits and running in eligible else target

"""Who is who in a model: which versions are accepted, which one is stable, which one is the target.

Roles are derived in every pass from what is recorded and observed, never read back. The one selection rule: the
target is the greatest version that is Live and accepted and whose attempt has not failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from turnout.api.reasons import FAILED_STATES, ROLLOUT_STATES, Reason, State
from turnout.api.status import EPOCH, Status
from turnout.api.version import DeletionPolicy, Desired, ModelVersion
from turnout.rollout.acceptance import refusals
from turnout.rollout.health import Death, death
from turnout.rollout.snapshot import Deployment, Problem, Revision, Route, Snapshot

TRAFFIC_STATES = frozenset({State.Progressing, State.Paused, State.Held, State.Promoting})
"""States of a candidate that has been warmed up, so that callers may meet it."""

GHOST_START_DEADLINE = timedelta(minutes=10)
"""How long a version may come up from zero whose ModelVersion, and so its own deadline, is gone."""


@dataclass(frozen=True)
class Member:
    """One version of the model with what runs it. `version` is None for a ghost, whose ModelVersion is gone."""

    name: str
    version: ModelVersion | None
    deployment: Deployment | None
    status: Status
    observed_percent: int
    death: Death | None

    @property
    def state(self) -> State | None:
        return self.status.state

    @property
    def is_ghost(self) -> bool:
        return self.version is None

    @property
    def number(self) -> int:
        """The version's number, also of a ghost."""
        if self.version:
            return self.version.version
        return self.deployment.version if self.deployment else 0

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
    def lives(self) -> bool:
        """It could answer a request now, or would wake up to do so."""
        return self.revision is not None and self.death is None


@dataclass(frozen=True)
class Selection:
    """The roles of one pass."""

    snapshot: Snapshot
    members: Mapping[str, Member]
    refused: Mapping[str, Problem]
    stable: Member | None
    target: Member | None

    @property
    def route(self) -> Route | None:
        return self.snapshot.route

    @cached_property
    def candidate(self) -> Member | None:
        """The one whose rollout runs, if it is still the target."""
        target = self.target
        if target is None or target is self.stable or target.state not in ROLLOUT_STATES:
            return None
        return target

    @cached_property
    def occupants(self) -> tuple[Member, ...]:
        """Versions whose rollout is not over: they run, or still hold a share that was not theirs to keep."""
        return tuple(
            member
            for member in self.members.values()
            if member is not self.stable and (member.state in ROLLOUT_STATES or self._lingers(member))
        )

    def _lingers(self, member: Member) -> bool:
        return member.state is State.Superseded and member.observed_percent > 0

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
        versions = self.snapshot.versions
        if any(v.spec.deletion_policy is DeletionPolicy.ORPHAN for v in versions):
            return ()
        return tuple(sorted((v.name, v.uid) for v in versions))


def _promoted_at(member: Member) -> datetime:
    return member.status.promoted_at or EPOCH


def _can_take_over(member: Member) -> bool:
    return bool(member.status.promoted_at and member.ready_pods and member.revision and member.revision.servable)


def is_stable_state(status: Status) -> bool:
    """Recorded as stable: Live, or Held because it is dead and another carries its share."""
    if status.state is State.Live:
        return True
    held_for = status.hold.reason if status.hold else None
    return status.state is State.Held and held_for is Reason.LivingFallback


def select(snapshot: Snapshot) -> Selection:
    """Derive every role from one Snapshot."""
    refused = refusals(snapshot)
    members = _members(snapshot)
    stable = _stable(members, snapshot)
    target = _target(members, refused)
    return Selection(snapshot, members, refused, stable, target)


def _members(snapshot: Snapshot) -> dict[str, Member]:
    deployments = {deployment.name: deployment for deployment in snapshot.deployments}
    versions = {version.name: version for version in snapshot.versions}
    return {
        name: _member(name, versions.get(name), deployments.get(name), snapshot)
        for name in sorted({*deployments, *versions})
    }


def _member(name: str, version: ModelVersion | None, deployment: Deployment | None, snapshot: Snapshot) -> Member:
    status = version.status if version else Status()
    member = Member(name, version, deployment, status, 0, None)
    if not snapshot.route and not member.revision_name:
        return member
    observed = snapshot.route.observed if snapshot.route else ()
    percent = sum(share.percent for share in observed if share.revision == member.revision_name)
    killed = death(member.revision, snapshot.now, _start_deadline(version))
    return Member(name, version, deployment, status, percent, killed)


def _start_deadline(version: ModelVersion | None) -> timedelta:
    return version.spec.rollout.progress_deadline.delta if version else GHOST_START_DEADLINE


def _stable(members: Mapping[str, Member], snapshot: Snapshot) -> Member | None:
    """Recorded Live, the last promoted; else a ghost with the greatest share; else whom the Route names."""
    recorded = [m for m in members.values() if m.version and is_stable_state(m.status)]
    if recorded:
        return max(recorded, key=lambda m: (_promoted_at(m), m.number))
    serving = [m for m in members.values() if m.observed_percent and (m.is_ghost or m.state is None)]
    return max(serving, key=lambda m: m.observed_percent, default=None)


def _target(members: Mapping[str, Member], refused: Mapping[str, Problem]) -> Member | None:
    eligible = [
        member
        for member in members.values()
        if member.version
        and member.version.spec.desired is Desired.LIVE
        and member.version.metadata.deletion_timestamp is None
        and (member.name not in refused or is_stable_state(member.status))
        and member.state not in FAILED_STATES
    ]
    return max(eligible, key=lambda m: m.number, default=None)

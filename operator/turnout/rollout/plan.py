"""What a decision asks for. An engine carries it out in the order of the fields and decides nothing itself.

Crash safety rests on one rule: what a Plan does to the world follows from what was *recorded before* (and from who is
dead); what it records leads to effects only in the next pass. So a kill between any two writes repeats, never skips.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from turnout.api.analysis import Analysis
from turnout.api.reasons import EventReason, Reason, State
from turnout.api.status import Condition, RevisionStatus, Status
from turnout.api.version import ModelVersion
from turnout.rollout.snapshot import Autoscaling, Deployment, Split, Unread


@dataclass(frozen=True, slots=True)
class Event:
    """A happening, told once, on one ModelVersion."""

    version: str
    reason: EventReason
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class RouteChange:
    """The whole split to write; its percents sum to 100. `owners`: (name, uid) as in Deploy.

    `fallback`: the revision on which a request that failed elsewhere is repeated once; empty: no repeats.
    `events`: what to tell once it is written.
    """

    split: Split
    owners: tuple[tuple[str, str], ...] = ()
    fallback: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Deploy:
    """Create what runs this version, once. `owners`: (name, uid) of every ModelVersion of the model, or none."""

    version: ModelVersion
    image: str
    spec_hash: str
    owners: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Retire:
    """Delete what runs a version. Never asked for while the deployment has an observed share."""

    deployment: Deployment
    why: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Change a revision's autoscaling in place."""

    deployment: Deployment
    autoscaling: Autoscaling


@dataclass(frozen=True, slots=True)
class Own:
    """Set the references of a deployment to exactly these ModelVersions, (name, uid); none: an orphan."""

    deployment: Deployment
    owners: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Replay the artifact's examples at the version's own address until `requests` were answered, or `timeout`."""

    version: str
    revision: str
    revision_uid: str
    model: str
    requests: int
    timeout: timedelta


FURTHEST = 40
"""Intervals that a source is asked to look back after an outage; what lies before them is one wide interval."""


@dataclass(frozen=True, slots=True)
class PollRequest:
    """Read the counters of both sides for one moment of the grid that lies after `since` and not after `at`.

    A source that can look back answers the first such moment, any other the last; so none is taken in twice, and what
    was missed costs time. `stable` has no name where it is dead. `analysis`: which source, queries and outputs.
    """

    version: str  # the candidate's ModelVersion
    at: datetime  # the newest moment of the grid: a multiple of the interval since the epoch
    since: datetime | None  # what has been taken in; absent before the first
    canary: RevisionStatus
    stable: RevisionStatus
    analysis: Analysis
    weight: int
    weight_since: datetime | None  # absent while the split is not seen to hold

    @property
    def earliest(self) -> datetime:
        """The first moment of the grid after `since`, for a source that can look back; not further than `FURTHEST`."""
        if self.since is None or self.since >= self.at:
            return self.at
        interval = self.analysis.interval.delta
        missed = -((self.since - self.at) // interval) - 1
        return self.at - min(missed, FURTHEST) * interval


@dataclass(frozen=True, slots=True)
class Complaint:
    """Tell a ModelVersion that cannot be read that it is not acted upon."""

    unread: Unread
    message: str
    conditions: tuple[Condition, ...]  # each in the place of the one of its type
    reason: Reason = Reason.Invalid
    state: State = State.Rejected  # if it has none


@dataclass(frozen=True, slots=True)
class Plan:
    """At most one change of traffic, then the rest, then the record. An empty Plan changes nothing."""

    route: RouteChange | None = None
    scale: tuple[Scale, ...] = ()
    deploy: tuple[Deploy, ...] = ()
    retire: tuple[Retire, ...] = ()
    own: tuple[Own, ...] = ()
    probe: tuple[ProbeRequest, ...] = ()
    poll: PollRequest | None = None
    complaints: tuple[Complaint, ...] = ()
    record: Mapping[str, Status] = field(default_factory=dict)  # by ModelVersion name; only those that change
    events: tuple[Event, ...] = ()  # of the versions that are recorded
    again: datetime | None = None  # when to look again, if nothing happens before
    grace: datetime | None = None  # when what does not answer counts as dead: a look then is as urgent as news

    @property
    def changes_nothing(self) -> bool:
        """No write at all: the test of rest."""
        effects = (self.route, self.scale, self.deploy, self.retire, self.own, self.complaints, self.record)
        return not any(effects)

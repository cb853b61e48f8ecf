"""Everything a decision may look at, frozen at one moment.

An engine builds a Snapshot from what it observes; `decide` reads it and nothing else. Time is a field. The words are
the engines' common ones: a *deployment* is what runs one version (an InferenceService, or a local process group), a
*revision* is its pinned, split-able form (a Knative Revision, or the process group's generation), a *pod* is one
replica (a Pod, or a process).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from turnout.api.reasons import Reason
from turnout.api.status import Condition
from turnout.api.version import ModelVersion
from turnout.judge.protocol import Poll


@dataclass(frozen=True, slots=True, order=True)
class ModelKey:
    """One model of one namespace: the unit that is decided about, and that the queue holds."""

    namespace: str
    model: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.model}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something cannot start or be written. A `permanent` one is not worth waiting for."""

    reason: Reason
    message: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """A container that ended by itself."""

    at: datetime
    exit_code: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica. `leaving`: it is being deleted, evicted or preempted; its own fate, not the version's fault."""

    name: str
    ready: bool
    leaving: bool = False
    crash: Crash | None = None


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """The knobs that an engine changes in place on a revision. Pods are counts, target is per pod.

    `own_pods` is what its owner wants now, and no rollout raises it: what is kept when the owner is gone.
    """

    min_pods: int
    max_pods: int
    retention: timedelta
    metric: str = "concurrency"
    target: int = 0
    latency_critical: bool = False
    own_pods: int = 0


@dataclass(frozen=True, slots=True)
class Revision:
    """The one revision of a deployment that may take traffic.

    `servable` is the platform's own Ready: needed to enter a split, never a sign of health. `wanted` is what the
    autoscaler asks for now; 0 is idle. `starting`: it comes up from zero and has not been ready since.
    `ready_at`: when a pod of it was last seen ready, `ready_with` the names of those that were: whoever stands there
    now may be another (by name, since clocks differ). `crash`: the last container that ended by itself since then.
    `lingers`: pods that are too many stay for a while, as of a latency-critical version; so from its birth or never.
    """

    name: str
    uid: str
    servable: bool
    wanted: int
    autoscaling: Autoscaling
    pods: tuple[Pod, ...] = ()
    starting: bool = False
    starting_since: datetime | None = None
    ready_at: datetime | None = None
    ready_with: frozenset[str] = frozenset()
    crash: Crash | None = None
    image: str = ""  # by the digest that the platform resolved; empty where it knows none
    lingers: bool = True

    @property
    def ready_pods(self) -> int:
        return sum(pod.ready and not pod.leaving for pod in self.pods)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What runs one version, known by its labels also when its ModelVersion is gone (a ghost)."""

    name: str  # the ModelVersion's name
    uid: str
    version: int
    spec_hash: str
    owners: frozenset[str] = frozenset()  # uids of the ModelVersions it refers to
    revision: Revision | None = None
    unplanned: tuple[str, ...] = ()  # further revisions that somebody else's change has minted
    problem: Problem | None = None
    leaving: bool = False  # its deletion has begun
    unread: str = ""  # uid of its ModelVersion, which exists and cannot be read: no ghost, nothing of it may go


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A revision's part of the traffic, in whole percent 1..100. Absence is 0."""

    revision: str
    percent: int


Split = tuple[Share, ...]


def _percent(split: Split, revision: str) -> int:
    """At most 100, whatever somebody's hand has written."""
    return min(sum(share.percent for share in split if share.revision == revision), 100)


@dataclass(frozen=True, slots=True)
class Route:
    """The split of a model: as written, as it holds, and since when it has not been as written."""

    uid: str
    written: Split
    observed: Split
    in_sync: bool  # generation seen, Ready, and observed equals written: all three together
    unsynced_since: datetime | None = None
    owners: frozenset[str] = frozenset()
    problem: Problem | None = None  # the last write was refused, or someone else fights for it
    foreign_edits: tuple[datetime, ...] = ()  # when others changed the split within the last five minutes

    def percent_written(self, revision: str) -> int:
        return _percent(self.written, revision)

    def percent_observed(self, revision: str) -> int:
        return _percent(self.observed, revision)

    @property
    def contended(self) -> bool:
        """Three foreign edits within five minutes: somebody else is at it, not a slip of the hand."""
        return len(self.foreign_edits) >= 3


@dataclass(frozen=True, slots=True)
class Probe:
    """What a version answered at its own address, before any traffic. `contract`: its V2 metadata, canonical JSON."""

    revision_uid: str
    done: bool
    requests: int = 0
    contract: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A ModelVersion that exists and cannot be read. `why`: the fields and what is wrong with them, for a person."""

    name: str
    uid: str
    generation: int
    why: str
    conditions: tuple[Condition, ...] = ()  # those that could be read


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known about one model at `now` (aware, UTC)."""

    key: ModelKey
    now: datetime
    versions: tuple[ModelVersion, ...] = ()
    unread: tuple[Unread, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    route: Route | None = None
    taken: Mapping[str, Problem] = field(default_factory=dict)  # names of this namespace that others have
    probes: Mapping[str, Probe] = field(default_factory=dict)  # by revision uid
    poll: Poll | None = None  # the last one that was read of this model; whose it is, it says itself
    trouble: Problem | None = None  # the engine itself cannot work: KServe missing, Envoy missing
    namespace_url: str = ""  # "http://{name}.support.example.com" with {name} to fill; empty while unknown
    version_url: str = ""  # likewise for a version's own address
    images: Mapping[str, str] | None = field(default_factory=dict)  # default by runtime; None: no image is ever run

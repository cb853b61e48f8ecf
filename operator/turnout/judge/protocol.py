"""What the rollout engine asks a judge, and what it is told: the seam between steps and statistics.

The engine knows outcomes and policies; it never looks into the counters or the memory. The judge knows no states,
no policies' effects and no clock: times come with the question.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from turnout.api.analysis import Analysis
from turnout.api.judgement import AnalysisStatus
from turnout.api.reasons import Reason
from turnout.api.rollout import AnalysisStep


@dataclass(frozen=True, slots=True)
class PodCounters:
    """One pod's own counters as read, cumulative since `started_at`; another start is another pod.

    `requests`, `errors`: ended requests that may be evidence (warm starts, first attempts), and those that count
    against the version. `latency`: successful requests by bucket, not cumulated, along `Poll.edges`; one bucket more
    than edges. `outputs`: per output the counts of its bins. `reference`: per output the rows of publishing in the same
    bins. `bins`: per output the name of its bins; counts can be compared where it is equal.
    """

    pod: str
    started_at: datetime
    requests: int
    errors: int
    latency: tuple[int, ...] = ()
    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reference: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bins: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_answered(self) -> bool:
        """Whether it has anything to say about answers: one that has given none yet counts none."""
        return bool(self.outputs) or self.requests > self.errors


@dataclass(frozen=True, slots=True)
class End:
    """A process of a pod ended, and the one in its place began then. No counter tells of it: they end with it."""

    pod: str
    successor_began: datetime


@dataclass(frozen=True, slots=True)
class Poll:
    """Both sides, read for one moment of the interval's grid. `trouble`: why there are no numbers, for a person.

    `canary_uid`, `stable_uid`: the revisions that were asked for. In trouble, `at` is the newest moment asked for.
    `edges`: the upper bounds of the latency buckets in seconds. `custom`: the values of the custom queries by name.
    `canary_ends`, `stable_ends`: of each pod the last end so far; one that was read before counts no more.
    `weight`: the candidate's share when it was read, in percent; `weight_since`: since when it has held in what was
    read; absent where it does not, and what came in between counts for nothing.
    """

    at: datetime
    canary: tuple[PodCounters, ...] = ()
    stable: tuple[PodCounters, ...] = ()
    edges: tuple[float, ...] = ()
    custom: Mapping[str, float] = field(default_factory=dict)
    canary_ends: tuple[End, ...] = ()
    stable_ends: tuple[End, ...] = ()
    canary_uid: str = ""
    stable_uid: str = ""
    weight: int = 0
    weight_since: datetime | None = None
    trouble: str = ""
    ambiguous: bool = False


class Outcome(StrEnum):
    """What is known now. Only Harm and Pass are proofs; the last two come at a step's maxDuration."""

    HARM = "Harm"
    PASS = "Pass"
    PAUSE = "Pause"
    HOLD = "Hold"
    NO_DATA = "NoData"
    SOURCE_ERROR = "SourceError"
    TOO_FEW_REQUESTS = "TooFewRequests"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Lifted:
    """A person has let a metric pass that had stopped the rollout: at this moment, with this level of it in sight."""

    at: datetime
    level: float


@dataclass(frozen=True, slots=True)
class Question:
    """All that a judge may look at. `memory` is its own, empty at the start of an attempt.

    `step` is absent outside an analysis step: harm is looked for all the same. `elapsed`: how long the step's own
    clock has run. `poll` is absent until the first. `stable_unhealthy`: there is no control; only absolute tests count.
    `lifted`: by reason and metric, what is to pause nothing again unless it is worse than what the person saw.
    """

    analysis: Analysis
    memory: str
    poll: Poll | None
    step: AnalysisStep | None = None
    step_index: int = 0
    elapsed: timedelta = timedelta()
    stable_unhealthy: bool = False
    lifted: Mapping[tuple[Reason, str], Lifted] = field(default_factory=dict)


class Finding(NamedTuple):
    """The answer. `reason` and `message` speak of the metric that decides, and go into verdict and status.

    `status.memory` is persisted before any effect, and comes back with the next question. `may_advance` is False
    where an Inconclusive step looks too much like harm to be let through by policy. `metric`, `level`: with a
    Pause, which one stops the rollout, and what was seen of it, a decimal string. `stable_fails`: a sentence where
    stable answers and fails so often that it is no control; a Pass then rests on absolute tests alone.
    """

    outcome: Outcome
    reason: Reason
    message: str = ""
    status: AnalysisStatus = AnalysisStatus()
    may_advance: bool = True
    metric: str = ""
    level: str = ""
    stable_fails: str = ""


class Judge(Protocol):
    """Pure and total: the same question has the same answer, and no question raises.

    It is asked exactly when there is a poll that it has not taken in.
    """

    def look(self, question: Question) -> Finding: ...

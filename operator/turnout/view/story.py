"""What was recorded while versions came and went: samples of shares and counts, marks, and outcomes.

Times are seconds since the recording began, shares whole percent, counts totals so far. Pure data: who
records decides what is true, who draws decides what is beautiful.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from turnout.api.reasons import State
from turnout.view.account import Account
from turnout.view.account_json import account_json


class MarkKind(StrEnum):
    """What a mark on the time axis stands for."""

    DEPLOYED = "deployed"
    STEPPED = "stepped"
    PROMOTED = "promoted"
    CRASHED = "crashed"
    ROLLED_BACK = "rolled back"
    JUDGED = "judged"
    FAILED = "failed"
    SLEPT = "asleep"
    WOKE = "awake"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a version at one moment: `text` goes on where `version 3 ...` begins."""

    at: float
    kind: MarkKind
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One look, by version number. `requests` are those answered by the version, `errors` those it failed;
    `failed` are requests that failed at their caller."""

    at: float
    shares: Mapping[int, int] = field(default_factory=dict)
    requests: Mapping[int, int] = field(default_factory=dict)
    errors: Mapping[int, int] = field(default_factory=dict)
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a version ended up. `note` says what it was meant to be; `accuracy` is a fraction, if measured."""

    version: int
    note: str
    state: State
    reason: str = ""
    message: str = ""
    greatest_share: int = 0
    requests: int = 0
    errors: int = 0
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Closeup:
    """A stretch of time that deserves a chart of its own. `note`: how to read it."""

    title: str
    start: float
    end: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelStory:
    """All that happened to one model. `accounts`: what the judge knew of those versions that are worth telling of."""

    model: str
    url: str = ""
    samples: tuple[Sample, ...] = ()
    marks: tuple[Mark, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    closeups: tuple[Closeup, ...] = ()
    accounts: tuple[Account, ...] = ()

    @property
    def versions(self) -> tuple[int, ...]:
        """Every version that is spoken of, oldest first."""
        sampled = {version for sample in self.samples for version in (*sample.shares, *sample.requests)}
        told = {outcome.version for outcome in self.outcomes} | {mark.version for mark in self.marks}
        return tuple(sorted(sampled | told))

    def sample_at(self, at: float) -> Sample:
        """The last look at or before `at`; an empty one before the first."""
        index = bisect_right(self.samples, at, key=lambda sample: sample.at)
        return self.samples[index - 1] if index else Sample(at=at)

    def rate(self, count: Callable[[Sample], int], start: float, end: float) -> float:
        """What was counted between two moments, per second."""
        grown = count(self.sample_at(end)) - count(self.sample_at(start))
        return max(0, grown) / (end - start)


@dataclass(frozen=True, slots=True)
class Fact:
    """A number worth a place at the top of the page. `good` is None where there is nothing to judge."""

    value: str
    label: str
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A whole recording. `seconds` is its length."""

    title: str
    summary: str
    began: datetime
    seconds: float
    models: tuple[ModelStory, ...] = ()
    facts: tuple[Fact, ...] = ()

    @property
    def failed(self) -> int:
        return sum(model.samples[-1].failed for model in self.models if model.samples)


def story_json(story: Story) -> Mapping[str, object]:
    """The whole recording as plain data."""
    models = [
        {**asdict(replace(model, accounts=())), "accounts": list(map(account_json, model.accounts))}
        for model in story.models
    ]
    began = story.began.isoformat(timespec="seconds")
    return {**asdict(replace(story, models=())), "models": models, "began": began}

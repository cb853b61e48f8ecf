"""Which version a person means who names a model: pure choices among what a world shows, each `no` with a way out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from turnout.api.moments import moment
from turnout.api.problems import nearest
from turnout.api.reasons import FAILED_STATES, ROLLOUT_STATES, Reason, Role, State
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.cli.command import UserError


@dataclass(frozen=True)
class Model:
    """One model of one namespace; `versions`: the newest first, at least one."""

    namespace: str
    name: str
    versions: tuple[ModelVersion, ...]

    @property
    def stable(self) -> ModelVersion | None:
        return next((each for each in self.versions if each.status.role is Role.Stable), None)

    @property
    def rollout(self) -> ModelVersion | None:
        """The version whose rollout runs, or is frozen; one that is being taken away only where there is no other."""
        moving = [v for v in self.versions if v.status.state in ROLLOUT_STATES and v.status.role is not Role.Stable]
        frozen = [v for v in self.versions if v.status.state is State.Frozen]
        at_work = (v for v in (*moving, *frozen) if v.status.state is not State.RollingBack)
        return next(at_work, next(iter(moving), None))

    @property
    def failed(self) -> ModelVersion | None:
        """The newest whose attempt has failed, though it may serve as the only one that lives."""
        return next((each for each in self.versions if _has_failed(each.status)), None)

    def in_rollout(self) -> ModelVersion:
        """The version whose rollout runs, or why there is none."""
        if self.rollout is not None:
            return self.rollout
        waiting = [v for v in self.versions if v.status.state in (None, State.Pending, State.Queued)]
        said = "; ".join(standing(version) for version in (*waiting, *filter(None, (self.stable or self.failed,))))
        way_out = f"see: turnout status {self.name}"
        if self.failed and (not self.stable or self.failed.version > self.stable.version):
            way_out = f"to try {self.failed.name} again: turnout retry {self.name}"
        raise UserError(f"no rollout of {self.name} runs{f' ({said})' if said else ''}; {way_out}")

    def at(self, word: str) -> ModelVersion:
        """The version that is called `7`, `v7` or by its ModelVersion's name."""
        for version in self.versions:
            if word in (version.name, str(version.version), f"v{version.version}"):
                return version
        there = ", ".join(str(version.version) for version in self.versions)
        raise UserError(
            f"{self.name} has no version {word}{nearest(word, _words(self.versions)) or ';'} there: {there}"
        )


def _has_failed(status: Status) -> bool:
    is_blocked = status.state is State.Held and status.reason is Reason.RollbackBlocked
    return status.state in FAILED_STATES or is_blocked


def standing(version: ModelVersion) -> str:
    """A version in a few words: `digits-2 is Live since 2026-11-21 10:41:07Z`."""
    status = version.status
    if status.state is None:
        return f"{version.name} has not been looked at yet"
    since = f" since {moment(status.state_since)}" if status.state_since else ""
    return f"{version.name} is {status.state}{since}"


def find_model(versions: Iterable[ModelVersion], name: str, place: str) -> Model:
    """The one model of that name; a sentence where there is none, or more than one."""
    everything = tuple(versions)
    mine = [version for version in everything if version.model == name]
    if not mine:
        raise unknown_model(name, {version.name: version.model for version in everything}, place)
    namespaces = sorted({version.namespace for version in mine})
    if len(namespaces) > 1:
        raise UserError(f"model {name} is in several namespaces: {', '.join(namespaces)}; name one with -n")
    newest_first = sorted(mine, key=lambda version: (-version.version, version.name))
    return Model(namespaces[0], name, tuple(newest_first))


def unknown_model(name: str, models: Mapping[str, str], place: str) -> UserError:
    """Why there is no such model. `models`: the model of each ModelVersion by its name."""
    if name in models:
        return UserError(f"{name} is a version of the model {models[name]}: name the model")
    known = sorted(set(models.values()))
    near = nearest(name, known)
    return UserError(f"no model {name} in {place}{near or ';'} there: {', '.join(known) or 'none'}")


def _words(versions: Iterable[ModelVersion]) -> list[str]:
    return [word for version in versions for word in (version.name, str(version.version))]

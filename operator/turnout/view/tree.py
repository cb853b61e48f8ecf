"""What a person sees of models and versions: one frozen tree, which text, JSON and live views draw.

It is built from the spec and status of ModelVersions and from traffic that somebody counted; it knows neither
engine nor clock, and decides nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from turnout.api.judgement import AnalysisStatus
from turnout.api.reasons import ROLLOUT_STATES, ConditionType, Reason, Role, State
from turnout.api.version import ModelVersion
from turnout.rollout.notes import noted

UNSEEN = "nobody has looked at this version yet: is an operator, or `turnout up`, running?"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a version was asked since counting began: all requests, those among them that it took over from a
    version that had failed them, and those it failed itself, whether or not another one took them over.

    `unrepeated`: errors that no other one took over because stable had its share of repeats.
    """

    requests: int = 0
    repeated: int = 0
    errors: int = 0
    unrepeated: int = 0


@dataclass(frozen=True, slots=True)
class Clients:
    """All requests of all callers, and those that a caller saw fail."""

    requests: int
    failed: int


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version. Weights are whole percent; `step` reads `3/7` or nothing; `ready` and `floor` are pods.

    `asleep`: it serves, has no pods because nobody asks, and wakes with the next request. `notes`: what else a person
    should know of it, each a line of its own. `analysis`: what the judge says of a rollout that runs.
    """

    name: str
    version: int
    role: Role = Role.Unassigned
    state: State = State.Pending
    reason: str = ""
    message: str = ""
    weight: int = 0
    desired_weight: int = 0
    step: str = ""
    ready: int = 0
    floor: int = 0
    asleep: bool = False
    traffic: Traffic | None = None
    analysis: AnalysisStatus | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model: where it is called, and its versions, newest first."""

    namespace: str
    model: str
    url: str = ""
    versions: tuple[VersionView, ...] = ()

    @property
    def title(self) -> str:
        return self.model if self.namespace in ("", "default") else f"{self.namespace}/{self.model}"


@dataclass(frozen=True, slots=True)
class Tree:
    """Every model in sight. `source` says in words whose world this is, `problems` what is wrong with it."""

    models: tuple[ModelView, ...] = ()
    source: str = ""
    clients: Clients | None = None
    problems: tuple[str, ...] = ()

    @property
    def has_traffic(self) -> bool:
        return any(version.traffic for model in self.models for version in model.versions)


Counts = Mapping[tuple[str, str], Traffic]
"""Traffic by (namespace, name of the ModelVersion)."""

Notes = Mapping[tuple[str, str], tuple[str, ...]]
"""Notes likewise."""


def tree_of(
    versions: Iterable[ModelVersion],
    *,
    traffic: Counts | None = None,
    source: str = "",
    clients: Clients | None = None,
    problems: tuple[str, ...] = (),
    notes: Notes | None = None,
) -> Tree:
    """Group versions by model, in alphabetical order, newest version first."""
    groups: dict[tuple[str, str], list[ModelVersion]] = {}
    for version in versions:
        groups.setdefault((version.metadata.namespace, version.spec.model), []).append(version)
    models = tuple(_model_view(*key, groups[key], traffic or {}, notes or {}) for key in sorted(groups))
    return Tree(models=models, source=source, clients=clients, problems=problems)


def _model_view(namespace: str, model: str, versions: list[ModelVersion], counts: Counts, notes: Notes) -> ModelView:
    newest_first = sorted(versions, key=lambda each: (-each.spec.version, each.metadata.name))
    return ModelView(
        namespace=namespace,
        model=model,
        url=next((each.status.url for each in newest_first if each.status.url), ""),
        versions=tuple(
            _version_view(each, counts.get((namespace, each.name)), notes.get((namespace, each.name), ()))
            for each in newest_first
        ),
    )


def _version_view(version: ModelVersion, traffic: Traffic | None, notes: tuple[str, ...]) -> VersionView:
    status = version.status
    return VersionView(
        name=version.metadata.name,
        version=version.spec.version,
        role=status.role or Role.Unassigned,
        state=status.state or State.Pending,
        reason=status.reason or Reason.Pending,
        message=status.message if status.state else UNSEEN,
        weight=status.weight.observed,
        desired_weight=status.weight.desired,
        step=status.step.display if status.step else "",
        ready=status.replicas.ready,
        floor=status.replicas.floor,
        asleep=status.state is State.Live and _is_idle(version),
        traffic=traffic,
        analysis=status.analysis if status.state in ROLLOUT_STATES | {State.Frozen} else None,
        notes=(*notes, *_cautions(version), *_unrepeated(traffic)),
    )


def _cautions(version: ModelVersion) -> tuple[str, ...]:
    """What of its spec does not do what it seems to."""
    accepted = version.status.condition(ConditionType.Accepted)
    return tuple(noted(accepted.message).values()) if accepted else ()


def _unrepeated(traffic: Traffic | None) -> tuple[str, ...]:
    """Why callers have seen errors of a version that another one should have answered for."""
    if traffic is None or not traffic.unrepeated:
        return ()
    return (f"{traffic.unrepeated:,} of its errors were not repeated: at most a fifth of what stable is asked may be",)


def _is_idle(version: ModelVersion) -> bool:
    readiness = version.status.condition(ConditionType.RevisionReady)
    return readiness is not None and readiness.reason == Reason.ScaledToZero


def tree_json(tree: Tree) -> Mapping[str, object]:
    """The tree in the field names of a ModelVersion's status, for programs."""
    models = [
        {
            "namespace": model.namespace,
            "model": model.model,
            "url": model.url,
            "versions": [_version_json(version) for version in model.versions],
        }
        for model in tree.models
    ]
    clients = tree.clients and {"requests": tree.clients.requests, "failed": tree.clients.failed}
    return {"source": tree.source, "models": models, "clients": clients, "problems": tree.problems}


def _version_json(version: VersionView) -> Mapping[str, object]:
    traffic = version.traffic
    return {
        "name": version.name,
        "version": version.version,
        "role": version.role,
        "state": version.state,
        "reason": version.reason,
        "message": version.message,
        "weight": {"desired": version.desired_weight, "observed": version.weight},
        "step": version.step,
        "replicas": {"ready": version.ready, "floor": version.floor, "asleep": version.asleep},
        "traffic": traffic and asdict(traffic),
        "analysis": version.analysis and _analysis_json(version.analysis),
        "notes": version.notes,
    }


def _analysis_json(analysis: AnalysisStatus) -> Mapping[str, object]:
    """All but what the judge alone can read."""
    return {field: value for field, value in analysis.body().items() if field != "memory"}

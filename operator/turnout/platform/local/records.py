"""What the engine remembers between two starts, as it stands in `.turnout/state/`.

`versions/`         a file for each ModelVersion: {"object": with metadata, spec and status, "file": str, "overlay"}
`requests/`         what commands have said and the engine has not taken yet, see `overlay`
`deployments.json`  [DeploymentRecord], `routes.json` [RouteRecord]
`events/`           a file for each model: {"namespace", "model", "events": its last 200, oldest first}
`traffic.json`      {"<namespace>/<model>": LocalTraffic}, see `traffic`
`engine.json`       {"url": "http://127.0.0.1:8080", "trouble": null | sentence, "problems": [sentence of a bad file]}
A file of a folder is called <namespace>.<name>.json, so that what changes is written and nothing else.
Moments are RFC 3339 in UTC. A record that cannot be read is forgotten, never guessed.
"""

from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from turnout.api.version import ModelVersion
from turnout.rollout.plan import Deploy
from turnout.rollout.snapshot import Autoscaling, ModelKey, Share, Split

Owners = tuple[tuple[str, str], ...]
"""(name, uid) of each ModelVersion that something belongs to; none: an orphan."""


class Record(BaseModel):
    """One remembered fact: camelCase in the file, frozen in memory."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class DeploymentRecord(Record):
    """What runs one version: enough to start it again when its ModelVersion is long gone."""

    version: ModelVersion
    uid: str
    spec_hash: str
    owners: Owners
    revision: str
    revision_uid: str
    autoscaling: Autoscaling
    folder: str  # where its file stood: the working directory of its processes
    servable: bool = False  # it was ready once

    @property
    def key(self) -> ModelKey:
        return ModelKey(self.version.namespace, self.version.model)


class RouteRecord(Record):
    namespace: str
    model: str
    uid: str
    split: tuple[tuple[str, int], ...]
    fallback: str
    owners: Owners
    unsynced_since: datetime | None = None

    @property
    def key(self) -> ModelKey:
        return ModelKey(self.namespace, self.model)

    @property
    def written(self) -> Split:
        return tuple(Share(revision, percent) for revision, percent in self.split)


class EventRecord(Record):
    time: datetime
    version: str
    reason: str
    message: str
    warning: bool = False


class ModelEvents(Record):
    namespace: str
    model: str
    events: tuple[EventRecord, ...]

    @property
    def key(self) -> ModelKey:
        return ModelKey(self.namespace, self.model)


def birth(deploy: Deploy, uid: str, revision: str, revision_uid: str, folder: str) -> DeploymentRecord:
    """The record of a deployment that begins, at the autoscaling that its spec asks for."""
    scaling = deploy.version.spec.scaling
    autoscaling = Autoscaling(
        min_pods=scaling.min_replicas,
        max_pods=scaling.max_replicas,
        retention=scaling.scale_to_zero_retention.delta,
        metric=scaling.target.metric.value,
        target=scaling.target.value,
        latency_critical=scaling.latency_critical,
        own_pods=scaling.min_replicas,
    )
    return DeploymentRecord(
        version=deploy.version,
        uid=uid,
        spec_hash=deploy.spec_hash,
        owners=deploy.owners,
        revision=revision,
        revision_uid=revision_uid,
        autoscaling=autoscaling,
        folder=folder,
    )


def file_name(kind: str, namespace: str, name: str) -> str:
    """Where a fact about one object stands; a name that no Kubernetes would take leads nowhere else."""
    return f"{kind}/{quote(namespace, safe='')}.{quote(name, safe='')}"


T = TypeVar("T")


def read_as(kind: type[T], raw: object, empty: T) -> T:
    """`raw` as `kind`; `empty` where it is something else."""
    try:
        return TypeAdapter(kind).validate_python(raw) if raw is not None else empty
    except ValidationError:
        return empty


def as_json(value: object) -> object:
    """Records, and lists and mappings of them, as JSON."""
    return TypeAdapter(object).dump_python(value, mode="json", by_alias=True, exclude_none=True)

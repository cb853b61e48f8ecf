"""What the cluster's objects look like from here: frozen models of the few fields that are read, never dicts.

`read` is the one place where a raw object becomes a model. Unknown fields and fields of other releases are ignored.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from turnout.api import status as api_status
from turnout.api.analysis import Analysis
from turnout.api.base import Block, Observed
from turnout.api.control import Control
from turnout.api.predictor import Resources
from turnout.api.rollout import Rollout
from turnout.api.scalars import Time
from turnout.api.scaling import Scaling
from turnout.api.status import PlanStatus
from turnout.api.version import ModelVersion, ObjectMeta, OwnerReference
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.resources import Resource
from turnout.rollout.rendering import CONTAINER, HASH_LABEL, MODEL_LABEL, VERSION_LABEL
from turnout.rollout.snapshot import ModelKey, Share, Split

MANAGER = "turnout"
KEPT_LABELS = (
    MODEL_LABEL,
    VERSION_LABEL,
    HASH_LABEL,
    "serving.kserve.io/inferenceservice",
    "serving.knative.dev/revision",
    "serving.knative.dev/configurationGeneration",
)
KEPT_ANNOTATIONS = "autoscaling.knative.dev/"


def _kept_labels(raw: Any) -> Any:
    return {name: raw[name] for name in KEPT_LABELS if name in raw} if raw else {}


def _kept_annotations(raw: Any) -> Any:
    return {name: text for name, text in raw.items() if name.startswith(KEPT_ANNOTATIONS)} if raw else {}


def _none_is_empty(raw: Any) -> Any:
    return () if raw is None else raw


class Manager(Observed):
    """Who wrote what, and when: one entry of managedFields."""

    manager: str = ""
    subresource: str = ""
    time: Time | None = None
    splits: bool = False  # it holds spec.traffic

    @model_validator(mode="before")
    @classmethod
    def _trim(cls, raw: Any) -> Any:
        held = raw.get("fieldsV1") if isinstance(raw, dict) else None
        return {**raw, "splits": "f:traffic" in held.get("f:spec", {})} if isinstance(held, dict) else raw


class Meta(ObjectMeta):
    """As everywhere, but for labels and annotations that are not read: the cache holds thousands of these."""

    namespace: str = ""
    labels: Annotated[Mapping[str, str], BeforeValidator(_kept_labels)] = Field(default_factory=dict)
    annotations: Annotated[Mapping[str, str], BeforeValidator(_kept_annotations)] = Field(default_factory=dict)
    managed_fields: tuple[Manager, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Made by Turnout: its label alone could be a copy, and its field manager alone a hand-made object."""
        return MODEL_LABEL in self.labels and any(entry.manager == MANAGER for entry in self.managed_fields)


class Condition(Observed):
    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: Time | None = None


Conditions = Annotated[tuple[Condition, ...], BeforeValidator(_none_is_empty)]


class Seen(Observed):
    """Any object; of those that only take up names, no more is kept."""

    metadata: Meta

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def key(self) -> ModelKey | None:
        """The model that it belongs to by its label."""
        model = self.metadata.labels.get(MODEL_LABEL)
        return ModelKey(self.namespace, model) if model else None


class ConditionsOnly(Observed):
    conditions: Conditions = ()

    def condition(self, kind: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)


class InferenceService(Seen):
    status: ConditionsOnly = ConditionsOnly()


class Target(Observed):
    revision_name: str = ""
    percent: int | None = None


def _split(targets: tuple[Target, ...]) -> Split:
    """Duplicates merged, an absent percent is 0, and 0 is absence."""
    merged: dict[str, int] = {}
    for target in targets:
        merged[target.revision_name] = merged.get(target.revision_name, 0) + (target.percent or 0)
    return tuple(sorted(Share(name, percent) for name, percent in merged.items() if percent))


Targets = Annotated[tuple[Target, ...], BeforeValidator(_none_is_empty)]


class RouteSpec(Observed):
    traffic: Targets = ()


class RouteStatus(ConditionsOnly):
    traffic: Targets = ()
    observed_generation: int = 0
    url: str = ""


class Route(Seen):
    spec: RouteSpec = RouteSpec()
    status: RouteStatus = RouteStatus()

    @property
    def written(self) -> Split:
        return _split(self.spec.traffic)

    @property
    def observed(self) -> Split:
        return _split(self.status.traffic)

    @property
    def in_sync(self) -> bool:
        """All three together: each of them alone lies."""
        ready = self.status.condition("Ready")
        seen = self.metadata.generation == self.status.observed_generation
        return seen and ready is not None and ready.status == "True" and self.observed == self.written

    @property
    def unsynced_since(self) -> datetime | None:
        """The last write of the split, or when Ready turned, whichever was later; None while all is well."""
        if self.in_sync:
            return None
        ready = self.status.condition("Ready")
        turned = ready.last_transition_time if ready and ready.status != "True" else None
        written = [entry.time for entry in self.metadata.managed_fields if entry.splits]
        return max((time for time in (*written, turned) if time), default=self.metadata.creation_timestamp)

    @property
    def foreign_edit(self) -> datetime | None:
        """When somebody else took the split over, if it is theirs now."""
        holders = [entry for entry in self.metadata.managed_fields if entry.splits and not entry.subresource]
        if not holders or any(entry.manager == MANAGER for entry in holders):
            return None
        return max((entry.time for entry in holders if entry.time), default=None)


class ResolvedImage(Observed):
    name: str = ""
    image_digest: str = ""


class RevisionStatus(ConditionsOnly):
    container_statuses: Annotated[tuple[ResolvedImage, ...], BeforeValidator(_none_is_empty)] = ()


class Revision(Seen):
    status: RevisionStatus = RevisionStatus()

    @property
    def ordinal(self) -> int:
        """1 of `signals-7-predictor-00001`; the later ones somebody else's change has minted."""
        text = self.metadata.labels.get("serving.knative.dev/configurationGeneration", "")
        return int(text) if text.isdigit() else 0

    @property
    def is_servable(self) -> bool:
        ready = self.status.condition("Ready")
        return ready is not None and ready.status == "True" and self.metadata.deletion_timestamp is None

    @property
    def image(self) -> str:
        """What its pods run, by digest; empty where Knative is told not to look it up."""
        return next((each.image_digest for each in self.status.container_statuses if each.name == CONTAINER), "")


class AutoscalerStatus(Observed):
    desired_scale: int | None = None


class Autoscaler(Seen):
    status: AutoscalerStatus = AutoscalerStatus()

    @property
    def wanted(self) -> int:
        return max(0, self.status.desired_scale or 0)  # -1: nobody knows yet


class Terminated(Observed):
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: Time | None = None
    container_id: str = Field(default="", alias="containerID")


class Waiting(Observed):
    reason: str = ""
    message: str = ""


class Running(Observed):
    started_at: Time | None = None  # the API allows null; a pod is not unread for that


class ContainerState(Observed):
    running: Running | None = None
    terminated: Terminated | None = None
    waiting: Waiting | None = None


class Container(Observed):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(ConditionsOnly):
    phase: str = ""
    reason: str = ""
    start_time: Time | None = None
    pod_ip: str = Field(default="", alias="podIP")
    container_statuses: Annotated[tuple[Container, ...], BeforeValidator(_none_is_empty)] = ()


class Pod(Seen):
    status: PodStatus = PodStatus()

    @property
    def revision(self) -> str:
        return self.metadata.labels.get("serving.knative.dev/revision", "")


_SPEC: Mapping[str, type[Block]] = {
    "scaling": Scaling,
    "rollout": Rollout,
    "analysis": Analysis,
    "control": Control,
}
_PREDICTOR: Mapping[str, type[Block]] = {"resources": Resources}
_STATUS: Mapping[str, type[Block]] = {
    "plan": PlanStatus,
    "conditions": api_status.Condition,
    "control": api_status.ControlStatus,
    "replicas": api_status.ReplicasStatus,
}
_UNREAD = frozenset({"annotations", "labels", "managedFields"})  # of a ModelVersion
_TIMELESS: Mapping[Resource, frozenset[str]] = {  # conditions that are read, and never since when
    resources.INFERENCE_SERVICES: frozenset({"PredictorReady", "PredictorRouteReady"}),
    resources.REVISIONS: frozenset({"Ready", "ResourcesAvailable", "ContainerHealthy"}),
    resources.AUTOSCALERS: frozenset(),
}
_OURS = (Manager(manager=MANAGER),)
SHARED_BLOCKS = 4096


@lru_cache(maxsize=SHARED_BLOCKS)
def _block(model: type[Block], text: str) -> Block:
    return model.model_validate(json.loads(text))


def _shared(model: type[Block], raw: Any) -> Any:
    """The block, read once and held once however many objects have it alike; as it came where it cannot be read."""
    try:
        return _block(model, json.dumps(raw))
    except ValidationError:
        return raw


def _with_shared(raw: Any, models: Mapping[str, type[Block]]) -> Any:
    """An object whose blocks of these names are shared; a list is shared item by item."""
    if not isinstance(raw, dict):
        return raw
    known: dict[str, Any] = {}
    for name, model in models.items():
        found = raw.get(name)
        if found:
            known[name] = [_shared(model, item) for item in found] if isinstance(found, list) else _shared(model, found)
    return {**raw, **known}


def _thrifty(resource: Resource, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What is read of an object, less what nobody reads: a fleet has thousands, and they are alike."""
    thin = {**raw, "metadata": _with_shared(raw.get("metadata"), {"ownerReferences": OwnerReference})}
    if resource is resources.VERSIONS:
        if isinstance(thin["metadata"], dict):
            thin["metadata"] = {key: thin["metadata"][key] for key in thin["metadata"] if key not in _UNREAD}
        thin["spec"] = spec = _with_shared(raw.get("spec"), _SPEC)
        if isinstance(spec, dict):
            spec["predictor"] = _with_shared(spec.get("predictor"), _PREDICTOR)
        thin["status"] = _with_shared(raw.get("status", {}), _STATUS)
    elif resource is not resources.ROUTES:
        thin["metadata"] = _managed(thin["metadata"])
    if resource in _TIMELESS:
        thin["status"] = _timeless(raw.get("status"), _TIMELESS[resource])
    return thin


def _managed(metadata: Any) -> Any:
    """With one thing of its field managers: whether we are among them."""
    if not isinstance(metadata, dict):
        return metadata
    managers = metadata.get("managedFields") or ()
    ours = any(isinstance(each, dict) and each.get("manager") == MANAGER for each in managers)
    return {**metadata, "managedFields": _OURS if ours else ()}


def _timeless(status: Any, kinds: frozenset[str]) -> Any:
    """With these conditions alone, less their times."""
    conditions = status.get("conditions") if isinstance(status, dict) else None
    if not isinstance(conditions, list):
        return status or {}
    read = (each for each in conditions if isinstance(each, dict) and each.get("type") in kinds)
    kept = ({name: each[name] for name in each if name != "lastTransitionTime"} for each in read)
    return {**status, "conditions": [_shared(Condition, each) for each in kept]}


AnyObject: TypeAlias = Seen | ModelVersion

_MODELS: Mapping[Resource, type[AnyObject]] = {
    resources.VERSIONS: ModelVersion,
    resources.INFERENCE_SERVICES: InferenceService,
    resources.ROUTES: Route,
    resources.REVISIONS: Revision,
    resources.AUTOSCALERS: Autoscaler,
    resources.PODS: Pod,
    resources.KNATIVE_SERVICES: Seen,
    resources.SERVICES: Seen,
}


def read(resource: Resource, raw: Mapping[str, Any]) -> AnyObject:
    """The model of a raw object; items of a LIST lack kind and apiVersion, so those are filled in."""
    thin = _thrifty(resource, raw)
    return _MODELS[resource].model_validate({"apiVersion": resource.api_version, "kind": resource.kind, **thin})

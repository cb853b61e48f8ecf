"""ModelVersion itself: metadata as far as Turnout reads it, spec and status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from turnout.api.analysis import Analysis
from turnout.api.base import Authored, Boolean, Int64, Observed, Rule
from turnout.api.control import Control
from turnout.api.predictor import Predictor
from turnout.api.rollout import Rollout
from turnout.api.scalars import NAME_PATTERN, Name, Time
from turnout.api.scaling import Scaling
from turnout.api.status import Status

GROUP = "turnout.dev"
VERSION = "v1alpha1"
API_VERSION: Literal["turnout.dev/v1alpha1"] = "turnout.dev/v1alpha1"
KIND: Literal["ModelVersion"] = "ModelVersion"
PLURAL = "modelversions"
MAX_NAME = 40


class Desired(StrEnum):
    """What its owner wants of a version; Live means eligible, not serving."""

    LIVE = "Live"
    STANDBY = "Standby"
    RETIRED = "Retired"


class DeletionPolicy(StrEnum):
    DELETE = "Delete"
    ORPHAN = "Orphan"


class OwnerReference(Observed):
    """Whose object this is, as Kubernetes writes it."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: Boolean | None = None
    block_owner_deletion: Boolean | None = None


class ObjectMeta(Observed):
    """The part of Kubernetes' metadata that Turnout reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    resource_version: str = ""
    generation: Int64 = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def is_leaving(self) -> bool:
        """Its deletion has begun and is not over: one in the foreground waits for a finalizer."""
        return self.deletion_timestamp is not None


class Spec(Authored):
    """What its owner wants of a version."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.model == oldSelf.model",
            sentence="model is immutable: make a new ModelVersion",
            holds=lambda old, new: old.model == new.model,
            field="model",
            transition=True,
        ),
        Rule(
            cel="self.version == oldSelf.version",
            sentence="version is immutable: make a new ModelVersion",
            holds=lambda old, new: old.version == new.version,
            field="version",
            transition=True,
        ),
        Rule(
            cel="self.predictor == oldSelf.predictor",
            sentence="predictor is immutable, for it is what was measured: make a new version",
            holds=lambda old, new: old.predictor == new.predictor,
            field="predictor",
            transition=True,
        ),
    )

    model: Name = Field(
        description="model is the name of the model: of its Route and in the V2 protocol. Immutable.",
        examples=["signals"],
    )
    version: Int64 = Field(
        ge=1,
        le=999_999_999,
        description="version is the number of this version, unique in its model; the greatest eligible one "
        "is the target. "
        "Immutable.",
        examples=[7],
    )
    desired: Desired = Field(
        default=Desired.LIVE,
        description="desired is Live (may serve), Standby (is kept, gets no traffic) or Retired (nothing of it runs).",
        examples=["Live"],
    )
    predictor: Predictor = Field(
        description="predictor is the model, the code that serves it and what its pods need. Immutable as a block.",
        examples=[{"runtime": "sklearn", "artifact": {"uri": "pvc://models/signals/7"}}],
    )
    scaling: Scaling = Field(
        default=Scaling(),
        description="scaling is how many pods it has, and when.",
        examples=[{"minReplicas": 1}],
    )
    rollout: Rollout = Field(
        default=Rollout(),
        description="rollout is how it takes traffic.",
        examples=[{"steps": [{"setWeight": 10}, {"pause": {"duration": "10m"}}]}],
    )
    analysis: Analysis = Field(
        default=Analysis(),
        description="analysis is how it is judged while it is rolled out.",
        examples=[{"alpha": "0.001"}],
    )
    control: Control = Field(
        default=Control(),
        description="control is what people on duty say to its rollout.",
        examples=[{"paused": True}],
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="deletionPolicy is Delete or Orphan; if any version of the model says Orphan, nothing "
        "of the model is "
        "ever garbage-collected.",
        examples=["Orphan"],
    )


def _has_usable_name(version: ModelVersion) -> bool:
    return len(version.metadata.name) <= MAX_NAME and re.match(NAME_PATTERN, version.metadata.name) is not None


class ModelVersion(Authored):
    """One version of one model."""

    model_config = ConfigDict(extra="ignore")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            sentence="metadata.name has at most 40 characters: a lower-case letter, then letters, digits "
            "and dashes, "
            "no dash at the end",
            holds=_has_usable_name,
            field="metadata.name",
        ),
        Rule(
            cel="self.spec.model != self.metadata.name && self.spec.model != self.metadata.name + '-predictor'",
            sentence="the model has another name than the version's own objects, which are called metadata.name and "
            "metadata.name-predictor",
            holds=lambda version: version.model not in (version.name, f"{version.name}-predictor"),
            field="spec.model",
        ),
    )

    api_version: Literal["turnout.dev/v1alpha1"] = API_VERSION
    kind: Literal["ModelVersion"] = KIND
    metadata: ObjectMeta
    spec: Spec
    status: Status = Status()

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
    def model(self) -> str:
        return self.spec.model

    @property
    def version(self) -> int:
        return self.spec.version


def immutable_changes(old: Spec, new: Spec) -> tuple[str, ...]:
    """The sentence of each immutable field that `new` changes, as the API server would refuse it."""
    blocks: tuple[tuple[Authored, Authored], ...] = ((old, new), (old.scaling, new.scaling))
    return tuple(
        rule.sentence
        for before, after in blocks
        for rule in before.rules
        if rule.transition and not rule.holds(before, after)
    )

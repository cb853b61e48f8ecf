"""`spec.predictor`: what is served. Immutable as a block, for it is what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue

from turnout.api.base import Authored, Boolean, Int32, Int64, Rule
from turnout.api.scalars import Digest, OptionalName

DEFAULT_REQUESTS = {"cpu": "250m", "memory": "512Mi"}
URI_PATTERN = r"^(s3|gs|pvc|hf|https|oci|file)://[^ ]+$"

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$"
Quantity = Annotated[
    str,
    Field(pattern=QUANTITY_PATTERN, max_length=32, json_schema_extra={"x-kubernetes-int-or-string": True}),
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
]
Quantities = Annotated[Mapping[Annotated[str, Field(max_length=128)], Quantity], Field(max_length=16)]


# A map of unknown values, not an unknown object: of those, two with as many keys and none in common are equal to
# CEL (seen on Kubernetes 1.34), so that the settings of a version could be exchanged.
Settings = Annotated[
    Mapping[str, Annotated[JsonValue, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]],
    Field(max_length=64),
]


class Runtime(StrEnum):
    """Which code of the predictor's image serves the artifact."""

    SKLEARN = "sklearn"
    TORCH = "torch"
    TRANSFORMERS = "transformers"
    SENTENCE_TRANSFORMERS = "sentence-transformers"
    ONNX = "onnx"
    MLFLOW = "mlflow"
    PMML = "pmml"
    ENSEMBLE = "ensemble"
    REMOTE = "remote"
    CUSTOM = "custom"
    SIGNALS = "signals"
    ESCALATION = "escalation"
    ASSIGNMENT = "assignment"
    TONE = "tone"

    @property
    def needs_artifact(self) -> bool:
        return self not in (Runtime.ENSEMBLE, Runtime.REMOTE, Runtime.CUSTOM)


class Protocol(StrEnum):
    HTTP = "http"
    GRPC = "grpc"


class Artifact(Authored):
    """Where the model's files are and how they are known to be the right ones."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.uri.matches('{URI_PATTERN}')",
            sentence="the artifact's uri begins with one of s3://, gs://, pvc://, hf://, https://, oci://, file://",
            holds=lambda artifact: re.match(URI_PATTERN, artifact.uri) is not None,
            field="uri",
        ),
    )

    uri: str = Field(
        min_length=1,
        max_length=1024,
        description="uri is the place of the artifact; file names a path in the image, or on disk in the local engine, "
        "where file://models/7 is read from the folder of the YAML file.",
        examples=["pvc://models/signals/7"],
    )
    digest: Digest = Field(
        default=Digest(""),
        description="digest is the sha256 of the artifact's manifest, verified before anything is loaded; "
        "empty verifies nothing.",
        examples=["sha256:" + "0" * 64],
    )
    auth_ref: OptionalName = Field(
        default="",
        description="authRef names a Secret of the namespace whose keys the pod reads as files, to show them to "
        "whoever keeps the artifact: AWS_ACCESS_KEY_ID and its like, key.json, token, .dockerconfigjson. The "
        "operator never reads it; the local engine has no Secrets and uses its own environment.",
        examples=["model-store"],
    )

    @property
    def scheme(self) -> str:
        return self.uri.partition("://")[0]

    @property
    def path(self) -> str:
        """What follows the scheme: `/opt/models/7` of `file:///opt/models/7`, `claim/path` of `pvc://claim/path`."""
        return self.uri.partition("://")[2]


class Resources(Authored):
    """CPU, memory and devices of one pod. Always rendered, since KServe would fill in 1 CPU and 2 GiB."""

    requests: Quantities = Field(
        default_factory=dict,
        description="requests is what a pod is guaranteed, by resource; cpu and memory that are not named "
        "follow their "
        "limit, else 250m and 512Mi.",
        examples=[{"cpu": "1", "memory": "2Gi"}],
    )
    limits: Quantities = Field(
        default_factory=dict,
        description="limits is what a pod may use at most, by resource; nothing is limited unless named.",
        examples=[{"nvidia.com/gpu": "1"}],
    )

    def rendered(self) -> dict[str, dict[str, str]]:
        """`requests` and `limits` as a container carries them, with cpu and memory always requested."""
        requests = {name: self.limits.get(name, default) for name, default in DEFAULT_REQUESTS.items()}
        rendered = {"requests": {**requests, **self.requests}}
        return {**rendered, "limits": dict(self.limits)} if self.limits else rendered


class KeyRef(Authored):
    """One key of a Secret or a ConfigMap of the namespace."""

    name: OptionalName = Field(
        min_length=1, description="name is the name of the object in this namespace.", examples=["tokens"]
    )
    key: str = Field(min_length=1, max_length=253, description="key is the key within the object.", examples=["token"])
    optional: Boolean = Field(
        default=False,
        description="optional lets the pod start without the object or the key.",
        examples=[True],
    )


class EnvSource(Authored):
    """Where the value of a variable comes from, if it is not written down."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.secretKeyRef) != has(self.configMapKeyRef)",
            sentence="valueFrom names exactly one of secretKeyRef and configMapKeyRef",
            holds=lambda source: (source.secret_key_ref is None) != (source.config_map_key_ref is None),
        ),
    )

    secret_key_ref: KeyRef | None = Field(
        default=None,
        description="secretKeyRef takes the value from a Secret; the operator never reads it.",
        examples=[{"name": "tokens", "key": "token"}],
    )
    config_map_key_ref: KeyRef | None = Field(
        default=None,
        description="configMapKeyRef takes the value from a ConfigMap.",
        examples=[{"name": "settings", "key": "mode"}],
    )


class EnvVar(Authored):
    """One environment variable of the predictor's container."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.valueFrom) && size(self.value) > 0)",
            sentence="an environment variable has a value or a valueFrom, not both",
            holds=lambda variable: not (variable.value_from is not None and variable.value),
        ),
    )

    name: str = Field(
        pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$",
        min_length=1,
        max_length=128,
        description="name is the name of the variable.",
        examples=["OMP_NUM_THREADS"],
    )
    value: str = Field(
        default="",
        max_length=4096,
        description="value is the value of the variable, as written.",
        examples=["2"],
    )
    value_from: EnvSource | None = Field(
        default=None,
        description="valueFrom takes the value from a Secret or a ConfigMap instead.",
        examples=[{"secretKeyRef": {"name": "tokens", "key": "token"}}],
    )


class LocalRef(Authored):
    """The name of an object of the namespace."""

    name: OptionalName = Field(
        min_length=1, description="name is the name of the object in this namespace.", examples=["registry"]
    )


class Toleration(Authored):
    """A taint of nodes that the pods put up with; the fields are Kubernetes' own."""

    key: str = Field(
        default="",
        max_length=316,
        description="key is the taint that is tolerated; empty with Exists means all.",
        examples=["nvidia.com/gpu"],
    )
    operator: Literal["Exists", "Equal"] = Field(
        default="Equal", description="operator says how key and value are compared.", examples=["Exists"]
    )
    value: str = Field(
        default="",
        max_length=63,
        description="value is what the taint's value must equal, with Equal.",
        examples=["present"],
    )
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="",
        description="effect is the taint's effect that is tolerated; empty means all.",
        examples=["NoSchedule"],
    )
    toleration_seconds: Int64 | None = Field(
        default=None,
        ge=0,
        le=31_536_000,
        description="tolerationSeconds is how many seconds a NoExecute taint is tolerated; absent means for ever.",
        examples=[300],
    )


class Predictor(Authored):
    """The model, the code that serves it and what its pods need."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.runtime in ['ensemble', 'remote', 'custom'] || has(self.artifact)",
            sentence="an artifact is required: only the runtimes ensemble, remote and custom can do without",
            holds=lambda predictor: not predictor.runtime.needs_artifact or predictor.artifact is not None,
            field="artifact",
        ),
        Rule(
            cel="self.runtime == 'custom' || size(self.entrypoint) == 0",
            sentence="only the runtime custom has an entrypoint",
            holds=lambda predictor: predictor.runtime is Runtime.CUSTOM or not predictor.entrypoint,
            field="entrypoint",
        ),
        Rule(
            cel="self.runtime != 'custom' || size(self.entrypoint) > 0 || size(self.image) > 0",
            sentence="the runtime custom needs an entrypoint (package.module:Class) or an image of its own",
            holds=lambda predictor: (
                predictor.runtime is not Runtime.CUSTOM or bool(predictor.entrypoint or predictor.image)
            ),
            field="entrypoint",
        ),
    )

    runtime: Runtime = Field(
        description="runtime is the code that loads and serves the artifact: a library, a service of "
        "Turnout's, or custom.",
        examples=["sentence-transformers"],
    )
    entrypoint: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*)?$",
        max_length=253,
        description="entrypoint is the Predictor class of the runtime custom, as package.module:Class.",
        examples=["acme.scoring:Scorer"],
    )
    artifact: Artifact | None = Field(
        default=None,
        description="artifact is the model's files; required but for the runtimes ensemble, remote and custom.",
        examples=[{"uri": "pvc://models/signals/7"}],
    )
    image: str = Field(
        default="",
        pattern=r"^[^ ]*$",
        max_length=512,
        description="image is the container image; empty means the image of the runtime in the operator's "
        "settings. "
        "It is resolved once and recorded in status.resolved.",
        examples=["example.com/predictor:1.4"],
    )
    settings: Settings = Field(
        default_factory=dict,
        description="settings is a free object that the predictor validates against its own type before any traffic.",
        examples=[{"max_batch_size": 32}],
    )
    resources: Resources = Field(
        default=Resources(),
        description="resources is the CPU, memory and devices of one pod, always rendered.",
        examples=[{"requests": {"cpu": "1"}}],
    )
    env: tuple[EnvVar, ...] = Field(
        default=(),
        max_length=64,
        description="env is the container's further environment variables; MODEL_VERSION and PROTOCOL are Turnout's.",
        examples=[[{"name": "OMP_NUM_THREADS", "value": "2"}]],
    )
    service_account_name: OptionalName = Field(
        default="",
        description="serviceAccountName is the account that the pods run as; empty means the namespace's default.",
        examples=["models"],
    )
    image_pull_secrets: tuple[LocalRef, ...] = Field(
        default=(),
        max_length=16,
        description="imagePullSecrets names the Secrets with which the image is pulled.",
        examples=[[{"name": "registry"}]],
    )
    timeout_seconds: Int32 = Field(
        default=60,
        ge=1,
        le=600,
        description="timeoutSeconds is how many seconds one request may take; a pod with an older one turns unready.",
        examples=[30],
    )
    protocol: Protocol = Field(
        default=Protocol.HTTP,
        description="protocol is the one that Knative exposes.",
        examples=["http"],
    )
    node_selector: Annotated[
        Mapping[Annotated[str, Field(max_length=316)], Annotated[str, Field(max_length=63)]],
        Field(max_length=16),
    ] = Field(
        default_factory=dict,
        description="nodeSelector is the labels that a node must have to run the pods.",
        examples=[{"gpu": "l4"}],
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(),
        max_length=16,
        description="tolerations is the taints of nodes that the pods put up with.",
        examples=[[{"key": "nvidia.com/gpu", "operator": "Exists"}]],
    )

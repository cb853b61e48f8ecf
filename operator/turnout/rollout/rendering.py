"""What Turnout writes into the serving path, as bodies for an API server: InferenceService, Route, floors.

Pure and constant: the same version gives the same bytes, whatever the operator's own settings. Whatever is in an
InferenceService's template is part of the revision for ever, so nothing in here may depend on anything but the
version, its image and its owners. Sources: kserve-knative rules on revisions (§4), writing (§5), floors (§7) and
the container (§8) in docs/.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

from turnout.api.base import JsonObject
from turnout.api.predictor import Predictor
from turnout.api.predictor import Protocol as WireProtocol
from turnout.api.scalars import Duration
from turnout.api.version import API_VERSION, KIND, ModelVersion
from turnout.rollout.plan import Deploy, RouteChange
from turnout.rollout.snapshot import Autoscaling, ModelKey

MODEL_LABEL = "turnout.dev/model"
VERSION_LABEL = "turnout.dev/model-version"
HASH_LABEL = "turnout.dev/spec-hash"
CONTAINER = "kserve-container"
PORT = 8080
"""Of the model's container, past the queue-proxy."""
PVC_ROOT = "/mnt/pvc"
AUTH_FOLDER = "/var/run/turnout/artifact-auth"
UNLIMITED = {"cpu": "1000", "memory": "1Pi"}  # more than any node has

PROGRESS_DEADLINE = "24h"  # Knative's own; ours, progressDeadline, is the one that counts
SCALE_DOWN_DELAY = "5m"  # of latency-critical versions; taken when the autoscaler first sees the revision
SHORTEST_RETENTION = timedelta(0)
NOT_OF_PODS = frozenset({"labels", "annotations", "minReplicas", "maxReplicas", "canaryTrafficPercent"})

_AUTOSCALING = "autoscaling.knative.dev/"
MIN_SCALE, MAX_SCALE = _AUTOSCALING + "min-scale", _AUTOSCALING + "max-scale"
METRIC, TARGET = _AUTOSCALING + "metric", _AUTOSCALING + "target"
RETENTION = _AUTOSCALING + "scale-to-zero-pod-retention-period"
BURST = _AUTOSCALING + "target-burst-capacity"
LINGER = _AUTOSCALING + "scale-down-delay"
OWN_FLOOR = _AUTOSCALING + "turnout-floor"
"""Knative reads nothing of that name; under any other prefix the note would roll the pods."""

Owners = Sequence[tuple[str, str]]


def inference_service(namespace: str, deploy: Deploy) -> JsonObject:
    """The body to POST, once. It is never applied, patched or rendered again but for its owners."""
    version, spec = deploy.version, deploy.version.spec
    labels = {MODEL_LABEL: spec.model, VERSION_LABEL: str(spec.version), HASH_LABEL: deploy.spec_hash}
    predictor: JsonObject = {
        "labels": dict(labels),
        "annotations": dict(_annotations_at_birth(spec.scaling.latency_critical)),
        "minReplicas": 0,  # the floor is set on the revision, since a change here would mint another
        "maxReplicas": spec.scaling.max_replicas,
        "canaryTrafficPercent": 0,  # the lock: revisions that others mint get nothing
        "containerConcurrency": spec.scaling.container_concurrency,
        "timeout": spec.predictor.timeout_seconds,
        "containers": [_container(deploy)],
        "volumes": [*_volumes(spec.predictor)],
        **_placement(spec.predictor),
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": version.name,
            "namespace": namespace,
            # cluster-local: nobody reaches a version from outside but through the model's Route
            "labels": {**labels, "networking.knative.dev/visibility": "cluster-local"},
            "annotations": {"serving.kserve.io/deploymentMode": "Knative"},
            **_owned(deploy.owners),
        },
        "spec": {"predictor": predictor},
    }


def template_hash(version: ModelVersion, image: str) -> str:
    """16 hex digits over what this release would make pods of; owners, labels and floors are no part of it."""
    body = inference_service("", Deploy(version, image, "", ()))
    predictor = cast("JsonObject", cast("JsonObject", body["spec"])["predictor"])
    of_pods = {key: predictor[key] for key in predictor if key not in NOT_OF_PODS}
    canonical = json.dumps(of_pods, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def route(key: ModelKey, change: RouteChange, resource_version: str = "") -> JsonObject:
    """The whole Route of a model, for server-side apply; with `resource_version` only onto what was read."""
    held: JsonObject = {"resourceVersion": resource_version} if resource_version else {}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Route",
        "metadata": {
            "name": key.model,
            "namespace": key.namespace,
            "labels": {MODEL_LABEL: key.model},
            **_owned(change.owners),
            **held,
        },
        "spec": {
            "traffic": [
                {"revisionName": share.revision, "percent": share.percent, "latestRevision": False}
                for share in change.split
            ]
        },
    }


def owner_references(owners: Owners) -> list[JsonObject]:
    """References without a controller: whoever is left of the model's versions keeps it alive."""
    return [{"apiVersion": API_VERSION, "kind": KIND, "name": name, "uid": uid} for name, uid in sorted(owners)]


def _owned(owners: Owners) -> JsonObject:
    references: JsonObject = {"ownerReferences": [*owner_references(owners)]}
    return references if owners else {}


def autoscaling_annotations(wish: Autoscaling) -> dict[str, str | None]:
    """All floors of a revision for one merge patch; None takes a key away, which is Knative's own default."""
    return {
        MIN_SCALE: str(wish.min_pods),
        MAX_SCALE: str(wish.max_pods),
        METRIC: wish.metric,  # sticky: written, never taken away
        TARGET: str(wish.target) if wish.target else None,
        RETENTION: _go(wish.retention),
        BURST: "0" if wish.latency_critical else None,  # 0: the activator is out of the path
        OWN_FLOOR: str(wish.own_pods),
    }


def read_autoscaling(annotations: Mapping[str, str]) -> Autoscaling:
    """The inverse of `autoscaling_annotations`, also for what Knative or a person wrote."""
    return Autoscaling(
        min_pods=_whole(annotations.get(MIN_SCALE)),
        max_pods=_whole(annotations.get(MAX_SCALE)),
        retention=_length(annotations.get(RETENTION)),
        metric=annotations.get(METRIC, "concurrency"),
        target=_whole(annotations.get(TARGET)),
        latency_critical=annotations.get(BURST) == "0",
        own_pods=_whole(annotations.get(OWN_FLOOR, annotations.get(MIN_SCALE))),
    )


def _whole(text: str | None) -> int:
    """A count; 0 where nothing readable stands, so that the next look at the floors corrects it."""
    try:
        return int(float(text or "0"))
    except ValueError:
        return 0


def _length(text: str | None) -> timedelta:
    try:
        return Duration(text or "0s").delta
    except ArithmeticError:
        return SHORTEST_RETENTION


def _go(length: timedelta) -> str:
    return str(Duration.of(length))


def _annotations_at_birth(latency_critical: bool) -> dict[str, str]:
    annotations = {"serving.knative.dev/progress-deadline": PROGRESS_DEADLINE}
    if latency_critical:
        annotations[LINGER] = SCALE_DOWN_DELAY
    return annotations


def _container(deploy: Deploy) -> JsonObject:
    predictor, model = deploy.version.spec.predictor, deploy.version.spec.model
    return {
        "name": CONTAINER,
        "image": deploy.image,
        "args": [*arguments(deploy)],
        "env": [*_environment(deploy)],
        "ports": [_port(predictor.protocol)],
        "resources": _resources(predictor),
        "readinessProbe": {
            "httpGet": {"path": f"/v2/models/{model}/ready"},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 1,  # three seconds of grace follow, before a version counts as dead
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [*_mounts(predictor)],
    }


def _resources(predictor: Predictor) -> JsonObject:
    """KServe's webhook fills in limits of 1 CPU and 2 GiB where none stand: so what nobody limits is said aloud."""
    rendered = predictor.resources.rendered()
    return {"requests": {**rendered["requests"]}, "limits": {**UNLIMITED, **rendered.get("limits", {})}}


def _port(protocol: WireProtocol) -> JsonObject:
    """Knative exposes one port; by the name h2c it is gRPC's."""
    return {"name": "h2c" if protocol is WireProtocol.GRPC else "http1", "containerPort": PORT}


def arguments(deploy: Deploy) -> tuple[str, ...]:
    """What the predictor's process is started with, alike in a container and on a machine."""
    spec = deploy.version.spec
    predictor, artifact = spec.predictor, spec.predictor.artifact
    given = {
        "model_name": spec.model,
        "model_version": str(spec.version),
        "runtime": predictor.runtime.value,
        "entrypoint": predictor.entrypoint,
        "artifact_uri": artifact.uri if artifact else "",
        "artifact_digest": artifact.digest if artifact else "",
        "settings": _canonical(predictor.settings) if predictor.settings else "",
        "timeout_seconds": str(predictor.timeout_seconds),
    }
    return tuple(f"--{name}={value}" for name, value in given.items() if value)


def _canonical(settings: Mapping[str, object]) -> str:
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


OUR_VARIABLES = ("MODEL_VERSION", "PROTOCOL")
"""What the pods are told by Turnout alone."""


def _environment(deploy: Deploy) -> list[JsonObject]:
    """Ours first and never overridden; `env` is a map by name, so a name may stand only once."""
    ours = dict(zip(OUR_VARIABLES, (str(deploy.version.version), "v2"), strict=True))
    written: list[JsonObject] = [{"name": name, "value": value} for name, value in ours.items()]
    theirs = {variable.name: _without_blanks(variable.body()) for variable in deploy.version.spec.predictor.env}
    return written + [body for name, body in theirs.items() if name not in ours]


def _claim(predictor: Predictor) -> str:
    """The claim that an artifact of scheme pvc lies in; empty for others."""
    artifact = predictor.artifact
    return artifact.path.partition("/")[0] if artifact and artifact.scheme == "pvc" else ""


def _secret(predictor: Predictor) -> str:
    """What the artifact's store wants to see; empty without."""
    return predictor.artifact.auth_ref if predictor.artifact else ""


def _volumes(predictor: Predictor) -> list[JsonObject]:
    volumes: list[JsonObject] = [{"name": "tmp", "emptyDir": {}}]
    if claim := _claim(predictor):
        source: JsonObject = {"claimName": claim, "readOnly": True}
        volumes.append({"name": "artifact", "persistentVolumeClaim": source})
    if secret := _secret(predictor):
        volumes.append({"name": "artifact-auth", "secret": {"secretName": secret}})
    return volumes


def _mounts(predictor: Predictor) -> list[JsonObject]:
    mounts: list[JsonObject] = [{"name": "tmp", "mountPath": "/tmp"}]
    if claim := _claim(predictor):
        mounts.append({"name": "artifact", "mountPath": f"{PVC_ROOT}/{claim}", "readOnly": True})
    if _secret(predictor):
        mounts.append({"name": "artifact-auth", "mountPath": AUTH_FOLDER, "readOnly": True})
    return mounts


def _placement(predictor: Predictor) -> JsonObject:
    """What is rendered only if it is asked for: some of it is off by default in Knative."""
    wished: JsonObject = {
        "serviceAccountName": predictor.service_account_name,
        "imagePullSecrets": [secret.body() for secret in predictor.image_pull_secrets],
        "nodeSelector": dict(predictor.node_selector),
        "tolerations": [_without_blanks(toleration.body()) for toleration in predictor.tolerations],
    }
    return {name: value for name, value in wished.items() if value}


def _without_blanks(body: JsonObject) -> JsonObject:
    return {name: value for name, value in body.items() if value != ""}

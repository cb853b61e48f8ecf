"""Fields of a ModelVersion that mean nothing, or less, on one machine: told once, never refused; a file is a file."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from turnout.api.analysis import Source
from turnout.api.scaling import Scaling
from turnout.api.version import ModelVersion, Spec

Sources = Collection[str]
"""The names of the Prometheus servers that this engine was told of."""


@dataclass(frozen=True)
class Idle:
    """A field without its effect here. `is_set`: somebody wrote it, so somebody expects one."""

    field: str
    is_set: Callable[[Spec, Sources], object]
    why: str
    says: str = "has no effect here"


IDLE = (
    Idle("predictor.image", lambda spec, _: spec.predictor.image, "processes run from this Python environment"),
    Idle(
        "predictor.artifact.uri",
        lambda spec, _: spec.predictor.artifact and spec.predictor.artifact.scheme == "pvc",
        "there are no claims; `pvc://NAME/…` is the folder `/mnt/pvc/NAME` of this machine",
        "is read otherwise here",
    ),
    Idle(
        "predictor.artifact.authRef",
        lambda spec, _: spec.predictor.artifact and spec.predictor.artifact.auth_ref,
        "there are no Secrets; the credentials of your environment are used",
    ),
    Idle(
        "predictor.resources",
        lambda spec, _: spec.predictor.resources.requests or spec.predictor.resources.limits,
        "processes share the whole machine",
    ),
    Idle("predictor.serviceAccountName", lambda spec, _: spec.predictor.service_account_name, "processes run as you"),
    Idle("predictor.imagePullSecrets", lambda spec, _: spec.predictor.image_pull_secrets, "nothing is pulled"),
    Idle("predictor.nodeSelector", lambda spec, _: spec.predictor.node_selector, "there is one node"),
    Idle("predictor.tolerations", lambda spec, _: spec.predictor.tolerations, "there is one node"),
    Idle(
        "predictor.env[].valueFrom",
        lambda spec, _: any(variable.value_from for variable in spec.predictor.env),
        "the variable of that name in your environment is taken",
    ),
    Idle(
        "scaling.maxReplicas",
        lambda spec, _: spec.scaling.max_replicas not in {Scaling().max_replicas, *_floors(spec.scaling)},
        "there are as many processes as the floor says, or one, however much is asked; it bounds only how many a "
        "rollout waits for",
        "means less here",
    ),
    Idle(
        "scaling.target",
        lambda spec, _: spec.scaling.target != Scaling().target,
        "the number of processes does not follow the load",
    ),
    Idle(
        "scaling.containerConcurrency",
        lambda spec, _: spec.scaling.container_concurrency,
        "nothing but the predictor's own queue bounds what it is asked at once",
    ),
    Idle(
        "analysis.source.prometheus",
        lambda spec, sources: _has_no_source(spec, sources),
        "the processes' own counters are read",
    ),
    Idle(
        "analysis.custom",
        lambda spec, sources: spec.analysis.custom and _has_no_source(spec, sources),
        "nobody is there to be asked, so these bounds are left out; with `turnout up --prometheus NAME=URL` they count",
    ),
)


def _has_no_source(spec: Spec, sources: Sources) -> bool:
    """It names a Prometheus that is not at hand."""
    named = spec.analysis.source.prometheus
    return bool(named) and named not in sources


def _floors(scaling: Scaling) -> set[int]:
    """What maxReplicas must reach anyway."""
    return {scaling.min_replicas, *(floor.min_replicas for floor in scaling.floors)}


def without_meaning(version: ModelVersion, sources: Sources = ()) -> tuple[str, ...]:
    """A sentence for each field that is set and does not do here what it does on a cluster."""
    found = (idle for idle in IDLE if idle.is_set(version.spec, sources))
    return tuple(f"{version.name}: spec.{idle.field} {idle.says}: {idle.why}" for idle in found)


def meant_here(version: ModelVersion, sources: Sources) -> ModelVersion:
    """The version as this engine acts upon it: without the source of evidence that is not at hand."""
    if not _has_no_source(version.spec, sources):
        return version
    here = version.spec.analysis.model_copy(update={"source": Source(), "custom": ()})
    return version.model_copy(update={"spec": version.spec.model_copy(update={"analysis": here})})

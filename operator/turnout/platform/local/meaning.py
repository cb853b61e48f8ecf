"""Fields of a ModelVersion that mean nothing on one machine: told once, never refused, so that files stay the same."""

from collections.abc import Callable
from dataclasses import dataclass

from turnout.api.scaling import Scaling
from turnout.api.version import ModelVersion, Spec


@dataclass(frozen=True)
class Idle:
    """A field without an effect here. `is_set`: somebody wrote it, so somebody expects one."""

    field: str
    is_set: Callable[[Spec], object]
    why: str


IDLE = (
    Idle("predictor.image", lambda spec: spec.predictor.image, "processes run from this Python environment"),
    Idle(
        "predictor.resources",
        lambda spec: spec.predictor.resources.requests or spec.predictor.resources.limits,
        "processes share the whole machine",
    ),
    Idle("predictor.serviceAccountName", lambda spec: spec.predictor.service_account_name, "processes run as you"),
    Idle("predictor.imagePullSecrets", lambda spec: spec.predictor.image_pull_secrets, "nothing is pulled"),
    Idle("predictor.nodeSelector", lambda spec: spec.predictor.node_selector, "there is one node"),
    Idle("predictor.tolerations", lambda spec: spec.predictor.tolerations, "there is one node"),
    Idle(
        "predictor.env[].valueFrom",
        lambda spec: any(variable.value_from for variable in spec.predictor.env),
        "the variable of that name in your environment is taken",
    ),
    Idle(
        "scaling.maxReplicas",
        lambda spec: spec.scaling.max_replicas not in {Scaling().max_replicas, *_floors(spec.scaling)},
        "there are as many processes as the floor says, or one, however much is asked",
    ),
    Idle(
        "scaling.target",
        lambda spec: spec.scaling.target != Scaling().target,
        "the number of processes does not follow the load",
    ),
    Idle(
        "scaling.containerConcurrency",
        lambda spec: spec.scaling.container_concurrency,
        "nothing but the predictor's own queue bounds what it is asked at once",
    ),
)


def _floors(scaling: Scaling) -> set[int]:
    """What maxReplicas must reach anyway."""
    return {scaling.min_replicas, *(floor.min_replicas for floor in scaling.floors)}


def without_meaning(version: ModelVersion) -> tuple[str, ...]:
    """A sentence for each field that is set and has no effect here."""
    found = (idle for idle in IDLE if idle.is_set(version.spec))
    return tuple(f"{version.name}: spec.{idle.field} has no effect here: {idle.why}" for idle in found)

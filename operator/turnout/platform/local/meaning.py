"""Fields of a ModelVersion that mean nothing on one machine: told once, never refused, so that files stay the same."""

from collections.abc import Callable

from turnout.api.predictor import Predictor, Protocol
from turnout.api.scaling import Scaling
from turnout.api.version import ModelVersion

PREDICTOR: tuple[tuple[str, Callable[[Predictor], object], str], ...] = (
    ("image", lambda predictor: predictor.image, "processes run from this Python environment"),
    (
        "resources",
        lambda predictor: predictor.resources.requests or predictor.resources.limits,
        "processes share the whole machine",
    ),
    ("serviceAccountName", lambda predictor: predictor.service_account_name, "processes run as you"),
    ("imagePullSecrets", lambda predictor: predictor.image_pull_secrets, "nothing is pulled"),
    ("nodeSelector", lambda predictor: predictor.node_selector, "there is one node"),
    ("tolerations", lambda predictor: predictor.tolerations, "there is one node"),
    (
        "artifact.authRef",
        lambda predictor: predictor.artifact and predictor.artifact.auth_ref,
        "your own environment holds the credentials",
    ),
    (
        "env[].valueFrom",
        lambda predictor: any(variable.value_from for variable in predictor.env),
        "the variable of that name in your environment is taken",
    ),
    (
        "protocol",
        lambda predictor: predictor.protocol is not Protocol.HTTP,
        "the gateway of this machine speaks HTTP only",
    ),
)

SCALING: tuple[tuple[str, Callable[[Scaling], object], str], ...] = (
    (
        "maxReplicas",
        lambda scaling: scaling.max_replicas not in (Scaling().max_replicas, scaling.min_replicas),
        "there are as many processes as minReplicas says, or one, however much is asked",
    ),
    ("target", lambda scaling: scaling.target != Scaling().target, "the number of processes does not follow the load"),
    (
        "containerConcurrency",
        lambda scaling: scaling.container_concurrency,
        "nothing but the predictor's own queue bounds what it is asked at once",
    ),
)


def without_meaning(version: ModelVersion) -> tuple[str, ...]:
    """A sentence for each field that is set and has no effect here."""
    spec = version.spec
    idle = [(f"predictor.{field}", why) for field, is_set, why in PREDICTOR if is_set(spec.predictor)]
    idle += [(f"scaling.{field}", why) for field, is_set, why in SCALING if is_set(spec.scaling)]
    return tuple(f"{version.name}: spec.{field} has no effect here: {why}" for field, why in idle)

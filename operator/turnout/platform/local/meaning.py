"""Fields of a ModelVersion that mean nothing on one machine: told once, never refused, so that files stay the same."""

from collections.abc import Callable

from turnout.api.predictor import Predictor, Protocol
from turnout.api.version import ModelVersion

Test = Callable[[Predictor], object]

WITHOUT_MEANING: tuple[tuple[str, Test, str], ...] = (
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


def without_meaning(version: ModelVersion) -> tuple[str, ...]:
    """A sentence for each field that is set and has no effect here."""
    predictor = version.spec.predictor
    return tuple(
        f"{version.name}: spec.predictor.{field} has no effect here: {why}"
        for field, is_set, why in WITHOUT_MEANING
        if is_set(predictor)
    )

"""What is written into the serving path, byte for byte. A change of these files is a change of every new revision."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.api.version import ModelVersion
from turnout.rollout import rendering
from turnout.rollout.plan import Deploy, RouteChange
from turnout.rollout.snapshot import Autoscaling, ModelKey, Share

GOLDEN = Path(__file__).parent / "golden"
KEY = ModelKey("support", "signals")


def a_version(**spec: object) -> ModelVersion:
    body = {"model": "signals", "version": 7, "predictor": {"runtime": "custom", "image": "example.com/own:1"}, **spec}
    metadata = {"name": "signals-7", "namespace": "support", "uid": "uid-7"}
    return ModelVersion.model_validate(
        {"apiVersion": "turnout.dev/v1alpha1", "kind": "ModelVersion", "metadata": metadata, "spec": body}
    )


def rendered(**spec: object) -> dict[str, object]:
    version = a_version(**spec)
    owners = (("signals-7", "uid-7"), ("signals-6", "uid-6"))
    return rendering.inference_service("support", Deploy(version, "example.com/image@sha256:ab", "5f2c9a01", owners))


FULL = {
    "predictor": {
        "runtime": "sentence-transformers",
        "artifact": {"uri": "pvc://models/signals/7", "digest": "sha256:" + "0" * 64},
        "settings": {"labels": ["ü", "b"], "batch": 32},
        "resources": {"limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}},
        "env": [
            {"name": "OMP_NUM_THREADS", "value": "2"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "token"}}},
            {"name": "MODEL_VERSION", "value": "mine"},
        ],
        "serviceAccountName": "models",
        "imagePullSecrets": [{"name": "registry"}],
        "timeoutSeconds": 30,
        "nodeSelector": {"gpu": "l4"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    },
    "scaling": {"latencyCritical": True, "minReplicas": 2, "maxReplicas": 8, "containerConcurrency": 16},
}

BODIES = {
    "inference-service-least": lambda: rendered(),
    "inference-service-full": lambda: rendered(**FULL),
    "route": lambda: rendering.route(
        KEY,
        RouteChange((Share("signals-6-predictor-00001", 90), Share("signals-7-predictor-00001", 10)), (("s-7", "u"),)),
        "4711",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_as_they_were(name: str) -> None:
    golden = GOLDEN / f"{name}.json"
    body = json.dumps(BODIES[name](), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if not golden.exists():
        golden.write_text(body)
        pytest.fail(f"{golden.name} was written; look at it, then commit it")
    assert body == golden.read_text()


def test_every_field_that_mints_revisions_is_free_of_the_operators_settings_and_of_other_versions() -> None:
    version = a_version(**FULL)
    alone = rendering.inference_service("support", Deploy(version, "i", "h", (("signals-7", "uid-7"),)))
    together = rendering.inference_service("support", Deploy(version, "i", "h", ()))
    for body in (alone, together):
        body["metadata"].pop("ownerReferences", None)  # type: ignore[union-attr]
    assert alone == together


def test_what_a_store_wants_to_see_is_mounted_from_the_secret_and_read_by_nobody_else() -> None:
    artifact = {"uri": "s3://models/signals/7", "digest": "sha256:" + "0" * 64, "authRef": "model-store"}
    body = rendered(predictor={"runtime": "sklearn", "artifact": artifact})
    predictor = body["spec"]["predictor"]  # type: ignore[index]
    (container,) = predictor["containers"]
    assert {"name": "artifact-auth", "secret": {"secretName": "model-store"}} in predictor["volumes"]
    mounted = {"name": "artifact-auth", "mountPath": "/var/run/turnout/artifact-auth", "readOnly": True}
    assert mounted in container["volumeMounts"]
    assert "--artifact_uri=s3://models/signals/7" in container["args"]


def test_a_route_for_the_first_time_is_bound_to_no_version_of_it() -> None:
    body = rendering.route(KEY, RouteChange((Share("signals-7-predictor-00001", 100),)))
    assert "resourceVersion" not in body["metadata"]  # type: ignore[operator]


SCALINGS = st.builds(
    Autoscaling,
    min_pods=st.integers(0, 1000),
    max_pods=st.integers(0, 1000),
    retention=st.integers(0, 100_000).map(lambda millis: timedelta(milliseconds=millis)),
    metric=st.sampled_from(["concurrency", "rps"]),
    target=st.integers(0, 100_000),
    latency_critical=st.booleans(),
    own_pods=st.integers(0, 1000),
)


@given(SCALINGS)
def test_floors_read_back_as_they_were_written(wish: Autoscaling) -> None:
    written = rendering.autoscaling_annotations(wish)
    assert rendering.read_autoscaling({name: text for name, text in written.items() if text is not None}) == wish


READINGS = {
    "nothing": ({}, Autoscaling(0, 0, timedelta(0))),
    "what KServe writes at birth": (
        {rendering.MIN_SCALE: "0", rendering.MAX_SCALE: "3"},
        Autoscaling(0, 3, timedelta(0)),
    ),
    "what an earlier release wrote": (
        {rendering.MIN_SCALE: "2", rendering.MAX_SCALE: "3"},
        Autoscaling(2, 3, timedelta(0), own_pods=2),
    ),
    "what a person wrote": (
        {rendering.MIN_SCALE: "two", rendering.TARGET: "70.5", rendering.RETENTION: "1m30s", rendering.BURST: "200"},
        Autoscaling(0, 0, timedelta(seconds=90), target=70),
    ),
    "nonsense": ({rendering.RETENTION: "soon"}, Autoscaling(0, 0, timedelta(0))),
}


@pytest.mark.parametrize(("annotations", "read"), READINGS.values(), ids=READINGS)
def test_floors_of_others_are_read_without_a_fault(annotations: dict[str, str], read: Autoscaling) -> None:
    assert rendering.read_autoscaling(annotations) == read


def test_what_is_default_again_is_taken_away_but_never_the_metric() -> None:
    plain = rendering.autoscaling_annotations(Autoscaling(0, 3, timedelta(seconds=30)))
    assert plain[rendering.TARGET] is None
    assert plain[rendering.BURST] is None
    assert plain[rendering.METRIC] == "concurrency"

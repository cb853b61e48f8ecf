"""Why a version does not come up, from what the kubelet, KServe and Knative report. Messages as real ones said them."""

from datetime import timedelta

import pytest

from tests.platform.kubernetes.conftest import (
    START,
    Cluster,
    a_pod,
    a_revision,
    a_service,
    an_autoscaler,
    ended,
)
from turnout.api.reasons import Reason
from turnout.platform.kubernetes.resources import AUTOSCALERS, INFERENCE_SERVICES, PODS, REVISIONS
from turnout.rollout.snapshot import Problem

SAID = '{"reason": "ArtifactDigestMismatch", "message": "model.skops differs from its manifest; publish it again"}'


def waits(reason: str, message: str = "", **more: object) -> dict[str, object]:
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


PODS_TELL = {
    "an image that cannot be pulled": (
        a_pod(ready=False, container=waits("ErrImagePull", "not found")),
        ("ImagePullFailed", "pod p1: its image cannot be pulled: not found", False),
    ),
    "an image that is waited for": (
        a_pod(ready=False, container=waits("ImagePullBackOff")),
        ("ImagePullFailed", "pod p1: its image cannot be pulled: ImagePullBackOff", False),
    ),
    "an image that is waited for, by a kubelet that says why": (
        a_pod(
            ready=False,
            container=waits("ImagePullBackOff", 'Back-off pulling image "example.com/a:1": ErrImagePull: not found'),
        ),
        ("ImagePullFailed", "pod p1: its image cannot be pulled: not found", False),
    ),
    "an image that is waited for, with the cause alone": (
        a_pod(ready=False, container=waits("ImagePullBackOff", 'Back-off pulling image "a": it is not found: a')),
        ("ImagePullFailed", "pod p1: its image cannot be pulled: it is not found: a", False),
    ),
    "a Secret that is missing": (
        a_pod(ready=False, container=waits("CreateContainerConfigError", 'secret "nope" not found')),
        ("AwaitingPods", 'pod p1: CreateContainerConfigError: secret "nope" not found', False),
    ),
    "no node has room": (
        a_pod(ready=False, conditions=[{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]),
        ("CannotSchedule", "pod p1: Insufficient cpu", False),
    ),
    "the predictor's own word": (
        a_pod(ready=False, container={"state": ended(code=78, message=SAID)}),
        ("ArtifactDigestMismatch", "model.skops differs from its manifest; publish it again", True),
    ),
    "its own word, but another exit code": (
        a_pod(ready=False, container={"state": ended(code=1, message=SAID)}),
        ("ArtifactDigestMismatch", "model.skops differs from its manifest; publish it again", False),
    ),
    "a word that is not the predictor's to say": (
        a_pod(ready=False, container={"state": ended(code=78, message='{"reason": "Promoted"}')}),
        ("CrashedWhileStarting", 'its process ended once before it was ready, last with exit code 78: {"reason": '
         '"Promoted"}', False),
    ),
    "a first crash": (
        a_pod(ready=False, container={"state": ended(message="Traceback")}),
        ("CrashedWhileStarting", "its process ended once before it was ready, last with exit code 1: Traceback", False),
    ),
    "a crash loop": (
        a_pod(ready=False, container={**waits("CrashLoopBackOff"), "lastState": ended(), "restartCount": 3}),
        ("CrashedWhileStarting", "its process ended 4 times before it was ready, last with exit code 1", True),
    ),
    "a pod that is only young": (a_pod(ready=False, container=waits("ContainerCreating")), None),
    "a pod that is ready": (a_pod(container={"lastState": ended(), "restartCount": 9}), None),
    "a pod that leaves": (
        a_pod(ready=False, deletionTimestamp="2026-11-21T10:00:00Z", container=waits("ErrImagePull")),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pod", "told"), PODS_TELL.values(), ids=PODS_TELL)
async def test_pods_tell(cluster: Cluster, pod: dict[str, object], told: tuple[str, str, bool] | None) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(REVISIONS, a_revision())
    cluster.sees(AUTOSCALERS, an_autoscaler(1))
    cluster.sees(PODS, pod)
    problem = (await cluster.snapshot()).deployments[0].problem
    assert (problem and (problem.reason.value, problem.message, problem.permanent)) == told


async def test_a_quota_that_stops_the_next_pods_is_told_beside_those_that_are_ready_and_alike_at_each_try(
    cluster: Cluster,
) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(AUTOSCALERS, an_autoscaler(3))
    cluster.sees(PODS, a_pod())
    said = set()
    for name in ("x-7d9-abcde", "x-7d9-fghij"):
        revision = a_revision()
        failed = {"type": "ResourcesAvailable", "status": "False", "reason": "FailedCreate"}
        revision["status"]["conditions"].append({**failed, "message": QUOTA.replace('"x"', f'"{name}"')})
        cluster.sees(REVISIONS, revision)
        said.add((await cluster.snapshot()).deployments[0].problem)
    sentence = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"
    assert said == {Problem(Reason.QuotaExceeded, sentence)}
    cluster.sees(AUTOSCALERS, an_autoscaler(1))
    assert (await cluster.snapshot()).deployments[0].problem is None  # it has all that it wants


async def test_nothing_is_permanent_while_another_pod_serves(cluster: Cluster) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(REVISIONS, a_revision())
    cluster.sees(PODS, a_pod("p2"))
    cluster.sees(PODS, a_pod(ready=False, container={"state": ended(code=78, message=SAID)}))
    problem = (await cluster.snapshot()).deployments[0].problem
    assert problem is not None
    assert not problem.permanent


@pytest.mark.parametrize("count", [1, 2])
async def test_of_a_pod_that_has_served_or_beside_one_that_serves_an_end_is_told_without_a_count(
    cluster: Cluster, count: int
) -> None:
    """It waits for as long as it takes: what changed with each restart would be written at each."""
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(REVISIONS, a_revision())
    cluster.sees(PODS, a_pod("p2"))
    cluster.sees(PODS, a_pod(ready=False, container={"lastState": ended(code=137), "restartCount": count}))
    problem = (await cluster.snapshot()).deployments[0].problem
    assert problem is not None
    assert problem.message == "the process of pod p1 ended with exit code 137"


QUOTA = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
CONDITIONS = {
    "a quota": (("ResourcesAvailable", "False", "FailedCreate", QUOTA), "QuotaExceeded"),
    "an admission of pods": (
        ("ResourcesAvailable", "False", "FailedCreate", "violates PodSecurity"),
        "AdmissionDenied",
    ),
    "an image without a digest": (
        ("ContainerHealthy", "False", "ContainerMissing", "Unable to fetch"),
        "ImagePullFailed",
    ),
    "a start that takes its time": (("ContainerHealthy", "Unknown", "Deploying", ""), None),
    "something else": (("ResourcesAvailable", "Unknown", "Odd", "odd"), None),
}


@pytest.mark.parametrize(("condition", "reason"), CONDITIONS.values(), ids=CONDITIONS)
async def test_where_no_pod_could_be_made_the_revision_tells(
    cluster: Cluster, condition: tuple[str, str, str, str], reason: str | None
) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    revision = a_revision()
    revision["status"]["conditions"].append(dict(zip(("type", "status", "reason", "message"), condition, strict=True)))
    cluster.sees(REVISIONS, revision)
    problem = (await cluster.snapshot()).deployments[0].problem
    assert (problem and problem.reason.value) == reason


REPORTED = {
    "Knative's webhook says no": (
        ("False", 'admission webhook "validation.webhook.serving.knative.dev" denied the request: no nodeSelector'),
        ("AdmissionDenied", True),
    ),
    "KServe cannot reconcile": (("False", "fails to reconcile predictor: timeout"), ("AdmissionDenied", False)),
    "it is only young": (("Unknown", "waiting"), None),
}


@pytest.mark.parametrize(("condition", "told"), REPORTED.values(), ids=REPORTED)
async def test_where_there_is_no_revision_kserve_tells(
    cluster: Cluster, condition: tuple[str, str], told: tuple[str, bool] | None
) -> None:
    service = a_service()
    service["status"] = {"conditions": [{"type": "PredictorReady", "status": condition[0], "message": condition[1]}]}
    cluster.sees(INFERENCE_SERVICES, service, manager="turnout")
    problem: Problem | None = (await cluster.snapshot()).deployments[0].problem
    assert (problem and (problem.reason.value, problem.permanent)) == told


async def test_a_kserve_that_does_nothing_is_named_with_its_likely_causes(cluster: Cluster) -> None:
    """As 0.19 does in Knative mode: it refuses its own first update and never writes a status."""
    made = START.isoformat().replace("+00:00", "Z")
    cluster.sees(INFERENCE_SERVICES, a_service(creationTimestamp=made), manager="turnout")
    assert (await cluster.snapshot()).deployments[0].problem is None
    cluster.clock.now += timedelta(seconds=30)
    problem = (await cluster.snapshot()).deployments[0].problem
    assert problem is not None
    assert (problem.reason, problem.permanent) == (Reason.KServeMissing, False)
    assert "signals-7 since 2026-11-21 10:00:00Z: its controller does not run, or is older than 0.20" in problem.message
    cluster.sees(REVISIONS, a_revision())
    assert (await cluster.snapshot()).deployments[0].problem is None

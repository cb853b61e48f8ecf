"""What is written, how it is bound to what was read, and what each way of failing means."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from yarl import URL

from tests.platform.kubernetes.apiserver import Fault
from tests.platform.kubernetes.conftest import KEY, Cluster, a_revision, a_route, a_service, a_version, serve
from turnout.api.reasons import EventReason, Reason, State
from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.platform.kubernetes.calls import classify
from turnout.platform.kubernetes.objects import read
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, PODS, REVISIONS, ROUTES, VERSIONS
from turnout.platform.protocol import Conflict, Refused, Unavailable
from turnout.rollout.plan import Deploy, Event, Own, Retire, RouteChange, Scale
from turnout.rollout.rendering import BURST, MAX_SCALE, METRIC, MIN_SCALE, OWN_FLOOR, RETENTION, TARGET
from turnout.rollout.snapshot import Autoscaling, Deployment, Share

SPLIT = (Share("signals-6-predictor-00001", 90), Share("signals-7-predictor-00001", 10))
OWNERS = (("signals-7", "u7"),)
CHANGE = RouteChange(SPLIT, OWNERS)
SCALE = Autoscaling(2, 5, timedelta(seconds=90), "rps", 20, latency_critical=True, own_pods=1)


def a_deploy(image: str = "example.com/own:1") -> Deploy:
    version = read(VERSIONS, a_version(uid="u7"))
    assert isinstance(version, ModelVersion)
    return Deploy(version, image, "5f2c9a01", OWNERS)


async def the_deployment(cluster: Cluster) -> Deployment:
    return (await cluster.snapshot()).deployments[0]


async def the_version(cluster: Cluster) -> ModelVersion:
    return (await cluster.snapshot()).versions[0]


async def test_a_route_is_created_and_then_changed_whole(cluster: Cluster) -> None:
    await cluster.platform.route(KEY, RouteChange((Share("signals-6-predictor-00001", 100),)))
    await cluster.platform.route(KEY, CHANGE)
    live = cluster.live(ROUTES, "signals")
    assert [(target["revisionName"], target["percent"]) for target in live["spec"]["traffic"]] == [
        ("signals-6-predictor-00001", 90),
        ("signals-7-predictor-00001", 10),
    ]
    assert live["metadata"]["ownerReferences"][0]["uid"] == "u7"
    route = (await cluster.snapshot()).route
    assert route is not None
    assert route.written == SPLIT  # the answer is known before any watch tells it
    assert cluster.dirty.count(KEY) == 2


async def test_a_write_onto_what_has_changed_is_a_conflict_and_the_change_is_known_then(cluster: Cluster) -> None:
    cluster.sees(ROUTES, a_route({"signals-6": 100}))
    cluster.server.put("apis/serving.knative.dev/v1/routes", a_route({"signals-5": 100}))
    with pytest.raises(Conflict):
        await cluster.platform.route(KEY, CHANGE)
    route = (await cluster.snapshot()).route
    assert route is not None
    assert route.written == (Share("signals-5-predictor-00001", 100),)
    await cluster.platform.route(KEY, CHANGE)


async def test_a_split_that_somebody_else_holds_is_taken_back(cluster: Cluster) -> None:
    cluster.sees(ROUTES, a_route({"signals-6": 100}, manager="kubectl-edit"))
    await cluster.platform.route(KEY, CHANGE)
    assert len(cluster.live(ROUTES, "signals")["spec"]["traffic"]) == 2


async def test_a_route_that_appears_meanwhile_is_not_taken_over(cluster: Cluster) -> None:
    cluster.server.put("apis/serving.knative.dev/v1/routes", a_route({"other": 100}, manager="kubectl-edit"))
    with pytest.raises(Conflict):
        await cluster.platform.route(KEY, CHANGE)


async def test_a_route_that_is_known_to_be_foreign_is_not_touched(cluster: Cluster) -> None:
    foreign = a_route({"other": 100})
    foreign["metadata"].update(labels={}, managedFields=[{"manager": "kubectl"}])
    cluster.sees(ROUTES, foreign)
    with pytest.raises(Refused, match="Route signals exists and is not Turnout's"):
        await cluster.platform.route(KEY, CHANGE)
    assert not cluster.server.writes()


async def test_a_route_that_cannot_be_written_is_told_until_a_write_succeeds(cluster: Cluster) -> None:
    cluster.sees(ROUTES, a_route({"signals-6": 100}))
    cluster.server.faults += [
        Fault("PATCH", "routes", 500, "failed calling webhook"),
        Fault("PATCH", "routes", 403, "no"),
    ]
    told = []
    for expected in (Unavailable, Refused):
        with pytest.raises(expected):
            await cluster.platform.route(KEY, CHANGE)
        route = (await cluster.snapshot()).route
        told.append(
            (route and route.problem and route.problem.reason, route and route.problem and route.problem.permanent)
        )
    assert told == [(Reason.TrafficUnwritable, False), (Reason.AdmissionDenied, True)]
    await cluster.platform.route(KEY, CHANGE)
    route = (await cluster.snapshot()).route
    assert route is not None
    assert route.problem is None


async def test_an_inference_service_is_posted_once(cluster: Cluster) -> None:
    await cluster.platform.deploy(KEY, a_deploy())
    assert cluster.server.writes() == [("POST", "/apis/serving.kserve.io/v1beta1/namespaces/support/inferenceservices")]
    assert (await the_deployment(cluster)).spec_hash == "5f2c9a01"
    with pytest.raises(Conflict):
        await cluster.platform.deploy(KEY, a_deploy())


async def test_a_foreign_object_in_the_place_is_a_refusal_since_looking_again_changes_nothing(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version(uid="u7"))
    cluster.server.put(INFERENCE_SERVICES.path().strip("/"), a_service(), "velero")
    with pytest.raises(Refused, match="InferenceService signals-7 exists and is not Turnout's"):
        await cluster.platform.deploy(KEY, a_deploy())
    problem = (await the_deployment(cluster)).problem
    assert problem is not None
    assert (problem.reason, problem.permanent) == (Reason.NameTaken, True)


async def test_a_refusal_is_forgotten_with_its_version(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version(uid="u7"))
    with pytest.raises(Refused):
        await cluster.platform.deploy(KEY, a_deploy(image=""))
    assert await the_deployment(cluster)
    cluster.sees(VERSIONS, a_version(uid="u7"), "DELETED")
    assert not (await cluster.snapshot()).deployments


REFUSALS = {
    "an admission webhook": (400, "admission webhook denied the request", Reason.AdmissionDenied),
    "a field that this KServe does not know": (422, 'unknown field "spec.predictor.x"', Reason.AdmissionDenied),
    "a quota of objects": (403, "exceeded quota: small", Reason.QuotaExceeded),
}


@pytest.mark.parametrize(("status", "message", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_deployment_is_told_and_forgotten_when_retired(
    cluster: Cluster, status: int, message: str, reason: Reason
) -> None:
    cluster.sees(VERSIONS, a_version(uid="u7"))
    cluster.server.faults.append(Fault("POST", "inferenceservices", status, message))
    with pytest.raises(Refused):
        await cluster.platform.deploy(KEY, a_deploy())
    found = await the_deployment(cluster)
    assert (found.name, found.uid, found.owners) == ("signals-7", "", {"u7"})
    assert found.problem is not None
    assert (found.problem.reason, found.problem.message, found.problem.permanent) == (reason, message, True)
    await cluster.platform.own(KEY, Own(found, (("signals-8", "u8"),)))
    assert (await the_deployment(cluster)).owners == {"u8"}
    await cluster.platform.retire(KEY, Retire(found, "it failed"))
    assert not (await cluster.snapshot()).deployments


async def test_a_version_without_an_image_is_refused_with_what_to_do(cluster: Cluster) -> None:
    with pytest.raises(Refused, match=r"runtime custom has no image; set spec\.predictor\.image"):
        await cluster.platform.deploy(KEY, a_deploy(image=""))


async def test_floors_are_one_patch_and_bound_to_the_revision(cluster: Cluster) -> None:
    serve(cluster)
    await cluster.platform.scale(KEY, Scale(await the_deployment(cluster), SCALE))
    annotations = cluster.live(REVISIONS, "signals-7-predictor-00001")["metadata"]["annotations"]
    assert annotations == {
        MIN_SCALE: "2", MAX_SCALE: "5", METRIC: "rps", TARGET: "20", RETENTION: "1m30s", BURST: "0", OWN_FLOOR: "1",
    }  # fmt: skip
    revision = (await the_deployment(cluster)).revision
    assert revision is not None
    assert revision.autoscaling == SCALE
    before = await the_deployment(cluster)
    cluster.server.put("apis/serving.knative.dev/v1/revisions", a_revision() | {"metadata": {
        **a_revision()["metadata"], "uid": "another"}})  # fmt: skip
    with pytest.raises(Conflict):
        await cluster.platform.scale(KEY, Scale(before, SCALE))


async def test_floors_of_a_deployment_without_a_revision_are_a_conflict(cluster: Cluster) -> None:
    with pytest.raises(Conflict, match="has no revision"):
        await cluster.platform.scale(KEY, Scale(Deployment("signals-7", "u", 7, "h"), SCALE))


async def test_what_is_retired_is_deleted_by_uid_and_is_gone_or_leaving(cluster: Cluster) -> None:
    serve(cluster)
    found = await the_deployment(cluster)
    cluster.live(INFERENCE_SERVICES, "signals-7")["metadata"]["finalizers"] = ["inferenceservice.finalizers"]
    await cluster.platform.retire(KEY, Retire(found, "old"))
    assert (await the_deployment(cluster)).leaving
    cluster.live(INFERENCE_SERVICES, "signals-7")["metadata"]["finalizers"] = []
    await cluster.platform.retire(KEY, Retire(found, "old"))
    assert not (await cluster.snapshot()).deployments
    await cluster.platform.retire(KEY, Retire(found, "old"))  # it is gone: nothing to do


async def test_another_object_of_the_same_name_is_not_deleted(cluster: Cluster) -> None:
    serve(cluster)
    found = await the_deployment(cluster)
    cluster.server.put(INFERENCE_SERVICES.path().strip("/"), a_service(uid="another"), "turnout")
    with pytest.raises(Conflict):
        await cluster.platform.retire(KEY, Retire(found, "old"))
    assert (await the_deployment(cluster)).uid == "another"


async def test_references_are_patched_alone_and_those_of_others_stay(cluster: Cluster) -> None:
    tool = {"apiVersion": "v1", "kind": "ConfigMap", "name": "tool", "uid": "t"}
    cluster.sees(INFERENCE_SERVICES, a_service(ownerReferences=[tool]), manager="turnout")
    await cluster.platform.own(KEY, Own(await the_deployment(cluster), OWNERS))
    live = cluster.live(INFERENCE_SERVICES, "signals-7")
    assert [owner["uid"] for owner in live["metadata"]["ownerReferences"]] == ["t", "u7"]
    assert (await the_deployment(cluster)).owners == {"u7"}
    live["metadata"]["resourceVersion"] = "999999"
    with pytest.raises(Conflict):
        await cluster.platform.own(KEY, Own(await the_deployment(cluster), ()))


async def test_an_orphan_has_no_references(cluster: Cluster) -> None:
    references = [{"apiVersion": "turnout.dev/v1alpha1", "kind": "ModelVersion", "name": "signals-7", "uid": "u7"}]
    cluster.sees(INFERENCE_SERVICES, a_service(ownerReferences=references), manager="turnout")
    await cluster.platform.own(KEY, Own(await the_deployment(cluster), ()))
    assert "ownerReferences" not in cluster.live(INFERENCE_SERVICES, "signals-7")["metadata"]
    with pytest.raises(Conflict, match="was replaced"):
        await cluster.platform.own(KEY, Own(Deployment("signals-7", "another", 7, "h"), ()))


async def test_a_status_is_recorded_whole_onto_the_spec_that_was_read(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    await cluster.platform.record(KEY, await the_version(cluster), Status(state=State.Live, attempt=1))
    assert cluster.live(VERSIONS, "signals-7")["status"]["state"] == "Live"
    assert (await cluster.snapshot()).versions[0].status.state is State.Live
    assert cluster.server.requests[-1][2].count("force=true")
    edited = a_version()
    edited["spec"]["desired"] = "Standby"
    cluster.server.put("apis/turnout.dev/v1alpha1/modelversions", edited)
    with pytest.raises(Conflict):
        await cluster.platform.record(KEY, await the_version(cluster), Status(state=State.Held))
    assert (await cluster.snapshot()).versions[0].spec.desired == "Standby"


async def test_a_status_is_never_recorded_onto_another_object_of_the_name(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    decided_upon = await the_version(cluster)
    cluster.sees(VERSIONS, a_version(uid="remade"))
    with pytest.raises(Conflict):
        await cluster.platform.record(KEY, decided_upon, Status(state=State.Live))
    assert (await the_version(cluster)).status.state is None
    del cluster.server.objects["apis/turnout.dev/v1alpha1/modelversions", "support", "signals-7"]
    with pytest.raises(Conflict):
        await cluster.platform.record(KEY, decided_upon, Status(state=State.Live))
    assert not (await cluster.snapshot()).versions


async def test_the_same_status_again_is_no_write_at_the_server(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    await cluster.platform.record(KEY, await the_version(cluster), Status(attempt=1))
    before = cluster.live(VERSIONS, "signals-7")["metadata"]["resourceVersion"]
    await cluster.platform.record(KEY, await the_version(cluster), Status(attempt=1))
    assert cluster.live(VERSIONS, "signals-7")["metadata"]["resourceVersion"] == before


async def test_the_same_happening_is_not_told_again_and_again_but_when_it_comes_back(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    happening = Event("signals-7", EventReason.Dropped, "it crashed", warning=True)
    await cluster.platform.emit(KEY, happening)
    await cluster.platform.emit(KEY, happening)
    events = [body for (kind, _, _), body in cluster.server.objects.items() if kind == "api/v1/events"]
    assert [(event["reason"], event["message"], event["type"]) for event in events] == [
        ("Dropped", "it crashed", "Warning")
    ]
    assert events[0]["involvedObject"]["uid"] == cluster.live(VERSIONS, "signals-7")["metadata"]["uid"]
    cluster.clock.passes(600)
    await cluster.platform.emit(KEY, happening)
    assert sum(kind == "api/v1/events" for kind, _, _ in cluster.server.objects) == 2


async def test_an_event_that_cannot_be_written_is_forgotten(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    cluster.server.faults.append(Fault("POST", "events", 500))
    await cluster.platform.emit(KEY, Event("signals-7", EventReason.Dropped, "it crashed"))
    await cluster.platform.emit(KEY, Event("gone", EventReason.Dropped, "it crashed"))


MEANINGS: dict[str, tuple[int, str, type[Exception]]] = {
    "a conflict": (409, "modified", Conflict),
    "not found": (404, "gone", Conflict),
    "too many requests": (429, "slow down", Unavailable),
    "a server error": (500, "failed calling webhook", Unavailable),
    "a gateway without a server": (503, "no endpoints", Unavailable),
    "a stale token": (401, "Unauthorized", Unavailable),
    "a validation error": (422, "invalid", Refused),
    "an unknown field": (400, "strict decoding error", Refused),
    "an admission policy": (403, "denied", Refused),
    "an admission policy that says cannot": (403, 'webhook "w" denied the request: it cannot run as root', Refused),
    "a missing right": (403, 'revisions is forbidden: User "x" cannot patch resource "revisions"', Unavailable),
    "a namespace that goes": (403, "because it is being terminated", Unavailable),
}


@pytest.mark.parametrize(("status", "message", "meaning"), MEANINGS.values(), ids=MEANINGS)
async def test_what_an_answer_means(cluster: Cluster, status: int, message: str, meaning: type[Exception]) -> None:
    serve(cluster)
    cluster.server.faults.append(Fault("PATCH", "revisions", status, message))
    with pytest.raises(meaning, match=message):
        await cluster.platform.scale(KEY, Scale(await the_deployment(cluster), SCALE))


def test_what_outlived_its_namespace_is_not_tried_again_at_once() -> None:
    """Seen after a restart of the API server: the namespace gone, its objects not, and every write to them a 404."""
    told = {"message": 'namespaces "gone" not found', "details": {"name": "gone", "kind": "namespaces"}}
    assert type(classify(404, "Not Found", json.dumps(told), "PATCH")) is Unavailable


Verb = Callable[[Cluster], Awaitable[None]]


async def test_a_server_that_is_away_is_unavailable(cluster: Cluster) -> None:
    cluster.platform.feed._calls._session._base_url = URL("http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"/apis/turnout\.dev/v1alpha1/modelversions"):
        await cluster.platform.refresh()
    assert PODS.path("a", "b", "log") == "/api/v1/namespaces/a/pods/b/log"

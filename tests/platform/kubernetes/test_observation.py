"""What a decision gets to see of a cluster: who is ready, who crashed, which split holds, who holds a name."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.platform.kubernetes.conftest import (
    KEY,
    START,
    Cluster,
    a_pod,
    a_revision,
    a_route,
    a_service,
    a_version,
    an_autoscaler,
    ended,
    serve,
)
from turnout.api.reasons import Reason
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.resources import AUTOSCALERS, INFERENCE_SERVICES, PODS, REVISIONS, ROUTES, VERSIONS
from turnout.rollout.health import death
from turnout.rollout.rendering import LINGER, MAX_SCALE, MIN_SCALE
from turnout.rollout.snapshot import Deployment, Problem, Revision, Share

START_DEADLINE = timedelta(minutes=10)


async def deployment(cluster: Cluster) -> Deployment:
    return (await cluster.snapshot()).deployments[0]


async def revision(cluster: Cluster) -> Revision:
    found = (await deployment(cluster)).revision
    assert found is not None
    return found


async def dies(cluster: Cluster) -> str:
    found = death(await revision(cluster), cluster.clock.now, START_DEADLINE)
    return found.reason.value if found else ""


async def test_a_version_that_was_born_latency_critical_is_known_by_its_revision(cluster: Cluster) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(REVISIONS, a_revision())
    assert not (await revision(cluster)).lingers
    cluster.sees(REVISIONS, a_revision(**{LINGER: "5m"}))
    assert (await revision(cluster)).lingers


@pytest.mark.parametrize(
    ("told", "image"),
    [
        pytest.param([], "", id="not looked up yet"),
        pytest.param(None, "", id="null"),
        pytest.param([{"name": "kserve-container"}], "", id="of a registry that is not looked up"),
        pytest.param(
            [
                {"name": "sidecar", "imageDigest": "example.com/other@sha256:1"},
                {"name": "kserve-container", "imageDigest": "example.com/own@sha256:0"},
            ],
            "example.com/own@sha256:0",
            id="looked up",
        ),
    ],
)
async def test_the_image_is_the_one_that_the_cluster_looked_up(cluster: Cluster, told: object, image: str) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    seen = a_revision()
    seen["status"]["containerStatuses"] = told
    cluster.sees(REVISIONS, seen)
    assert (await revision(cluster)).image == image


async def test_a_version_that_serves_is_seen_whole(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    owners = [
        {"apiVersion": "turnout.dev/v1alpha1", "kind": "ModelVersion", "name": "signals-7", "uid": "u7"},
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "a-tool", "uid": "other"},
    ]
    cluster.sees(INFERENCE_SERVICES, a_service(ownerReferences=owners), manager="turnout")
    cluster.sees(REVISIONS, a_revision(**{MIN_SCALE: "1", MAX_SCALE: "4"}))
    cluster.sees(AUTOSCALERS, an_autoscaler(2))
    cluster.sees(PODS, a_pod())
    cluster.sees(ROUTES, a_route({"signals-7": 100}))
    snapshot = await cluster.snapshot()
    assert [version.name for version in snapshot.versions] == ["signals-7"]
    found = snapshot.deployments[0]
    assert (found.name, found.version, found.spec_hash, found.owners) == ("signals-7", 7, "5f2c9a01", {"u7"})
    seen = found.revision
    assert seen is not None
    assert (seen.name, seen.servable, seen.wanted, seen.ready_pods) == ("signals-7-predictor-00001", True, 2, 1)
    assert (seen.autoscaling.min_pods, seen.autoscaling.max_pods) == (1, 4)
    assert found.problem is None
    route = snapshot.route
    assert route is not None
    assert (route.written, route.observed, route.in_sync) == ((Share(seen.name, 100),), route.written, True)
    assert snapshot.namespace_url == "http://{name}.support.example.com"
    assert snapshot.version_url.format(name="signals-7") == "http://signals-7-predictor.support.svc.cluster.local"
    assert snapshot.trouble is None


DEATHS = {
    "a pod that is ready lives": ([a_pod()], ""),
    "a crash after readiness is death at once": ([a_pod(ready=False, container={"state": ended()})], "Crashed"),
    "a crash whose container runs again but is not ready": (
        [a_pod(ready=False, container={"lastState": ended()})],
        "Crashed",
    ),
    "lost readiness alone has three seconds of grace": ([a_pod(ready=False)], ""),
    "one of two that crashes is not the death of the version": (
        [a_pod(ready=False, container={"state": ended()}), a_pod("p2")],
        "",
    ),
    "a container that ends while its pod is deleted is no crash": (
        [a_pod(ready=False, deletionTimestamp="2026-11-21T10:00:03Z", container={"state": ended()})],
        "",
    ),
}


@pytest.mark.parametrize(("after", "reason"), DEATHS.values(), ids=DEATHS)
async def test_a_serving_version_after(cluster: Cluster, after: list[dict[str, object]], reason: str) -> None:
    serve(cluster)
    cluster.sees(PODS, a_pod("p1"))
    cluster.clock.passes(3600)  # at rest, nobody looks: the last readiness is still that of a moment ago
    cluster.sees(PODS, a_pod("p7"), "DELETED")
    for pod in after:
        cluster.sees(PODS, pod)
    assert await dies(cluster) == reason


LATER = {
    "lost readiness": (a_pod(ready=False), "ReadinessLost"),
    "eviction": (a_pod(ready=False, phase="Failed", reason="Evicted", container={"state": ended(code=137)}), "Evicted"),
    "preemption": (a_pod(ready=False, conditions=[{"type": "DisruptionTarget", "status": "True"}]), "Evicted"),
}


@pytest.mark.parametrize(("pod", "reason"), LATER.values(), ids=LATER)
async def test_four_seconds_after(cluster: Cluster, pod: dict[str, object], reason: str) -> None:
    serve(cluster)
    cluster.sees(PODS, a_pod("p7"), "DELETED")
    cluster.sees(PODS, a_pod())
    cluster.clock.passes(60)
    cluster.sees(PODS, pod)
    assert await dies(cluster) == ""
    cluster.clock.passes(4)
    assert await dies(cluster) == reason


async def test_a_replacement_is_told_by_its_name_not_by_clocks(cluster: Cluster) -> None:
    """Its creationTimestamp has whole seconds of another clock: it looks older than the last readiness."""
    serve(cluster)
    cluster.clock.passes(0.9)
    cluster.sees(PODS, a_pod("p7"), "DELETED")
    cluster.sees(PODS, a_pod("p8", ready=False))
    cluster.clock.passes(4)
    assert await dies(cluster) == "Evicted"


async def test_a_version_that_crashed_before_the_operator_began_is_dead_and_not_starting(cluster: Cluster) -> None:
    """Its autoscaler is listed before its pods: for a moment it wants a pod and seems to have none."""
    pod = a_pod("p7", ready=False, readyAt="2026-11-21T09:59:00Z", container={"state": ended()})
    for kind, body in (
        (INFERENCE_SERVICES, a_service()),
        (REVISIONS, a_revision()),
        (AUTOSCALERS, an_autoscaler(1)),
        (PODS, pod),
    ):
        cluster.server.put(kind.path().strip("/"), body, manager="turnout")
    await cluster.platform.refresh()
    assert await dies(cluster) == "Crashed"


async def test_an_old_crash_that_was_survived_does_not_count_when_readiness_is_lost_later(cluster: Cluster) -> None:
    serve(cluster)
    cluster.sees(PODS, a_pod("p7", ready=False, container={"state": ended()}))
    cluster.sees(PODS, a_pod("p7", container={"lastState": ended()}))
    cluster.sees(PODS, a_pod("p7", ready=False, container={"lastState": ended()}))
    assert (await revision(cluster)).crash is None
    cluster.sees(PODS, a_pod("p7", ready=False, container={"lastState": ended("10:01:00", 139, identity="c2")}))
    crash = (await revision(cluster)).crash
    assert crash is not None
    assert (crash.exit_code, crash.at) == (139, datetime(2026, 11, 21, 10, 1, tzinfo=UTC))


async def test_what_killed_it_is_told_in_its_own_words(cluster: Cluster) -> None:
    serve(cluster)
    cluster.sees(PODS, a_pod("p7", ready=False, container={"state": ended(message="ZeroDivisionError\n")}))
    crash = (await revision(cluster)).crash
    assert crash is not None
    assert crash.message == "ZeroDivisionError"
    cluster.sees(PODS, a_pod("p7", ready=False, container={"state": ended(code=137, reason="OOMKilled")}))
    crash = (await revision(cluster)).crash
    assert crash is not None
    assert crash.message == "OOMKilled"


async def test_a_version_that_comes_up_from_zero_is_starting_not_dead(cluster: Cluster) -> None:
    serve(cluster, wanted=0)
    cluster.sees(PODS, a_pod("p7"), "DELETED")
    assert await dies(cluster) == ""
    cluster.clock.passes(600)
    cluster.sees(AUTOSCALERS, an_autoscaler(1))
    cluster.sees(PODS, a_pod("p8", ready=False))
    cluster.clock.passes(30)
    seen = await revision(cluster)
    assert seen.starting
    assert seen.starting_since == START + timedelta(seconds=600)
    assert await dies(cluster) == ""
    cluster.clock.passes(600)
    assert await dies(cluster) == "ReadinessLost"


AFTER_RESTART = {
    "it was ready before": ("2026-11-21T09:30:00Z", False),
    "it never was": ("2026-11-21T09:00:00Z", True),
}


@pytest.mark.parametrize(("turned", "starting"), AFTER_RESTART.values(), ids=AFTER_RESTART)
async def test_what_a_pod_still_tells_after_a_restart(cluster: Cluster, turned: str, starting: bool) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(AUTOSCALERS, an_autoscaler(1))
    cluster.sees(PODS, a_pod(ready=False, readyAt=turned))
    cluster.sees(REVISIONS, a_revision())
    assert (await revision(cluster)).starting is starting


async def test_nobody_knows_yet_what_a_new_autoscaler_wants(cluster: Cluster) -> None:
    serve(cluster)
    cluster.sees(AUTOSCALERS, an_autoscaler(-1))
    assert (await revision(cluster)).wanted == 0
    cluster.sees(AUTOSCALERS, an_autoscaler(None))
    assert (await revision(cluster)).wanted == 0


async def test_a_second_revision_is_unplanned_and_the_pinned_one_stays(cluster: Cluster) -> None:
    serve(cluster)
    cluster.sees(REVISIONS, a_revision(ordinal=2))
    found = await deployment(cluster)
    assert found.revision is not None
    assert (found.revision.name, found.unplanned) == ("signals-7-predictor-00001", ("signals-7-predictor-00002",))


async def test_a_pinned_revision_that_is_gone_is_not_replaced_by_another(cluster: Cluster) -> None:
    version = a_version()
    version["status"] = {"revision": {"name": "signals-7-predictor-00001", "uid": "u"}}
    cluster.sees(VERSIONS, version)
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(REVISIONS, a_revision(ordinal=2))
    found = await deployment(cluster)
    assert (found.revision, found.unplanned) == (None, ("signals-7-predictor-00002",))


SPLITS = {
    "as written": ({}, True),
    "an old generation": ({"observedGeneration": 0}, False),
    "not Ready": ({"conditions": [{"type": "Ready", "status": "Unknown"}]}, False),
    "another split": ({"traffic": [{"revisionName": "signals-6-predictor-00001", "percent": 100}]}, False),
    "nothing yet": ({"traffic": None, "conditions": None}, False),
}


@pytest.mark.parametrize(("status", "in_sync"), SPLITS.values(), ids=SPLITS)
async def test_a_split_holds_only_when_all_three_say_so(
    cluster: Cluster, status: dict[str, object], in_sync: bool
) -> None:
    cluster.sees(ROUTES, a_route({"signals-7": 100}, **status))
    route = (await cluster.snapshot()).route
    assert route is not None
    assert route.in_sync is in_sync
    assert (route.unsynced_since is None) is in_sync


async def test_duplicates_of_a_split_are_merged_and_zero_is_absence(cluster: Cluster) -> None:
    body = a_route({"signals-7": 60, "signals-6": 0})
    body["spec"]["traffic"] += [{"revisionName": "signals-7-predictor-00001", "percent": 40}, {"revisionName": "x"}]
    cluster.sees(ROUTES, body)
    route = (await cluster.snapshot()).route
    assert route is not None
    assert route.written == (Share("signals-7-predictor-00001", 100),)


async def test_an_edit_by_somebody_else_is_remembered_for_five_minutes(cluster: Cluster) -> None:
    cluster.sees(ROUTES, a_route({"signals-7": 100}))
    assert not (await _edits(cluster))
    cluster.sees(ROUTES, a_route({"signals-7": 50, "signals-6": 50}, manager="kubectl-edit"))
    cluster.sees(ROUTES, a_route({"signals-7": 50, "signals-6": 50}, manager="kubectl-edit"))
    cluster.sees(ROUTES, a_route({"signals-7": 100}))
    assert await _edits(cluster) == (START,)
    cluster.clock.passes(301)
    assert not (await _edits(cluster))


async def test_edits_within_one_second_are_as_many_as_they_are(cluster: Cluster) -> None:
    """The API server tells of an edit's time in whole seconds; Turnout puts a Route back sooner."""
    for generation in (1, 3, 5):
        cluster.sees(ROUTES, a_route({"signals-7": 50}, manager="kubectl-edit", generation=generation))
        cluster.sees(ROUTES, a_route({"signals-7": 100}, generation=generation + 1))
    assert await _edits(cluster) == (START, START, START)


async def _edits(cluster: Cluster) -> tuple[datetime, ...]:
    route = (await cluster.snapshot()).route
    assert route is not None
    return route.foreign_edits


async def test_names_that_others_hold_are_told_with_their_holder(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    cluster.sees(resources.SERVICES, {"metadata": {"name": "signals", "namespace": "support"}})
    cluster.sees(resources.KNATIVE_SERVICES, {"metadata": {"name": "signals-7-predictor", "namespace": "support"}})
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="kubectl-client-side-apply")
    taken = (await cluster.snapshot()).taken
    assert {problem.reason for problem in taken.values()} == {Reason.NameTaken}
    assert taken["signals"].message.startswith("Service signals exists and is not Turnout's")
    assert taken["signals-7-predictor"].message.startswith("Knative Service signals-7-predictor exists")
    assert taken["signals-7"].message.startswith("InferenceService signals-7 exists")
    assert not (await cluster.snapshot()).deployments  # a label alone makes nothing ours


async def test_what_is_made_for_our_objects_takes_no_name(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    owner = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "signals-7", "uid": "u"}
    cluster.sees(resources.SERVICES, a_service(ownerReferences=[{**owner, "controller": True}]))
    cluster.sees(ROUTES, a_route({"signals-7": 100}))
    assert not (await cluster.snapshot()).taken


async def test_an_older_version_of_another_model_keeps_its_reserved_name(cluster: Cluster) -> None:
    older = a_version("signals", 1, "tone", creationTimestamp="2026-11-20T10:00:00Z")
    younger = a_version(creationTimestamp="2026-11-21T10:00:00Z")
    cluster.sees(VERSIONS, older)
    cluster.sees(VERSIONS, younger)
    taken = (await cluster.snapshot()).taken
    text = "the name signals is reserved by ModelVersion signals of model tone; rename this one"
    assert taken == {"signals": Problem(Reason.NameReserved, text, permanent=True)}
    older_key = type(KEY)("support", "tone")
    assert not (await cluster.platform.observe(older_key)).taken


async def test_a_reference_of_another_kind_on_the_route_is_no_business_of_ours(cluster: Cluster) -> None:
    body = a_route({"signals-7": 100})
    kinds = {"ModelVersion": "u7", "ConfigMap": "tool"}
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": kind, "name": "n", "uid": uid} for kind, uid in kinds.items()
    ]
    cluster.sees(ROUTES, body)
    route = (await cluster.snapshot()).route
    assert route is not None
    assert route.owners == {"u7"}


async def test_how_long_a_route_is_out_of_step_is_told_by_our_clock_whatever_the_clusters_says(
    cluster: Cluster,
) -> None:
    async def since() -> object:
        route = (await cluster.snapshot()).route
        assert route is not None
        return route.unsynced_since

    cluster.clock.passes(3600)  # ours is an hour ahead
    first = cluster.clock.now
    frozen = {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T10:00:00Z"}]}
    cluster.sees(ROUTES, a_route({"signals-7": 100}, **frozen))
    assert await since() == first
    cluster.clock.passes(7)
    cluster.sees(ROUTES, a_route({"signals-7": 100}, **frozen))
    assert await since() == first, "the same trouble, told again"
    frozen["conditions"][0]["lastTransitionTime"] = "2026-11-21T10:00:07Z"
    cluster.sees(ROUTES, a_route({"signals-7": 100}, **frozen))
    assert await since() == cluster.clock.now
    cluster.sees(ROUTES, a_route({"signals-7": 100}))
    assert await since() is None

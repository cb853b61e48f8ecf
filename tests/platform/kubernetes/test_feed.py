"""How the cache follows the cluster: order of news, lost news, lists, and who is told."""

import logging
from typing import Any

import pytest

from tests.platform.kubernetes.apiserver import Fault
from tests.platform.kubernetes.conftest import KEY, Cluster, a_pod, a_revision, a_route, a_service, a_version, serve
from tests.rollout.judges import UNASKED
from turnout.api.reasons import Reason
from turnout.api.version import ModelVersion
from turnout.platform.kubernetes.objects import read
from turnout.platform.kubernetes.resources import (
    INFERENCE_SERVICES,
    PODS,
    REVISIONS,
    ROUTES,
    SERVICES,
    VERSIONS,
    WATCHED,
    Resource,
)
from turnout.platform.protocol import Unavailable
from turnout.rollout.decide import decide
from turnout.rollout.plan import Plan
from turnout.rollout.selection import select
from turnout.rollout.snapshot import ModelKey

TONE = ModelKey("support", "tone")


def at(body: dict[str, Any], version: str, uid: str = "u") -> dict[str, Any]:
    body["metadata"] |= {"resourceVersion": version, "uid": uid}
    return body


async def test_old_news_after_new_news_is_ignored_and_tells_nobody(cluster: Cluster) -> None:
    feed = cluster.platform.feed
    feed.observe(VERSIONS, "ADDED", at(a_version(), "20"))
    cluster.dirty.clear()
    for stale in ("19", "20"):
        feed.observe(VERSIONS, "MODIFIED", at(a_version(version=9), stale))
    assert [version.version for version in (await cluster.snapshot()).versions] == [7]
    assert not cluster.dirty


async def test_a_deletion_of_a_former_object_leaves_the_one_of_the_same_name(cluster: Cluster) -> None:
    feed = cluster.platform.feed
    feed.observe(VERSIONS, None, at(a_version(), "20", "new"))
    feed.observe(VERSIONS, "DELETED", at(a_version(), "21", "old"))
    assert (await cluster.snapshot()).versions
    feed.observe(VERSIONS, "DELETED", at(a_version(), "22", "new"))
    assert not (await cluster.snapshot()).versions


async def test_a_version_that_changes_hands_is_told_to_both_models(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    cluster.dirty.clear()
    cluster.sees(VERSIONS, a_version(model="tone"))
    assert set(cluster.dirty) == {KEY, TONE}
    assert not (await cluster.snapshot()).versions


async def test_who_needs_a_name_hears_when_it_is_taken_or_free(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    for event in ("ADDED", "DELETED"):
        cluster.dirty.clear()
        cluster.sees(SERVICES, {"metadata": {"name": "signals", "namespace": "support"}}, event)
        assert cluster.dirty == [KEY]
    cluster.dirty.clear()
    cluster.sees(SERVICES, {"metadata": {"name": "signals", "namespace": "elsewhere"}})
    assert not cluster.dirty


async def test_who_waits_for_a_reserved_name_hears_when_its_holder_goes(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, a_version())
    cluster.sees(VERSIONS, a_version("signals", 1, "tone"))
    cluster.dirty.clear()
    cluster.sees(VERSIONS, a_version("signals", 1, "tone"), "DELETED")
    assert set(cluster.dirty) == {KEY, TONE}


async def test_a_pod_tells_its_model_at_once(cluster: Cluster) -> None:
    serve(cluster)
    cluster.dirty.clear()
    cluster.sees(PODS, a_pod("p7", ready=False))
    assert cluster.dirty == [KEY]


async def test_an_object_that_cannot_be_read_is_named_and_left_alone(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    broken = at(a_version(), "20")
    broken["spec"]["version"] = "seven"
    with caplog.at_level(logging.ERROR):
        cluster.platform.feed.observe(VERSIONS, "ADDED", broken)
    assert "ModelVersion support/signals-7 cannot be read and is left alone" in caplog.text


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "in pages, by an older server"])
async def test_lists_are_read_part_by_part_and_by_selector(cluster: Cluster, streams: bool) -> None:
    cluster.server.page, cluster.server.streams = 2, streams
    for number in range(5):
        cluster.server.put("apis/turnout.dev/v1alpha1/modelversions", a_version(f"signals-{number}", number + 1))
    cluster.server.put("api/v1/pods", {"metadata": {"name": "foreign", "namespace": "support"}})
    await cluster.platform.refresh()
    assert len((await cluster.snapshot()).versions) == 5
    assert not list(cluster.platform.feed.cache.pods.everything())
    assert set(cluster.dirty) == {KEY}
    assert list(cluster.platform.keys()) == [KEY]


async def test_what_changes_while_a_list_is_told_is_part_of_it(cluster: Cluster) -> None:
    for number in (6, 7, 8):
        cluster.server.put(VERSIONS.path().strip("/"), a_version(f"signals-{number}", number))
    later = at(a_version("signals-6", 6), "900", cluster.live(VERSIONS, "signals-6")["metadata"]["uid"])
    cluster.server.meanwhile = [
        ("DELETED", at({**cluster.live(VERSIONS, "signals-7")}, "901")),
        ("MODIFIED", {**later, "spec": {**later["spec"], "desired": "Standby"}}),
    ]
    await cluster.platform.refresh()
    versions = (await cluster.snapshot()).versions
    assert [(version.name, version.spec.desired.value) for version in versions] == [
        ("signals-6", "Standby"),
        ("signals-8", "Live"),
    ]


async def test_a_full_list_finds_what_watches_have_lost(cluster: Cluster) -> None:
    serve(cluster)
    cluster.sees(VERSIONS, a_version("signals-7"))
    cluster.sees(VERSIONS, a_version("signals-8", 8))
    cluster.server.objects.pop(("apis/turnout.dev/v1alpha1/modelversions", "support", "signals-7"))
    cluster.server.put("api/v1/pods", a_pod("p7", ready=False))
    cluster.dirty.clear()
    await cluster.platform.refresh()
    snapshot = await cluster.snapshot()
    assert [version.name for version in snapshot.versions] == ["signals-8"]
    assert snapshot.deployments[0].revision is not None
    assert snapshot.deployments[0].revision.ready_pods == 0
    assert set(cluster.dirty) == {KEY}
    cluster.dirty.clear()
    await cluster.platform.refresh()
    assert not cluster.dirty  # nothing new: nobody is told


async def test_what_was_made_after_the_list_was_taken_is_kept(cluster: Cluster) -> None:
    store = cluster.platform.feed.cache.versions
    cluster.platform.feed.observe(VERSIONS, None, at(a_version(), "50"))
    assert store.replace([], "40") == []
    assert len(store.replace([], "60")) == 1


async def test_a_list_of_one_namespace_forgets_nothing_of_another(cluster: Cluster) -> None:
    store = cluster.platform.feed.cache.versions
    cluster.platform.feed.observe(VERSIONS, None, at(a_version(), "50"))
    assert store.replace([], "60", frozenset({"elsewhere"})) == []


async def test_lists_that_fail_say_so_and_keep_what_is_known(cluster: Cluster) -> None:
    serve(cluster)
    cluster.server.faults.append(Fault("GET", "inferenceservices", 500))
    with pytest.raises(Unavailable):
        await cluster.platform.refresh()
    assert (await cluster.snapshot()).deployments


async def test_a_cluster_without_kserve_is_trouble_until_it_has_it(cluster: Cluster) -> None:
    cluster.server.put("apis/turnout.dev/v1alpha1/modelversions", a_version())
    cluster.server.missing = {"inferenceservices", "routes"}
    await cluster.platform.refresh()
    trouble = (await cluster.snapshot()).trouble
    assert trouble is not None
    assert trouble.reason is Reason.KServeMissing
    assert trouble.message == (
        "the cluster does not serve inferenceservices.serving.kserve.io, routes.serving.knative.dev; "
        "install KServe 0.20 or newer in Knative mode"
    )
    cluster.server.missing = set()
    cluster.dirty.clear()
    await cluster.platform.refresh()
    assert (await cluster.snapshot()).trouble is None
    assert cluster.dirty == [KEY]


async def test_a_ghost_and_an_orphaned_route_are_models_to_look_at(cluster: Cluster) -> None:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    assert list(cluster.platform.keys()) == [KEY]
    cluster.sees(INFERENCE_SERVICES, a_service(), "DELETED", manager="turnout")
    assert list(cluster.platform.keys()) == []
    cluster.sees(ROUTES, a_route({"signals-7": 100}))
    assert list(cluster.platform.keys()) == [KEY]


async def test_memory_of_what_is_gone_is_dropped(cluster: Cluster) -> None:
    serve(cluster)
    cluster.sees(ROUTES, a_route({"signals-6": 100}, manager="kubectl-edit"))
    memory = cluster.platform.feed.memory
    assert memory._survived
    assert memory._foreign
    cluster.server.objects.clear()
    await cluster.platform.refresh()
    assert not memory._survived
    assert not memory._foreign
    assert not memory._readiness._seen


async def test_no_object_is_kept_with_what_nobody_reads(cluster: Cluster) -> None:
    cluster.sees(REVISIONS, a_revision(**{"kubectl.kubernetes.io/last-applied": "x" * 10_000}))
    revision = next(iter(cluster.platform.feed.cache.revisions.everything()))
    assert "kubectl.kubernetes.io/last-applied" not in revision.metadata.annotations
    assert len(WATCHED) == 8


def broken(**metadata: Any) -> dict[str, Any]:
    body = a_version(uid="u7", **metadata)
    body["spec"]["aFieldOfAnotherRelease"] = 1
    return body


async def test_a_version_that_can_be_read_no_more_is_unknown_and_not_deleted(cluster: Cluster) -> None:
    serve(cluster)
    cluster.sees(VERSIONS, a_version(uid="u7"))
    cluster.dirty.clear()
    cluster.sees(VERSIONS, broken())
    for _ in range(2):
        snapshot = await cluster.snapshot()
        assert not snapshot.versions
        assert snapshot.deployments[0].unread == "u7"
        assert KEY in cluster.dirty
        await cluster.platform.refresh()
    cluster.sees(VERSIONS, a_version(uid="u7"))
    snapshot = await cluster.snapshot()
    assert (len(snapshot.versions), snapshot.deployments[0].unread) == (1, "")


async def passes(cluster: Cluster, key: ModelKey = KEY) -> Plan:
    """One pass, as the controller carries it out, of a model that cannot be read."""
    plan = decide(await cluster.platform.observe(key), UNASKED)
    for complaint in plan.complaints:
        await cluster.platform.complain(key, complaint)
    return plan


def conditions(cluster: Cluster, name: str = "signals-7") -> dict[str, tuple[str, str]]:
    found = cluster.live(VERSIONS, name)["status"]["conditions"]
    return {each["type"]: (each["status"], each["reason"]) for each in found}


async def test_a_version_that_cannot_be_read_is_told_so_once_and_keeps_what_it_has(cluster: Cluster) -> None:
    serve(cluster)
    body = broken()
    ready = {"type": "Ready", "status": "True", "reason": "Promoted", "message": "", "observedGeneration": 1}
    ready["lastTransitionTime"] = "2026-11-21T09:00:00Z"
    body["status"] = {"state": "Live", "ofAnotherRelease": {"a": 1}, "conditions": [ready]}
    cluster.sees(VERSIONS, body)
    plan = await passes(cluster)
    assert (plan.route, plan.retire, plan.scale, plan.deploy) == (None, (), (), ())
    status = cluster.live(VERSIONS, "signals-7")["status"]
    assert (status["state"], status["reason"], status["ofAnotherRelease"]) == ("Live", "Invalid", {"a": 1})
    assert "spec.aFieldOfAnotherRelease: unknown field" in status["message"]
    told = conditions(cluster)
    assert told["Accepted"] == ("False", "Invalid")
    assert told["Stalled"] == ("True", "Invalid")
    assert told["Ready"] == ("True", "Promoted"), "it serves"
    assert (await passes(cluster)).changes_nothing


READY = {"type": "Ready", "status": "True", "reason": "Promoted", "lastTransitionTime": "2026-11-21T09:00:00Z"}
RECORDED: dict[str, Any] = {
    "state": "Live",
    "attempt": 3,
    "weight": {"desired": 100, "observed": 100, "ofAnotherRelease": 1},
    "control": {"promoteToken": "t1", "retryToken": "again-1"},
    "verdict": {"outcome": "StateOfAnotherRelease", "reason": "ReasonOfAnotherRelease"},
    "conditions": [{"type": "OfAnotherRelease", "status": "Perhaps"}, READY],
}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="words of another release"),
        pytest.param(
            {"history": [{"attempt": each, "outcome": "Aborted"} for each in range(6)]}, id="a longer history"
        ),
        pytest.param({"analysis": {"metrics": [{"name": f"m{each}"} for each in range(17)]}}, id="more metrics"),
        pytest.param({"state": "StateOfAnotherRelease", "attempt": "3rd"}, id="a state of another release"),
        pytest.param({"conditions": [{**READY, "reason": ""}], "attempt": -1}, id="it is Ready for no reason"),
    ],
)
async def test_a_complaint_changes_nothing_else_of_a_status_and_is_told_once(
    cluster: Cluster, more: dict[str, Any]
) -> None:
    before = RECORDED | more
    cluster.sees(VERSIONS, {**broken(), "status": before})
    await passes(cluster)
    after = cluster.live(VERSIONS, "signals-7")["status"]
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"reason", "message", "conditions"}
    kept = len(before["conditions"])
    assert after["conditions"][:kept] == before["conditions"]
    assert [(each["type"], each["status"]) for each in after["conditions"][kept:]] == [
        ("Accepted", "False"),
        ("Stalled", "True"),
    ]
    cluster.clock.passes(60)
    assert (await passes(cluster)).changes_nothing


async def test_a_new_version_that_cannot_be_read_ends_the_wait_of_its_pipeline(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, broken())
    assert KEY in cluster.dirty
    assert KEY in set(cluster.platform.keys())
    await passes(cluster)
    assert conditions(cluster)["Ready"] == ("False", "Invalid")
    assert cluster.live(VERSIONS, "signals-7")["status"]["state"] == "Rejected"


async def test_a_version_whose_model_cannot_be_read_touches_no_other_model(cluster: Cluster) -> None:
    body = broken()
    body["spec"]["model"] = 7
    cluster.sees(VERSIONS, body)
    assert cluster.dirty == [ModelKey("support", "signals-7")]
    await passes(cluster, ModelKey("support", "signals-7"))
    assert conditions(cluster)["Accepted"] == ("False", "Invalid")
    assert (await passes(cluster, ModelKey("support", "signals-7"))).changes_nothing


async def test_a_version_that_does_not_take_a_complaint_holds_up_nobody(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.sees(VERSIONS, broken())
    cluster.server.faults.append(Fault("PATCH", "modelversions", 422, "status is not as the CRD says"))
    await passes(cluster)
    assert "cannot be told that it cannot be read" in caplog.text
    (event,) = (raw for (kind, _, _), raw in cluster.server.objects.items() if kind == "api/v1/events")
    assert (event["reason"], event["involvedObject"]["name"]) == ("Rejected", "signals-7")
    assert "spec.aFieldOfAnotherRelease" in event["message"]
    before = len(cluster.server.requests)
    await passes(cluster)
    assert len(cluster.server.requests) == before, "it is not tried again until it is changed"


async def test_every_version_of_a_model_owns_what_runs_also_one_that_cannot_be_read(cluster: Cluster) -> None:
    cluster.sees(VERSIONS, broken())
    cluster.sees(VERSIONS, a_version("signals-8", 8, uid="u8"))
    assert dict(select(await cluster.snapshot()).owners) == {"signals-7": "u7", "signals-8": "u8"}


@pytest.mark.parametrize("how", ["watched", "listed"])
async def test_a_version_that_could_not_be_read_and_is_deleted_leaves_a_ghost(cluster: Cluster, how: str) -> None:
    serve(cluster)
    cluster.sees(VERSIONS, broken())
    if how == "watched":
        cluster.sees(VERSIONS, broken(), "DELETED")
    else:
        del cluster.server.objects["apis/turnout.dev/v1alpha1/modelversions", "support", "signals-7"]
        await cluster.platform.refresh()
    assert (await cluster.snapshot()).deployments[0].unread == ""


async def test_what_was_deleted_after_the_list_was_taken_stays_gone(cluster: Cluster) -> None:
    feed = cluster.platform.feed
    feed.observe(VERSIONS, "ADDED", at(a_version(), "20"))
    feed.observe(VERSIONS, "DELETED", at(a_version(), "50"))
    store = feed.cache.versions
    listed = read(VERSIONS, at(a_version(), "20"))
    assert isinstance(listed, ModelVersion)
    assert store.replace([listed], "40") == []  # the list is older than the deletion
    assert store.replace([], "60") == []
    assert not store._deleted  # no list can bring it back any more
    remade = read(VERSIONS, at(a_version(), "70", "new"))
    assert isinstance(remade, ModelVersion)
    assert store.put(remade)


async def test_a_list_reads_again_only_what_has_changed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        cluster.server.put(VERSIONS.path().strip("/"), a_version(f"signals-{number + 1}", number + 1))
    await cluster.platform.refresh()
    known = {version.name: version for version in (await cluster.snapshot()).versions}
    cluster.server.put(VERSIONS.path().strip("/"), a_version("signals-2", 2))
    names: list[str] = []

    def counted(resource: Resource, raw: dict[str, Any]) -> object:
        names.append(raw["metadata"]["name"])
        return read(resource, raw)

    monkeypatch.setattr("turnout.platform.kubernetes.feed.read", counted)
    await cluster.platform.refresh()
    assert names == ["signals-2"]
    after = {version.name: version for version in (await cluster.snapshot()).versions}
    assert after["signals-1"] is known["signals-1"]
    assert after["signals-2"] is not known["signals-2"]


def test_versions_hold_what_they_have_alike_only_once() -> None:
    status = {"conditions": [{"type": "Ready", "status": "True", "reason": "Live"}]}
    first, second = (read(VERSIONS, {**a_version(f"signals-{n}", n), "status": status}) for n in (1, 2))
    assert isinstance(first, ModelVersion)
    assert isinstance(second, ModelVersion)
    assert first.status.conditions[0] is second.status.conditions[0]
    third = read(VERSIONS, {**a_version(), "spec": {**a_version()["spec"], "scaling": {"minReplicas": 1}}})
    fourth = read(VERSIONS, {**a_version(), "spec": {**a_version()["spec"], "scaling": {"minReplicas": 1}}})
    assert isinstance(third, ModelVersion)
    assert isinstance(fourth, ModelVersion)
    assert third.spec.scaling is fourth.spec.scaling
    assert third.spec.scaling.min_replicas == 1


@pytest.mark.parametrize(
    "analysis", [{}, {"alpha": "0.001", "latency": {"quantiles": ["0.9"]}}], ids=["default", "own"]
)
def test_an_analysis_is_the_same_one_however_often_the_status_is_written(analysis: dict[str, Any]) -> None:
    """So the judge need not ask anew at each poll what it means."""
    spec = {**a_version()["spec"], **({"analysis": analysis} if analysis else {})}
    seen = [read(VERSIONS, {**a_version(), "spec": spec, "status": {"attempt": n}}) for n in (1, 2)]
    first, second = (version.spec.analysis for version in seen if isinstance(version, ModelVersion))
    assert first is second


def test_a_block_that_cannot_be_read_is_no_worse_for_being_shared() -> None:
    plan = {"hash": "h", "steps": "many"}
    version = read(VERSIONS, {**a_version(), "status": {"state": "Live", "plan": plan}})
    assert isinstance(version, ModelVersion)
    assert version.status.plan is None

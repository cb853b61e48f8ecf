"""A cluster in memory and the engine on it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.platform.kubernetes.apiserver import ApiServer, Object
from turnout.platform.kubernetes import resources
from turnout.platform.kubernetes.connection import Way, connect
from turnout.platform.kubernetes.engine import KubernetesPlatform
from turnout.platform.kubernetes.resources import Resource
from turnout.rollout.rendering import HASH_LABEL, MODEL_LABEL, VERSION_LABEL
from turnout.rollout.snapshot import ModelKey, Snapshot

KEY = ModelKey("support", "signals")
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Cluster:
    """`server` is the truth, `platform` the engine; `sees` is a watch event from the one to the other."""

    server: ApiServer
    platform: KubernetesPlatform
    clock: Clock
    dirty: list[ModelKey] = field(default_factory=list)

    def sees(self, resource: Resource, body: Object, event: str = "MODIFIED", manager: str = "") -> Object:
        raw = self.server.put(resource.path().strip("/"), body, manager)
        if event == "DELETED":
            del self.server.objects[resource.path().strip("/"), raw["metadata"]["namespace"], raw["metadata"]["name"]]
        self.platform.feed.observe(resource, event, raw)
        return raw

    def live(self, resource: Resource, name: str) -> Object:
        return self.server.get(resource.path().strip("/"), "support", name)

    async def snapshot(self) -> Snapshot:
        return await self.platform.observe(KEY)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    server, clock = ApiServer(), Clock()
    dirty: list[ModelKey] = []
    running = TestServer(server.application())
    await running.start_server()
    async with connect(Way(f"http://127.0.0.1:{running.port}")) as calls:
        images = {"sklearn": "example.com/sklearn:1"}
        platform = KubernetesPlatform(calls, dirty.append, images=images, now=clock)
        yield Cluster(server, platform, clock, dirty)
        await platform.close()
    await running.close()


def labels(version: int = 7, model: str = "signals") -> dict[str, str]:
    return {MODEL_LABEL: model, VERSION_LABEL: str(version), HASH_LABEL: "5f2c9a01"}


def a_version(name: str = "signals-7", version: int = 7, model: str = "signals", **fields: Any) -> Object:
    predictor = {"runtime": "custom", "image": "example.com/own:1"}
    return {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": name, "namespace": "support", **fields},
        "spec": {"model": model, "version": version, "predictor": predictor},
    }


def a_service(name: str = "signals-7", version: int = 7, **metadata: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "support", "labels": labels(version), **metadata}}


def a_revision(version: int = 7, ordinal: int = 1, **annotations: str) -> Object:
    service = f"signals-{version}"
    generation = {"serving.knative.dev/configurationGeneration": str(ordinal)}
    marks = {**labels(version), "serving.kserve.io/inferenceservice": service, **generation}
    metadata = {"name": f"{service}-predictor-{ordinal:05}", "namespace": "support", "labels": marks}
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": {**metadata, "annotations": annotations}, "status": {"conditions": conditions}}


def an_autoscaler(wanted: int | None, version: int = 7) -> Object:
    metadata = {"name": f"signals-{version}-predictor-00001", "namespace": "support", "labels": labels(version)}
    return {"metadata": metadata, "status": {} if wanted is None else {"desiredScale": wanted}}


def a_pod(
    name: str = "p1", *, ready: bool = True, version: int = 7, container: Object | None = None, **more: Any
) -> Object:
    """A pod of the version's first revision; `more` goes into its status, but deletionTimestamp and conditions."""
    revision = {"serving.knative.dev/revision": f"signals-{version}-predictor-00001"}
    metadata = {"name": name, "namespace": "support", "labels": {**labels(version), **revision}}
    metadata["creationTimestamp"] = "2026-11-21T09:00:00Z"
    if "deletionTimestamp" in more:
        metadata["deletionTimestamp"] = more.pop("deletionTimestamp")
    at = more.pop("readyAt", "2026-11-21T09:00:01Z")
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": at}, *more.pop("conditions", [])]
    status = {"conditions": conditions, "startTime": "2026-11-21T09:00:00Z", "phase": "Running"}
    model = {"name": "kserve-container", "ready": ready, **(container or {})}
    return {"metadata": metadata, "status": {**status, "containerStatuses": [model], **more}}


def ended(at: str = "10:00:05", code: int = 1, message: str = "", identity: str = "c1", **more: Any) -> Object:
    times = {"finishedAt": f"2026-11-21T{at}Z", "exitCode": code}
    return {"terminated": {**times, "message": message, "containerID": identity, **more}}


def a_route(split: dict[str, int], manager: str = "turnout", generation: int = 1, **status: Any) -> Object:
    traffic = [{"revisionName": f"{name}-predictor-00001", "percent": percent} for name, percent in split.items()]
    holder = {"manager": manager, "time": "2026-11-21T10:00:00Z", "fieldsV1": {"f:spec": {"f:traffic": {}}}}
    managed = [holder] if manager == "turnout" else [{"manager": "turnout"}, holder]
    metadata = {"name": "signals", "namespace": "support", "labels": {MODEL_LABEL: "signals"}}
    conditions = [{"type": "Ready", "status": "True"}]
    reported = {"traffic": traffic, "observedGeneration": generation, "conditions": conditions}
    return {
        "metadata": {**metadata, "generation": generation, "managedFields": managed},
        "spec": {"traffic": traffic},
        "status": {**reported, "url": "http://signals.support.example.com", **status},
    }


Serve = Callable[..., None]


def serve(cluster: Cluster, *, version: int = 7, wanted: int = 1) -> None:
    """A version that is deployed, with one ready pod."""
    cluster.sees(resources.INFERENCE_SERVICES, a_service(f"signals-{version}", version), manager="turnout")
    cluster.sees(resources.REVISIONS, a_revision(version))
    cluster.sees(resources.AUTOSCALERS, an_autoscaler(wanted, version))
    cluster.sees(resources.PODS, a_pod(f"p{version}", version=version))

"""Who stands in for KServe and Knative where no pod runs: writes the statuses that they would write, and nothing else.

Every InferenceService gets its Revision at once, every Revision as many ready pods as its floor asks for (API objects
that no node runs), every Route the split that it asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

Object = dict[str, Any]

VERSIONS = "/apis/turnout.dev/v1alpha1/namespaces/{}/modelversions"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
REVISIONS = "/apis/serving.knative.dev/v1/namespaces/{}/revisions"
ROUTES = "/apis/serving.knative.dev/v1/namespaces/{}/routes"
AUTOSCALERS = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{}/podautoscalers"
PODS = "/api/v1/namespaces/{}/pods"
MERGE = "application/merge-patch+json"
MIN_SCALE = "autoscaling.knative.dev/min-scale"


def utc() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ready(*kinds: str) -> list[Object]:
    return [{"type": kind, "status": "True", "lastTransitionTime": utc()} for kind in kinds]


class Api:
    """Raw requests with a certificate of the server's own authority."""

    def __init__(self, session: aiohttp.ClientSession, server: str, namespace: str) -> None:
        self._session = session
        self._server = server
        self._namespace = namespace

    async def __call__(self, method: str, path: str, body: Any = None, *, kind: str = MERGE, **query: str) -> Object:
        content = {"Content-Type": kind if method == "PATCH" else "application/json"}
        url = self._server + path.format(self._namespace)
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, url, data=data, headers=content, params=query) as answer:
            text = await answer.text()
            if answer.status >= 400 and answer.status not in (404, 409):
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
            found: Object = json.loads(text)
            return found

    async def watch(self, path: str) -> AsyncIterator[Object]:
        """Every object as it is, then each that appears or changes."""
        url = self._server + path.format(self._namespace)
        forever = aiohttp.ClientTimeout(total=None)
        async with self._session.get(url, params={"watch": "true"}, timeout=forever) as answer:
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]


@contextlib.asynccontextmanager
async def api(server: str, pki: Path, namespace: str, who: str = "component") -> AsyncIterator[Api]:
    """As one of the cluster's own parts, of whom its audit log says nothing, or as its "admin"."""
    trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    trust.load_cert_chain(pki / f"{who}.crt", pki / f"{who}.key")
    connector = aiohttp.TCPConnector(ssl=trust, limit=40)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**22) as session:
        yield Api(session, server, namespace)


def revision_of(service: Object) -> Object:
    """What KServe and Knative make of an InferenceService, as far as anybody reads it."""
    name, predictor = service["metadata"]["name"], service["spec"]["predictor"]
    marks = {"serving.kserve.io/inferenceservice": name, "serving.knative.dev/configurationGeneration": "1"}
    metadata = {
        "name": f"{name}-predictor-00001",
        "labels": {**predictor["labels"], **marks, "serving.knative.dev/service": f"{name}-predictor"},
        "annotations": dict(predictor["annotations"]),
    }
    container = {key: predictor["containers"][0][key] for key in ("name", "image", "args", "env")}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": metadata,
        "spec": {"containers": [container], "timeoutSeconds": predictor["timeout"]},
    }


def autoscaler_of(revision: Object) -> Object:
    metadata = {"name": revision["metadata"]["name"], "labels": revision["metadata"]["labels"]}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"] + "-deployment"}
    return {
        "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
        "kind": "PodAutoscaler",
        "metadata": metadata,
        "spec": {"scaleTargetRef": target, "protocolType": "http1"},
    }


def scaled(revision: str, pods: int) -> Object:
    """A PodAutoscaler's status."""
    names = {"serviceName": revision, "metricsServiceName": f"{revision}-private"}
    return {"status": {**names, "desiredScale": pods, "actualScale": pods}}


def pod_of(revision: Object, number: int) -> Object:
    name = revision["metadata"]["name"]
    labels = {**revision["metadata"]["labels"], "serving.knative.dev/revision": name}
    container = {"name": "kserve-container", "image": "example.com/none:1"}
    spec = {"containers": [container], "automountServiceAccountToken": False}
    metadata = {"name": f"{name}-{number}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pod_status() -> Object:
    state = {"running": {"startedAt": utc()}}
    container = {"name": "kserve-container", "ready": True, "restartCount": 0, "state": state}
    more = {"image": "example.com/none:1", "imageID": "", "started": True}
    conditions = ready("Ready", "ContainersReady")
    return {"status": {"phase": "Running", "startTime": utc(), "conditions": conditions,
                       "containerStatuses": [{**container, **more}]}}  # fmt: skip


def route_status(route: Object) -> Object:
    """All three together: the generation seen, Ready, and the split as it was asked for."""
    metadata = route["metadata"]
    return {"status": {
        "observedGeneration": metadata["generation"],
        "conditions": ready("Ready", "AllTrafficAssigned", "IngressReady"),
        "traffic": route["spec"]["traffic"],
        "url": f"http://{metadata['name']}.{metadata['namespace']}.example.com",
    }}  # fmt: skip


class Serving:
    """Follows three watches for as long as it runs."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pods: dict[str, int] = {}

    async def run(self) -> None:
        followers: tuple[tuple[str, Callable[[Object], Coroutine[Any, Any, None]]], ...] = (
            (SERVICES, self._service),
            (REVISIONS, self.revision),
            (ROUTES, self._route),
        )
        async with asyncio.TaskGroup() as tasks:
            for path, act in followers:
                tasks.create_task(self._follow(path, act))

    async def _follow(self, path: str, act: Callable[[Object], Coroutine[Any, Any, None]]) -> None:
        async for each in self._api.watch(path):
            await act(each)

    async def _service(self, service: Object) -> None:
        if service.get("status", {}).get("conditions"):
            return
        await self._api("POST", REVISIONS, revision_of(service))
        told = {"status": {"conditions": ready("PredictorReady", "PredictorRouteReady", "Ready")}}
        await self._api("PATCH", f"{SERVICES}/{service['metadata']['name']}/status", told)

    async def revision(self, revision: Object) -> None:
        metadata = revision["metadata"]
        name, floor = metadata["name"], (metadata.get("annotations") or {}).get(MIN_SCALE)
        if not revision.get("status", {}).get("conditions"):
            await self._api("POST", AUTOSCALERS, autoscaler_of(revision))
            told = {"status": {"conditions": ready("Ready", "ContainerHealthy", "ResourcesAvailable")}}
            await self._api("PATCH", f"{REVISIONS}/{name}/status", told)
        wanted = 1 if floor is None else int(floor)  # the initial scale is one
        before = self._pods.get(name, -1)
        if wanted == before:
            return
        self._pods[name] = wanted
        for number in range(max(before, 0), wanted):
            await self._api("POST", PODS, pod_of(revision, number))
            await self._api(
                "PATCH", f"{PODS}/{name}-{number}/status", pod_status(), kind="application/merge-patch+json"
            )
        await self._api("PATCH", f"{AUTOSCALERS}/{name}/status", scaled(name, wanted))
        for number in range(wanted, before):
            await self._api("DELETE", f"{PODS}/{name}-{number}", {"gracePeriodSeconds": 0})

    async def _route(self, route: Object) -> None:
        status = route.get("status", {})
        if status.get("observedGeneration") != route["metadata"]["generation"]:
            await self._api("PATCH", f"{ROUTES}/{route['metadata']['name']}/status", route_status(route))


@contextlib.asynccontextmanager
async def predictors() -> AsyncIterator[str]:
    """Where every version answers its warm-up: a contract, and no examples."""

    async def metadata(request: web.Request) -> web.Response:
        tensor = {"name": "x", "datatype": "FP64", "shape": [-1, 1]}
        return web.json_response({"name": request.match_info["model"], "inputs": [tensor], "outputs": [tensor]})

    app = web.Application()
    app.add_routes([web.get("/v2/models/{model}", metadata)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield "http://{}:{}".format(*runner.addresses[0][:2])
    await runner.cleanup()

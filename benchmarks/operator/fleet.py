"""Thousands of ModelVersions at a real API server: how long the operator takes to read them, and what it needs.

A fleet at rest: models of five versions each, one of them live at zero pods, two in its rollback window, two never
deployed. Kubernetes is real (etcd and API server on this machine); KServe and Knative are played by `serving`. The
first model is settled by the operator itself; the others are its copies, with their own names, uids and hashes. Then
a hundred models roll out a sixth version, and others get another floor: how soon is it written? The operator runs as
it does in its pod: with an account and without a kubeconfig. `make bench-operator.fleet`, QUICK=1, VERSIONS=100,1000.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import os
import signal
import statistics
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmarks.cluster  # noqa: F401 – finds the harness
from benchmarks.operator.serving import (
    AUTOSCALERS,
    REVISIONS,
    ROUTES,
    SERVICES,
    VERSIONS,
    Api,
    Object,
    Serving,
    api,
    autoscaler_of,
    predictors,
    ready,
    revision_of,
    route_status,
    scaled,
)
from benchmarks.report import publish, quick, table
from harness import Cluster, releases
from harness.bare import CONTROLLERS, api_server
from harness.install import apply
from harness.shell import until
from turnout.api import crd
from turnout.api.version import ModelVersion
from turnout.rollout import rendering
from turnout.rollout.identity import spec_hash
from turnout.rollout.plan import Deploy, RouteChange
from turnout.rollout.snapshot import ModelKey, Share

NAMESPACE = "fleet"
ACCOUNT = "turnout"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
AS_IN_A_POD = """
import sys
from pathlib import Path
from turnout.platform.kubernetes import connection
connection.ACCOUNT = Path(sys.argv.pop(1))
from turnout.main import main
from turnout.settings import parse
sys.exit(main(parse()))
"""
FIRST = "m00000"
PER_MODEL = 5
IMAGE = "example.com/predictor:1"
LIVE, KEPT = 5, (3, 4, 5)  # of the versions of each model
AT_ONCE = 24
GROWTH = "100,1000,5000"  # VERSIONS of the environment names others; the rollouts run at the last
ROLLOUTS = 100
REST_SECONDS = 60
CHANGES = 200
REST_OF_CHANGES = 10.0  # seconds; what is not written by then counts as not handled
PRIME_PATIENCE = 180.0


def name_of(number: int) -> str:
    return f"m{number:05}"


def version(model: str, number: int, **spec: Any) -> Object:
    predictor = {"runtime": "custom", "image": IMAGE, "settings": {"threshold": 0.5}}
    return {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": f"{model}-{number}", "namespace": NAMESPACE},
        "spec": {"model": model, "version": number, "predictor": predictor, **spec},
    }


@dataclass
class Operator:
    """The operator's process; `log` is its standard error."""

    process: asyncio.subprocess.Process
    port: int
    began: float

    def page(self, name: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{name}", timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    async def until(self, said: str) -> float:
        """Seconds from its start until /readyz says so."""
        while said not in await asyncio.to_thread(self.page, "readyz"):
            if self.process.returncode is not None or time.time() - self.began > PRIME_PATIENCE:
                raise RuntimeError(f"the operator did not come to {said!r}")
            await asyncio.sleep(0.02)
        return time.time() - self.began

    async def until_idle(self) -> None:
        while "turnout_queue_depth 0.0" not in await asyncio.to_thread(self.page, "metrics"):  # noqa: ASYNC110 – a page
            await asyncio.sleep(0.1)

    def processor_seconds(self) -> float:
        """What it has used of the processor so far: less of a matter of who else is busy than a clock."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def mebibytes(self, field: str) -> float:
        """VmRSS or VmHWM of its process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


@contextlib.asynccontextmanager
async def operator(cluster: Cluster, gateway: str, port: int = 18081) -> AsyncIterator[Operator]:
    account = cluster.layout.state / "account"
    flags = f"--health-port={port}", f"--version-gateway={gateway}"
    command = (sys.executable, "-c", AS_IN_A_POD, str(account), *flags)
    server = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.layout.api_port)}
    environment = {**os.environ, **server}
    began = time.time()
    log = (cluster.layout.state / "operator.log").open("ab")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
    try:
        yield Operator(process, port, began)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
        log.close()


@contextlib.contextmanager
def empty_cluster() -> Iterator[Cluster]:
    """An API server that knows our kind and those of KServe and Knative."""
    with api_server(*CONTROLLERS, "serviceaccount-controller") as cluster:
        apply(cluster.layout, releases.read(cluster.layout).definitions)
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=crd.render())
        until("definitions established", lambda: established(cluster))
        cluster.kubectl("create", "namespace", NAMESPACE)
        make_account(cluster)
        yield cluster


def make_account(cluster: Cluster) -> None:
    """What the kubelet would give the operator's pod."""
    cluster.kubectl("create", "serviceaccount", ACCOUNT, "-n", NAMESPACE)
    role = ("--clusterrole=cluster-admin", f"--serviceaccount={NAMESPACE}:{ACCOUNT}")
    cluster.kubectl("create", "clusterrolebinding", ACCOUNT, *role)
    folder = cluster.layout.state / "account"
    folder.mkdir()
    (folder / "namespace").write_text(NAMESPACE)
    (folder / "ca.crt").write_bytes((cluster.layout.pki / "ca.crt").read_bytes())
    (folder / "token").write_text(cluster.kubectl("create", "token", ACCOUNT, "-n", NAMESPACE, "--duration=24h"))


def established(cluster: Cluster) -> bool:
    told = ((each.get("status") or {}).get("conditions") or [] for each in cluster.get("crd")["items"])
    return all(("Established", "True") in {(one["type"], one["status"]) for one in conditions} for conditions in told)


def writes(cluster: Cluster, mark: int) -> list[Any]:
    """What the operator wrote, its Lease left out."""
    return list(cluster.audit.writes(USER, mark))


def longest_rest_of_the_lease(cluster: Cluster, mark: int) -> float:
    """Seconds between two renewals; after 6 without one the leader gives up."""
    renewals = sorted(e.at for e in cluster.audit.writes(USER, mark, leases=True) if e.resource == "leases")
    return max((after - before).total_seconds() for before, after in itertools.pairwise(renewals))


class Fleet:
    """Grows by copies of its first model."""

    def __init__(self, server: Api) -> None:
        self._api = server
        self.serving = Serving(server)
        self._template: dict[str, list[Object]] = {}
        self.models = 0

    async def first(self, cluster: Cluster, gateway: str) -> None:
        """One model that the operator finds in traffic and without a status: it settles it."""
        made = [await self._api("POST", VERSIONS, version(FIRST, number)) for number in range(1, PER_MODEL + 1)]
        owners = tuple((each["metadata"]["name"], each["metadata"]["uid"]) for each in made)
        for raw in made[KEPT[0] - 1 :]:
            parsed = ModelVersion.model_validate(raw)
            deploy = Deploy(parsed, IMAGE, spec_hash(parsed), owners)
            await self._serve(rendering.inference_service(NAMESPACE, deploy))
        split = (Share(f"{FIRST}-{LIVE}-predictor-00001", 100),)
        await self._route(rendering.route(ModelKey(NAMESPACE, FIRST), RouteChange(split, owners)))
        mark = cluster.audit.mark()
        async with operator(cluster, gateway) as process:
            await process.until("leader")
            quiet = 0
            while quiet < 5:
                before = len(writes(cluster, mark))
                await asyncio.sleep(1)
                quiet = quiet + 1 if len(writes(cluster, mark)) == before else 0
        for path in (VERSIONS, SERVICES, REVISIONS, ROUTES):
            self._template[path] = (await self._api("GET", path))["items"]
        states = [each.get("status", {}).get("state") for each in self._template[VERSIONS]]
        print(f"the first model has settled: {', '.join(map(str, states))}", file=sys.stderr, flush=True)
        self.models = 1

    async def grow(self, models: int) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                await self._copy(name_of(number))

        await asyncio.gather(*(one(number) for number in range(self.models, models)))
        self.models = models

    async def _copy(self, model: str) -> None:
        uids: dict[str, str] = {}
        hashes: dict[str, str] = {}
        for raw in self._template[VERSIONS]:
            body = _renamed(raw, model)
            made = await self._api("POST", VERSIONS, {**body, "status": None})
            uids[raw["metadata"]["uid"]] = made["metadata"]["uid"]
            hashes[spec_hash(ModelVersion.model_validate(raw))] = spec_hash(ModelVersion.model_validate(made))
        for raw in self._template[SERVICES]:
            await self._serve(_replaced(_renamed(raw, model), {**uids, **hashes}), uids)
        for raw in self._template[REVISIONS]:  # the floors as the operator has set them
            change = {"metadata": {"annotations": raw["metadata"]["annotations"]}}
            found = await self._api("PATCH", f"{REVISIONS}/{_renamed(raw, model)['metadata']['name']}", change)
            uids[raw["metadata"]["uid"]] = found["metadata"]["uid"]
        for raw in self._template[ROUTES]:
            await self._route(_replaced(_renamed(raw, model), {**uids, **hashes}))
        for raw in self._template[VERSIONS]:
            body = _replaced(_renamed(raw, model), {**uids, **hashes})
            status = {"status": body["status"]}
            await self._api("PATCH", f"{VERSIONS}/{body['metadata']['name']}/status", status, fieldManager="turnout")

    async def _serve(self, service: Object, uids: dict[str, str] | None = None) -> None:
        """An InferenceService, its Revision at zero pods, and its autoscaler."""
        made = await self._api("POST", SERVICES, service, fieldManager="turnout")
        revision = revision_of(made)
        await self._api("POST", REVISIONS, revision)
        await self._api("POST", AUTOSCALERS, autoscaler_of(revision))
        name = revision["metadata"]["name"]
        told = {"status": {"conditions": ready("Ready", "ContainerHealthy", "ResourcesAvailable")}}
        await self._api("PATCH", f"{REVISIONS}/{name}/status", told)
        await self._api("PATCH", f"{AUTOSCALERS}/{name}/status", scaled(name, 0))
        told = {"status": {"conditions": ready("PredictorReady", "PredictorRouteReady", "Ready")}}
        await self._api("PATCH", f"{SERVICES}/{service['metadata']['name']}/status", told)

    async def _route(self, route: Object) -> None:
        made = await self._api("POST", ROUTES, route, fieldManager="turnout")
        await self._api("PATCH", f"{ROUTES}/{route['metadata']['name']}/status", route_status(made))

    async def roll_out(self, count: int) -> None:
        """A sixth version of the first models, each in a rollout of its own for the next minutes."""
        weights = [
            step for weight in range(5, 100, 10) for step in ({"setWeight": weight}, {"pause": {"duration": "20s"}})
        ]
        for number in range(count):
            body = version(name_of(number), PER_MODEL + 1, rollout={"steps": weights})
            await self._api("POST", VERSIONS, body)

    async def rolling(self) -> int:
        """How many candidates have a share now."""
        found = (await self._api("GET", VERSIONS))["items"]
        return sum(each.get("status", {}).get("role") == "Candidate" and
                   each["status"].get("weight", {}).get("observed", 0) > 0 for each in found)  # fmt: skip


async def change(person: Api, number: int) -> tuple[str, float]:
    """Another floor for the live version of a model: the revision that must follow, and when it was asked."""
    name = f"{name_of(number)}-{LIVE}"
    began = time.time()
    await person("PATCH", f"{VERSIONS}/{name}", {"spec": {"scaling": {"minReplicas": 1}}})
    return f"{name}-predictor-00001", began


def _renamed(raw: Object, model: str) -> Object:
    """A copy for another model, without what the API server fills in."""
    copied: Object = json.loads(json.dumps(raw).replace(FIRST, model))
    kept = ("name", "namespace", "labels", "annotations", "ownerReferences")
    copied["metadata"] = {key: value for key, value in copied["metadata"].items() if key in kept}
    return copied


def _replaced(body: Object, words: dict[str, str]) -> Object:
    text = json.dumps(body)
    for old, new in words.items():
        text = text.replace(old, new)
    copied: Object = json.loads(text)
    return copied


async def at_rest(cluster: Cluster, gateway: str, versions: int, seconds: float) -> dict[str, str | float | int]:
    """One start of the operator over a settled fleet, and some time with nothing to do."""
    mark = cluster.audit.mark()
    async with operator(cluster, gateway) as process:
        primed = await process.until("ok")
        leads = await process.until("leader")
        await process.until_idle()
        looked = time.time() - process.began
        await asyncio.sleep(seconds)
        written = writes(cluster, mark)
        for event in written[:5]:
            print(f"written at rest: {event}", file=sys.stderr)
        return {
            "versions": versions,
            "start to primed s": primed,
            "to leading s": leads,
            "to all looked at s": looked,
            "written": len(written),
            "CPU s": process.processor_seconds(),
            "RSS MiB": process.mebibytes("VmRSS"),
            "peak MiB": process.mebibytes("VmHWM"),
        }


def handled(cluster: Cluster, mark: int, asked: Mapping[str, float]) -> tuple[list[float], list[float]]:
    """Milliseconds until the operator's own write came in, sorted: from when a change was accepted, and from when it
    was asked for. What was not written counts as long as was waited for it.
    """
    accepted, written = {}, {}
    for event in cluster.audit.since(mark):
        if event.verb == "patch" and event.resource == "modelversions" and not event.subresource:
            accepted[f"{event.name}-predictor-00001"] = event.answered.timestamp()
        elif event.user == USER and event.resource == "revisions" and event.is_write:
            written.setdefault(event.name, event.at.timestamp())
    never = [REST_OF_CHANGES * 1000] * len(asked.keys() - written)
    done = asked.keys() & written
    return (
        sorted([*((written[name] - accepted[name]) * 1000 for name in done), *never]),
        sorted([*((written[name] - asked[name]) * 1000 for name in done), *never]),
    )


def p99(ordered: Sequence[float]) -> float:
    return ordered[math.ceil(0.99 * len(ordered)) - 1]


async def under_way(cluster: Cluster, fleet: Fleet, gateway: str) -> dict[str, str | float | int]:
    """Changes of floors, one after the other, while rollouts run that began together: so do all their steps."""
    serving = asyncio.create_task(fleet.serving.run())
    server = api(cluster.layout.api_server, cluster.layout.pki, NAMESPACE, "admin")
    async with server as person, operator(cluster, gateway) as process:
        await process.until("leader")
        rollouts = min(ROLLOUTS, fleet.models // 2)
        await fleet.roll_out(rollouts)
        for _ in range(120):
            if (rolling := await fleet.rolling()) >= rollouts * 0.95:
                break
            await asyncio.sleep(1)
        mark, used, lasted = cluster.audit.mark(), process.processor_seconds(), time.time()
        asked: dict[str, float] = {}
        for number in range(rollouts, min(fleet.models, rollouts + CHANGES)):
            revision, moment = await change(person, number)
            asked[revision] = moment
            await asyncio.sleep(0.1)
        await asyncio.sleep(REST_OF_CHANGES)
        accepted, requested = handled(cluster, mark, asked)
        rest = longest_rest_of_the_lease(cluster, mark)
        used, lasted = process.processor_seconds() - used, time.time() - lasted
        running = await fleet.rolling()
        memory = process.mebibytes("VmRSS")
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
        await serving
    return {
        "rollouts before": rolling,
        "after": running,
        "changes": len(asked),
        "not handled": sum(took >= REST_OF_CHANGES * 1000 for took in accepted),
        "median ms": statistics.median(accepted),
        "p99 ms": p99(accepted),
        "slowest ms": accepted[-1],
        "with the request: median ms": statistics.median(requested),
        "and p99 ms": p99(requested),
        "lease s": rest,
        "CPU s/s": used / lasted,
        "RSS MiB": memory,
    }


async def measure() -> tuple[list[dict[str, str | float | int]], list[dict[str, str | float | int]]]:
    sizes = [int(size) for size in os.environ.get("VERSIONS", "100,500" if quick() else GROWTH).split(",")]
    with empty_cluster() as cluster:
        layout = cluster.layout
        async with api(layout.api_server, layout.pki, NAMESPACE) as server, predictors() as gateway:
            fleet = Fleet(server)
            await fleet.first(cluster, gateway)
            rows, busy = [], []
            for versions in sizes:
                began = time.time()
                await fleet.grow(versions // PER_MODEL)
                print(f"{versions} versions written in {time.time() - began:.0f} s", file=sys.stderr, flush=True)
                rows.append(await at_rest(cluster, gateway, versions, 10 if quick() else REST_SECONDS))
                print(rows[-1], file=sys.stderr, flush=True)
            busy.append(await under_way(cluster, fleet, gateway))
            return rows, busy


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the API server must not outlive its benchmark
    rows, busy = asyncio.run(measure())
    publish("fleet", rows, under_way=busy)
    print(table(busy))


if __name__ == "__main__":
    main()

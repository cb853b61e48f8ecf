"""The operator's three pages and its own numbers."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client.parser import text_string_to_metric_families

from turnout.api.reasons import State
from turnout.api.status import ReplicasStatus, Status, WeightStatus
from turnout.api.version import ModelVersion
from turnout.controller.election import Election
from turnout.controller.health import application
from turnout.controller.metrics import Metrics
from turnout.controller.queue import Queue
from turnout.platform.lease import Lease
from turnout.rollout.plan import Plan, RouteChange
from turnout.rollout.snapshot import ModelKey, Share, Snapshot

KEY = ModelKey("support", "signals")
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def a_version(number: int, state: State, weight: int = 0) -> ModelVersion:
    raw = {
        "metadata": {"name": f"signals-{number}", "namespace": "support"},
        "spec": {"model": "signals", "version": number, "predictor": {"runtime": "custom", "image": "i"}},
    }
    status = Status(state=state, weight=WeightStatus(observed=weight), replicas=ReplicasStatus(ready=2))
    return ModelVersion.model_validate(raw).model_copy(update={"status": status})


class FreeLease:
    """Nobody else wants it; or somebody holds it and lives."""

    def __init__(self, holder: str = "") -> None:
        self.lease = Lease(holder, 8, 1) if holder else None

    async def read(self) -> Lease | None:
        alive = str(asyncio.get_running_loop().time())
        return replace(self.lease, renewed=alive) if self.lease else None

    async def write(self, lease: Lease, onto: Lease | None) -> Lease:
        self.lease = lease
        return lease


class Pages:
    def __init__(self, holder: str = "") -> None:
        clock = asyncio.get_running_loop().time
        self.queue = Queue(clock)
        self.election = Election(FreeLease(holder), "me", clock=clock)
        self.metrics = Metrics(self.queue, lambda: self.election.leads)
        self.lacking = ""
        self._app = application(self.queue, self.metrics, self.election, lambda: self.lacking)

    async def lead(self) -> None:
        await self.election.acquire()
        self.holding = asyncio.create_task(self.election.hold())

    async def get(self, path: str) -> tuple[int, str]:
        request = make_mocked_request("GET", path, app=self._app)
        match = await self._app.router.resolve(request)
        response = await match.handler(request)
        return response.status, getattr(response, "body", b"").decode()  # type: ignore[union-attr]


async def test_alive_means_that_somebody_takes_what_is_due() -> None:
    pages = Pages()
    await pages.lead()
    assert (await pages.get("/livez"))[0] == 200
    pages.queue.add(KEY)
    await asyncio.sleep(170)
    assert await pages.get("/livez") == (200, "ok: 1 due, the first for 170.0 s\n")
    await asyncio.sleep(20)
    assert await pages.get("/livez") == (503, "no worker has taken a due model for 190 s\n")
    await pages.queue.take()
    assert (await pages.get("/livez"))[0] == 200


async def test_ready_means_that_nothing_lacks() -> None:
    pages = Pages()
    pages.lacking = "the first lists have not been read"
    assert await pages.get("/readyz") == (503, "the first lists have not been read\n")
    pages.lacking = ""
    assert await pages.get("/readyz") == (200, "ok: standby, nobody leads\n")
    await pages.lead()
    assert await pages.get("/readyz") == (200, "ok: leader\n")
    assert "turnout_operator_leader 1.0" in (await pages.get("/metrics"))[1]


async def test_a_standby_is_ready_and_alive_however_long_models_are_due() -> None:
    pages = Pages(holder="other")
    waiting = asyncio.create_task(pages.election.acquire())
    pages.queue.add(KEY)
    for _ in range(100):
        await asyncio.sleep(7)
        assert await pages.get("/livez") == (200, "ok: standby\n")
        assert await pages.get("/readyz") == (200, "ok: standby, other leads\n")
        assert "turnout_operator_leader 0.0" in (await pages.get("/metrics"))[1]
    waiting.cancel()


async def test_a_standby_that_asks_nobody_any_more_is_not_alive() -> None:
    pages = Pages(holder="other")
    await asyncio.sleep(61)
    assert await pages.get("/livez") == (503, "nobody has asked for the lease for 61 s\n")
    pages.lacking = "the first lists have not been read"
    assert (await pages.get("/livez"))[0] == 200, "it asks when it has read them"


async def test_numbers_follow_the_versions_and_go_with_them() -> None:
    pages = Pages()
    meter, versions = pages.metrics, (a_version(6, State.Live, 90), a_version(7, State.Progressing, 10))
    change = RouteChange((Share("signals-6-predictor-00001", 100),))
    meter.looked(Snapshot(KEY, NOW, versions), Plan(route=change))
    meter.passed(KEY, 0.02, "ok")
    _, text = await pages.get("/metrics")
    assert 'turnout_version_weight{model="signals",namespace="support",version="7"} 10.0' in text
    assert 'turnout_version_ready_pods{model="signals",namespace="support",version="6"} 2.0' in text
    assert 'turnout_version_state{model="signals",namespace="support",state="Progressing",version="7"} 1.0' in text
    assert 'turnout_split_writes_total{model="signals",namespace="support"} 1.0' in text
    assert 'turnout_reconciles_total{outcome="ok"} 1.0' in text
    recorded = Plan(record={"signals-6": Status(state=State.Standby)})
    meter.looked(Snapshot(KEY, NOW, versions[:1]), recorded)
    _, text = await pages.get("/metrics")
    assert 'version="7"' not in text
    assert 'state="Standby",version="6"} 1.0' in text
    assert 'state="Live"' not in text
    meter.gone(KEY)
    meter.gone(KEY)
    _, text = await pages.get("/metrics")
    assert "signals" not in text


@pytest.mark.parametrize("due", [0, 3])
async def test_the_queues_depth_is_read_when_asked_for(due: int) -> None:
    pages = Pages()
    for number in range(due):
        pages.queue.add(ModelKey("support", f"model-{number}"))
    _, text = await pages.get("/metrics")
    assert f"turnout_queue_depth {float(due)}" in text


def test_the_install_page_has_each_of_the_operators_metrics_with_its_labels() -> None:
    """What is there only while a model is has its labels from one."""
    metrics = Metrics(Queue(lambda: 0.0), lambda: True)
    change = RouteChange((Share("signals-6-predictor-00001", 100),))
    metrics.looked(Snapshot(KEY, NOW, (a_version(6, State.Live, 100),)), Plan(route=change))
    metrics.passed(KEY, 0.02, "ok")
    told = {
        re.sub("_(sum|count)$", "", sample.name): set(sample.labels)
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if not sample.name.endswith(("_created", "_bucket"))
    }
    page = (Path(__file__).parent.parent.parent / "docs" / "install.md").read_text()
    section = page.partition("## Its own metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(turnout_\w+)` \|([^|]*)\|", section, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == told

"""Where the judge's numbers are read: at every ready pod of the very revision, past the queue-proxy."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.platform.kubernetes.conftest import KEY, Cluster, Object, a_pod, a_revision, a_service, ended
from turnout.api.analysis import Analysis
from turnout.api.status import RevisionStatus
from turnout.platform.kubernetes.observation import targets
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, PODS, REVISIONS
from turnout.rollout.plan import PollRequest

REVISION = "signals-7-predictor-00001"
RUNNING: Object = {"state": {"running": {"startedAt": "2026-11-21T09:00:05Z"}}, "restartCount": 2}


def running(name: str = "p1", ip: str = "10.244.0.7", **more: object) -> Object:
    return a_pod(name, container=RUNNING, podIP=ip, **more)


def urls(cluster: Cluster) -> list[str]:
    return [target.url for target in targets(cluster.platform.feed.cache, KEY, REVISION)]


@pytest.fixture
def serving(cluster: Cluster) -> Cluster:
    cluster.sees(INFERENCE_SERVICES, a_service(), manager="turnout")
    cluster.sees(REVISIONS, a_revision())
    return cluster


async def test_a_ready_pod_is_read_at_its_own_address(serving: Cluster) -> None:
    serving.sees(PODS, running())
    (target,) = targets(serving.platform.feed.cache, KEY, REVISION)
    assert (target.pod, target.revision, target.url) == ("p1", REVISION, "http://10.244.0.7:8080/metrics")
    assert (target.started_at, target.replaced) == (datetime(2026, 11, 21, 9, 0, 5, tzinfo=UTC), True)


async def test_an_address_of_the_sixth_version_is_put_in_brackets(serving: Cluster) -> None:
    serving.sees(PODS, running(ip="fd00::7"))
    assert urls(serving) == ["http://[fd00::7]:8080/metrics"]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(running(ready=False), id="not ready"),
        pytest.param(running(deletionTimestamp="2026-11-21T10:00:03Z"), id="on its way out"),
        pytest.param(running(ip=""), id="without an address"),
        pytest.param(a_pod(container={"state": ended()}, podIP="10.244.0.7"), id="its process has ended"),
        pytest.param(running(version=8), id="of another version"),
    ],
)
async def test_any_other_pod_is_not_read(serving: Cluster, pod: Object) -> None:
    serving.sees(PODS, pod)
    assert urls(serving) == []


async def test_nothing_is_read_of_no_revision(serving: Cluster) -> None:
    serving.sees(PODS, running())
    assert targets(serving.platform.feed.cache, KEY, "") == ()


async def test_asking_for_numbers_is_no_news_the_answer_is(serving: Cluster) -> None:
    asked = RevisionStatus(name="gone", uid="r")
    at = datetime(2026, 11, 21, 10, tzinfo=UTC)
    serving.dirty.clear()
    await serving.platform.poll(KEY, PollRequest("signals-8", at, None, asked, asked, Analysis(), 10, None))
    assert serving.dirty == [], "a pass that asks would be followed by the next at once, for as long as nobody answers"
    while not serving.dirty:  # noqa: ASYNC110 -- the answer comes from the background
        await asyncio.sleep(0.01)
    assert (await serving.snapshot()).poll is not None

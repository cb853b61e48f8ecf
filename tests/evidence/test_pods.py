"""Real HTTP servers stand for pods; what they expose is the predictors' own."""

import asyncio
import threading
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from turnout.evidence import exposition
from turnout.evidence.counting import Counts, common_edges
from turnout.evidence.pods import LARGEST, Target, poll
from turnout_predictors.telemetry.metrics import EDGES_SECONDS, Metrics

NOW = datetime(2026, 11, 21, 10, 41, tzinfo=UTC)
Answer = Callable[[web.Request], Awaitable[web.Response]]


def counting(revision: str, good: int, bad: int = 0) -> Answer:
    metrics = Metrics("signals", "7", revision)
    for code, times in ((200, good), (500, bad)):
        for _ in range(times):
            metrics.answered("warm", "first", code, 0.01)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition())

    return answer


def saying(text: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return answer


@asynccontextmanager
async def pods(**answers: Answer) -> AsyncIterator[dict[str, Target]]:
    """A server with a path for each pod; the revision is the pod's name up to its last dash."""
    app = web.Application()
    for name, answer in answers.items():
        app.router.add_get(f"/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield {
            name: Target(name, name.rpartition("_")[0], f"http://127.0.0.1:{port}/{name}", NOW, replaced=True)
            for name in answers
        }
    finally:
        await runner.cleanup()


async def test_both_sides_are_read_for_one_moment() -> None:
    async with (
        pods(new_1=counting("new", 9, 1), old_1=counting("old", 50), old_2=counting("old", 40, 2)) as at,
        aiohttp.ClientSession() as session,
    ):
        found = await poll(session, NOW, [at["new_1"]], [at["old_1"], at["old_2"]])
    assert (found.at, found.trouble) == (NOW, "")
    assert [(pod.pod, pod.requests, pod.errors) for pod in found.canary] == [("new_1", 10, 1)]
    assert [(pod.pod, pod.requests, pod.errors) for pod in found.stable] == [("old_1", 50, 0), ("old_2", 42, 2)]
    assert all(pod.started_at == NOW for pod in (*found.canary, *found.stable))
    assert [end.pod for end in (*found.canary_ends, *found.stable_ends)] == ["new_1", "old_1", "old_2"]
    assert len(found.stable[0].latency) == len(found.edges) + 1


async def test_all_pods_of_both_sides_are_asked_at_once() -> None:
    """None answers before all have been asked, so a spike that hits both sides is in the same poll of both."""
    everybody = asyncio.Barrier(3)

    def waiting(revision: str) -> Answer:
        answer = counting(revision, 1)

        async def answered(asked: web.Request) -> web.Response:
            await everybody.wait()
            return await answer(asked)

        return answered

    async with (
        pods(new_1=waiting("new"), old_1=waiting("old"), old_2=waiting("old")) as at,
        aiohttp.ClientSession() as session,
    ):
        found = await poll(session, NOW, [at["new_1"]], [at["old_1"], at["old_2"]])
    assert (found.trouble, len(found.canary), len(found.stable)) == ("", 1, 2)


async def test_a_pod_that_has_answered_nothing_counts_zeros_along_the_same_edges() -> None:
    async with pods(new_1=counting("new", 0), old_1=counting("old", 5)) as at, aiohttp.ClientSession() as session:
        found = await poll(session, NOW, [at["new_1"]], [at["old_1"]])
    assert sum(found.canary[0].latency) == 0
    assert len(found.canary[0].latency) == len(found.stable[0].latency)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(saying("broken", 500), "HTTP 500", id="an error"),
        pytest.param(saying("hello"), "no series of a Turnout predictor", id="no exposition"),
        pytest.param(saying("#" * (LARGEST + 1)), "more than 1 MiB", id="endless"),
    ],
)
async def test_one_pod_that_cannot_be_read_spoils_the_poll_and_is_named(answer: Answer, said: str) -> None:
    async with pods(new_1=counting("new", 9), old_1=answer) as at, aiohttp.ClientSession() as session:
        found = await poll(session, NOW, [at["new_1"]], [at["old_1"]])
    assert found.canary == found.stable == ()
    assert "pod old_1" in found.trouble
    assert said in found.trouble


async def test_nobody_there_is_said_with_the_address(unused_tcp_port: int) -> None:
    gone = Target("old_1", "old", f"http://127.0.0.1:{unused_tcp_port}/metrics", NOW)
    async with aiohttp.ClientSession() as session:
        found = await poll(session, NOW, [], [gone])
    assert f"127.0.0.1:{unused_tcp_port}" in found.trouble


EARLIER = EDGES_SECONDS[::2]
"""Of builds before this one."""


def histogram(revision: str, *edges: float) -> str:
    """One request between each two edges, and one beyond the last."""
    labels = f'revision="{revision}",start="warm",attempt="first",outcome="ok"'
    bounds = [*map(str, edges), "+Inf"]
    lines = (f'turnout_predictor_request_seconds_bucket{{{labels},le="{bound}"}}' for bound in bounds)
    return "".join(f"{line} {count}\n" for count, line in enumerate(lines, 1))


async def test_pods_of_two_releases_are_compared_along_the_edges_that_both_have() -> None:
    """A stable version that serves on with the image of an earlier release, beside a candidate of this one."""
    old, new = histogram("old", *EARLIER), histogram("new", *EDGES_SECONDS)
    async with (
        pods(new_1=saying(new), new_2=counting("new", 0), old_1=saying(old)) as at,
        aiohttp.ClientSession() as session,
    ):
        found = await poll(session, NOW, [at["new_1"], at["new_2"]], [at["old_1"]])
    assert (found.trouble, found.edges) == ("", EARLIER)
    between = [sum(EARLIER[i] < edge <= EARLIER[i + 1] for edge in EDGES_SECONDS) for i in range(len(EARLIER) - 1)]
    assert found.canary[0].latency == (1, *between, 1)
    assert found.canary[1].latency == (0,) * (len(EARLIER) + 1)
    assert found.stable[0].latency == (1,) * (len(EARLIER) + 1)


@pytest.mark.parametrize("edge", EARLIER)
@pytest.mark.parametrize("seconds", [0.0004, 0.001, 0.0215, 0.027, 0.033, 1.9, 59.0, 61.0])
def test_what_exceeds_a_common_edge_is_counted_as_either_release_would(edge: float, seconds: float) -> None:
    """Exactly: the judge is not told a difference between two releases that answer alike."""
    one, other = (
        Counts(1, 0, edges, tuple(int(index == bisect_left(edges, seconds)) for index in range(len(edges) + 1)))
        for edges in (EDGES_SECONDS, EARLIER)
    )
    edges = common_edges([one, other, Counts()])
    cut = edges.index(edge)
    beyond = [sum(counts.of_pod("p", NOW, edges).latency[cut + 1 :]) for counts in (one, other)]
    assert beyond == [int(seconds > edge)] * 2


async def test_pods_without_a_common_edge_cannot_be_compared() -> None:
    async with (
        pods(new_1=counting("new", 9), old_1=saying(histogram("old", 0.007))) as at,
        aiohttp.ClientSession() as session,
    ):
        found = await poll(session, NOW, [at["new_1"]], [at["old_1"]])
    assert "no bound in common" in found.trouble


async def test_the_loop_turns_while_what_a_pod_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on only once the loop has had a turn; on the loop's own thread it never would."""
    loop, turned = asyncio.get_running_loop(), threading.Event()

    def waiting(text: str, revision: str) -> Counts:
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(10), "the loop stood still"
        return exposition.read(text, revision)

    monkeypatch.setattr("turnout.evidence.pods.read", waiting)
    async with pods(new_1=counting("new", 9)) as at, aiohttp.ClientSession() as session:
        found = await poll(session, NOW, [at["new_1"]], [])
    assert found.canary[0].requests == 9

"""The source against a real Prometheus; only its own faults are played by a server that is none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.evidence.conftest import World
from turnout.api.analysis import Analysis
from turnout.api.status import RevisionStatus
from turnout.evidence import prometheus
from turnout.evidence.counting import MOST_SERIES, Counts
from turnout.evidence.prometheus import LARGEST, Entry, Prometheus
from turnout.judge.protocol import Poll
from turnout.rollout.plan import PollRequest

NOW = datetime(2026, 11, 21, 10, 41, tzinfo=UTC)


def request(at: datetime, **analysis: Any) -> PollRequest:
    return PollRequest(
        version="signals-7",
        at=at,
        since=None,
        canary=RevisionStatus(name="new", uid="n"),
        stable=RevisionStatus(name="old", uid="o"),
        analysis=Analysis.model_validate({"interval": "15s", **analysis}),
        weight=10,
        weight_since=None,
    )


@dataclass
class Asking:
    """A world, and the source that reads it."""

    world: World
    session: aiohttp.ClientSession

    def source(self) -> Prometheus:
        return Prometheus(Entry("cluster", self.world.url))

    async def poll(self, asked: PollRequest, namespace: str = "support") -> Poll:
        return await self.source().poll(self.session, namespace, asked)


@pytest.fixture
def asking(world: World, session: aiohttp.ClientSession) -> Asking:
    return Asking(world, session)


async def test_raw_counters_of_both_sides_at_a_moment(asking: Asking) -> None:
    pods = asking.world.pods
    pods["new-1"].answer(9)
    pods["new-1"].answer(1, code=503)
    pods["old-1"].answer(50, seconds=0.2)
    early = await asking.world.scraped(asking.session)
    pods["old-1"].answer(25)
    late = await asking.world.scraped(asking.session)
    poll = await asking.poll(request(late))
    assert poll.trouble == ""
    assert [(pod.pod, pod.requests, pod.errors) for pod in poll.canary] == [("new-1", 10, 1)]
    assert [(pod.pod, pod.requests) for pod in poll.stable] == [("old-1", 75)]  # old-2 has no series yet
    assert sum(poll.stable[0].latency) == 75
    assert len(poll.stable[0].latency) == len(poll.edges) + 1
    before = await asking.poll(request(early))
    assert before.at == early
    assert before.stable[0].requests == 50, "a moment that was missed is read as it was"


async def test_what_was_missed_is_asked_for_in_order(asking: Asking) -> None:
    now = await asking.world.scraped(asking.session)
    late = now + timedelta(seconds=45)
    poll = await asking.poll(replace(request(late), since=now - timedelta(seconds=15)))
    assert poll.at == now


@pytest.mark.parametrize(
    ("since", "first"),
    [
        pytest.param(15, 0, id="nothing was missed"),
        pytest.param(30, 15, id="one moment was"),
        pytest.param(29, 15, id="since a moment off the grid"),
        pytest.param(36_000, 600, id="ten hours were: the last ten minutes are asked for"),
    ],
)
def test_what_is_asked_for_first_after_an_outage(since: int, first: int) -> None:
    asked = replace(request(NOW), since=NOW - timedelta(seconds=since))
    assert asked.earliest == NOW - timedelta(seconds=first)


async def test_a_pod_that_is_gone_is_in_no_later_poll(asking: Asking) -> None:
    now = await asking.world.scraped(asking.session)
    poll = await asking.poll(request(now + timedelta(minutes=5)))
    assert (poll.canary, poll.stable, poll.trouble) == ((), (), "")


async def test_the_same_pod_scraped_twice_is_ambiguous(asking: Asking) -> None:
    for pod in asking.world.pods.values():
        pod.answer(1)
    now = await asking.world.scraped(asking.session)
    poll = await asking.poll(request(now), namespace="twice")
    assert poll.ambiguous
    assert "pod old-2 is there twice, different in job" in poll.trouble


@pytest.mark.parametrize(
    ("behind", "requests"),
    [
        pytest.param(20, [9, 50], id="a little behind: what it has is told"),
        pytest.param(31, [], id="by more than two intervals: it has nothing of that moment"),
    ],
)
async def test_a_prometheus_whose_clock_is_behind_the_operators(
    asking: Asking, behind: float, requests: list[int]
) -> None:
    """One that is ahead tells what was, of both sides, as for a moment that was missed."""
    asking.world.pods["new-1"].answer(9)
    asking.world.pods["old-1"].answer(50)
    now = await asking.world.scraped(asking.session)
    poll = await asking.poll(request(now + timedelta(seconds=behind)))
    assert ([pod.requests for pod in (*poll.canary, *poll.stable)], poll.trouble) == (requests, "")


CUSTOM = {
    "one number": ("sum(up)", {"c": 5.0}, ""),
    "a scalar": ("42", {"c": 42.0}, ""),
    "none": ('sum(up{pod="nobody"})', {}, ""),
    "several": ('up{namespace="support"}', {}, "the query of custom metric c answers 3 series, one is due"),
    "no number": ("0/0", {}, "custom metric c is NaN"),
    "a query that cannot be parsed": ("sum(", {}, "HTTP 400: invalid parameter"),
}


async def test_custom_queries_answer_one_number(asking: Asking) -> None:
    now = await asking.world.scraped(asking.session)
    for name, (query, values, trouble) in CUSTOM.items():
        poll = await asking.poll(
            request(now, source={"prometheus": "cluster"}, custom=[{"name": "c", "query": query, "max": "1"}])
        )
        assert dict(poll.custom) == values, name
        assert (trouble in poll.trouble) if trouble else poll.trouble == "", name


async def test_models_of_a_namespace_share_one_query_for_a_moment() -> None:
    async with broken(counting := Counter()) as (url, session):
        source = Prometheus(Entry("cluster", url))
        polls = await asyncio.gather(*(source.poll(session, "support", request(NOW)) for _ in range(5)))
        assert counting.asked == 1
        await source.poll(session, "support", request(NOW))
        await source.poll(session, "elsewhere", request(NOW))
    assert counting.asked == 3
    assert all(poll.trouble == "" for poll in polls)


class Counter:
    """Answers as an empty Prometheus and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.token = ""

    def __call__(self, asked: web.Request) -> web.Response:
        self.asked += 1
        self.token = asked.headers.get("Authorization", "")
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}})


class broken:  # noqa: N801 – reads as an adjective
    """A server in a Prometheus' place."""

    def __init__(self, answer: Callable[[web.Request], web.Response]) -> None:
        async def handle(asked: web.Request) -> web.Response:
            return answer(asked)

        app = web.Application()
        app.router.add_post("/api/v1/query", handle)
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> tuple[str, aiohttp.ClientSession]:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._session = aiohttp.ClientSession()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}", self._session

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._runner.cleanup()


def series(value: str = "1", **labels: str) -> dict[str, Any]:
    metric = {"__name__": "turnout_predictor_requests_total", "revision": "old", "pod": "p", **labels}
    return {"metric": {**metric, "start": "warm", "attempt": "first", "code": "200"}, "values": [[0, value]]}


def matrix(*found: dict[str, Any]) -> web.Response:
    return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": list(found)}})


FAULTS: dict[str, tuple[Callable[[], web.Response], str]] = {
    "an error of its own": (
        lambda: web.json_response({"status": "error", "error": "query timed out"}, status=503),
        "HTTP 503: query timed out",
    ),
    "somebody else's page": (lambda: web.Response(text="<html>login</html>"), "no answer of a Prometheus: <html>login"),
    "another document": (lambda: web.json_response({"data": 7}), "no answer of a Prometheus"),
    "a redirect, which could carry the token away": (
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        "HTTP 302",
    ),
    "no number": (lambda: matrix(series("NaN")), "turnout_predictor_requests_total is NaN"),
    "a word": (lambda: matrix(series("many")), "turnout_predictor_requests_total is 'many', no number"),
    "infinity": (lambda: matrix(series("+Inf")), "is +Inf"),
    "no pod": (lambda: matrix(series(pod="")), "carry no label pod"),
    "series of no known form": (lambda: web.json_response({"data": {"result": [{"metric": 7}]}}), "no answer of a Pro"),
    "brackets without end": (
        lambda: web.Response(text='{"data": {"result": [' + "[" * 10**5),
        "no answer of a Prometh",
    ),
    "cut off": (lambda: web.Response(text='{"data": {"result": [{"metric": {}}, '), "no answer of a Prometheus"),
    "too many series of a pod": (
        lambda: matrix(*(series(code="200", protocol=str(index)) for index in range(MOST_SERIES + 1))),
        "more than 4000 series of one process",
    ),
    "endless": (lambda: web.Response(body=b" " * (LARGEST + 1)), "more than 32 MiB"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_of_the_source_is_a_sentence_that_names_it(name: str) -> None:
    answer, said = FAULTS[name]
    async with broken(lambda _: answer()) as (url, session):
        poll = await Prometheus(Entry("cluster", url)).poll(session, "support", request(NOW))
    assert poll.at == NOW
    assert poll.trouble.startswith("prometheus cluster: ")
    assert said in poll.trouble
    assert (poll.canary, poll.stable) == ((), ())


def buckets(revision: str, *edges: float) -> list[dict[str, Any]]:
    """One request between each two edges, and one beyond the last."""
    name, bounds = "turnout_predictor_request_seconds_bucket", [*map(str, edges), "+Inf"]
    return [
        series(str(count), __name__=name, revision=revision, outcome="ok", le=bound)
        for count, bound in enumerate(bounds, 1)
    ]


async def test_pods_of_two_releases_are_compared_along_the_edges_that_both_have() -> None:
    found = [*buckets("new", 0.1, 0.12, 0.15, 0.2), *buckets("old", 0.1, 0.15, 0.22)]
    async with broken(lambda _: matrix(*found)) as (url, session):
        poll = await Prometheus(Entry("cluster", url)).poll(session, "support", request(NOW))
    assert (poll.trouble, poll.edges) == ("", (0.1, 0.15))
    assert (poll.canary[0].latency, poll.stable[0].latency) == ((1, 2, 2), (1, 1, 2))


async def test_pods_without_a_common_edge_cannot_be_compared() -> None:
    async with broken(lambda _: matrix(*buckets("new", 0.1), *buckets("old", 0.2))) as (url, session):
        poll = await Prometheus(Entry("cluster", url)).poll(session, "support", request(NOW))
    assert poll.trouble.startswith("prometheus cluster: the pods' latency histograms have no bound in common")


@pytest.mark.parametrize("of", ["_by_revision", "_sides"])
async def test_the_loop_turns_while_an_answer_is_read(of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on only once the loop has had a turn; on the loop's own thread it never would."""
    loop, turned, whole = asyncio.get_running_loop(), threading.Event(), getattr(prometheus, of)

    def waiting(*given: Any) -> Any:
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(10), "the loop stood still"
        return whole(*given)

    monkeypatch.setattr(prometheus, of, waiting)
    async with broken(lambda _: matrix(series("7"))) as (url, session):
        poll = await Prometheus(Entry("cluster", url)).poll(session, "support", request(NOW))
    assert (poll.trouble, turned.is_set()) == ("", True)
    assert [pod.requests for pod in poll.stable] == [7]


async def test_an_answer_is_put_in_order_once_for_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each model looks at the series of its own revisions alone."""
    looked: list[list[str]] = []
    side = prometheus._side

    def counted(found: Sequence[prometheus.Series]) -> dict[str, Counts]:
        looked.append([each.metric["revision"] for each in found])
        return side(found)

    monkeypatch.setattr(prometheus, "_side", counted)
    others = [series(revision=f"other-{index}") for index in range(50)]
    async with broken(lambda _: matrix(*others, series(revision="new"), series(), *others)) as (url, session):
        poll = await Prometheus(Entry("cluster", url)).poll(session, "support", request(NOW))
    assert (poll.trouble, looked) == ("", [["new"], ["old"]])


async def test_nobody_there(unused_tcp_port: int, session: aiohttp.ClientSession) -> None:
    source = Prometheus(Entry("cluster", f"http://127.0.0.1:{unused_tcp_port}"))
    poll = await source.poll(session, "support", request(NOW))
    assert f"http://127.0.0.1:{unused_tcp_port}/api/v1/query" in poll.trouble


async def test_a_token_is_sent_and_read_anew(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with broken(seen := Counter()) as (url, session):
        source = Prometheus(Entry("cluster", url, token))
        missing = await source.poll(session, "support", request(NOW))
        assert "No such file" in missing.trouble
        for secret in ("first\n", "rotated\n"):
            token.write_text(secret)
            await source.poll(session, "support", request(NOW))
            assert seen.token == f"Bearer {secret.strip()}"

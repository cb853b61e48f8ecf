"""Polls in the background: asked once for each moment and pair of revisions, always answered, never in the dark."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from turnout.api.analysis import Analysis, CustomMetric, Source
from turnout.api.status import RevisionStatus
from turnout.evidence.pods import Target
from turnout.evidence.prometheus import Entry
from turnout.judge.protocol import End, Poll
from turnout.platform.evidence import Polls
from turnout.rollout.plan import PollRequest
from turnout.rollout.snapshot import ModelKey
from turnout_predictors.telemetry.metrics import Metrics

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = ModelKey("support", "signals")
REQUEST = PollRequest(
    version="signals-8",
    at=AT,
    since=None,
    canary=RevisionStatus(name="signals-8-00001", uid="8"),
    stable=RevisionStatus(name="signals-7-00001", uid="7"),
    analysis=Analysis(),
    weight=10,
    weight_since=AT - timedelta(minutes=1),
)


@dataclass
class World:
    """One pod for each revision that is not `gone`, behind one real server; it counts how often it was asked."""

    port: int = 0
    asked: int = 0
    gone: set[str] = field(default_factory=set)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        metrics = Metrics("signals", "8", request.match_info["revision"])
        metrics.answered("warm", "first", 200, 0.01)
        return web.Response(body=metrics.exposition())

    def find(self, _: ModelKey, revision: str) -> Sequence[Target]:
        if not revision or revision in self.gone:
            return ()
        return (Target(f"{revision}-x", revision, f"http://127.0.0.1:{self.port}/{revision}", AT),)

    async def read(self, polls: Polls, request: PollRequest = REQUEST) -> Poll:
        self.told.clear()
        polls.begin(KEY, request)
        await asyncio.wait_for(self.told.wait(), 10)
        return polls.last[KEY]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    app = web.Application()
    app.router.add_get("/{revision}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def polls(world: World) -> AsyncIterator[Polls]:
    made = Polls(lambda _: world.told.set(), world.find)
    yield made
    await made.close()


async def test_both_sides_are_read_and_the_answer_says_whose_it_is(world: World, polls: Polls) -> None:
    poll = await world.read(polls)
    assert poll.trouble == ""
    assert [pod.requests for pod in (*poll.canary, *poll.stable)] == [1, 1]
    assert (poll.at, poll.canary_uid, poll.stable_uid) == (AT, "8", "7")
    assert (poll.weight, poll.weight_since) == (10, AT - timedelta(minutes=1))


async def test_what_is_answered_is_not_asked_again(world: World, polls: Polls) -> None:
    await world.read(polls)
    polls.begin(KEY, REQUEST)
    await asyncio.sleep(0)
    assert world.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(REQUEST, at=AT + timedelta(seconds=15)), id="the next moment"),
        pytest.param(replace(REQUEST, canary=RevisionStatus(name="signals-9-00001", uid="9")), id="another candidate"),
        pytest.param(replace(REQUEST, stable=RevisionStatus(name="signals-7-00001", uid="7b")), id="a remade stable"),
    ],
)
async def test_another_question_is_asked(world: World, polls: Polls, other: PollRequest) -> None:
    await world.read(polls)
    poll = await world.read(polls, other)
    assert (poll.at, poll.canary_uid, poll.stable_uid) == (other.at, other.canary.uid, other.stable.uid)


async def test_a_side_without_pods_is_empty_not_in_trouble(world: World, polls: Polls) -> None:
    world.gone.add("signals-7-00001")
    poll = await world.read(polls)
    assert (len(poll.canary), poll.stable, poll.trouble) == (1, (), "")


async def test_a_source_that_nobody_configured_is_named_with_the_way_out(world: World, polls: Polls) -> None:
    poll = await world.read(polls, replace(REQUEST, analysis=Analysis(source=Source(prometheus="cluster"))))
    assert "spec.analysis.source.prometheus: cluster is not among the operator's sources (none)" in poll.trouble
    assert world.asked == 0


async def test_a_source_that_is_configured_is_asked(world: World, unused_tcp_port: int) -> None:
    source = Entry("cluster", f"http://127.0.0.1:{unused_tcp_port}")
    polls = Polls(lambda _: world.told.set(), world.find, {"cluster": source})
    poll = await world.read(polls, replace(REQUEST, analysis=Analysis(source=Source(prometheus="cluster"))))
    assert poll.trouble.startswith(f"prometheus cluster: {source.url}")
    assert poll.canary_uid == "8"
    await polls.close()


async def test_on_one_machine_the_pods_are_counted_and_a_prometheus_answers_custom_queries_alone(
    world: World, unused_tcp_port: int
) -> None:
    async def answer(request: web.Request) -> web.Response:
        sample = [0, "7" if (await request.post())["query"] == "depth" else "no number"]
        return web.json_response({"status": "success", "data": {"result": [{"metric": {}, "value": sample}]}})

    app = web.Application()
    app.router.add_post("/api/v1/query", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    source = Entry("cluster", f"http://127.0.0.1:{unused_tcp_port}")
    polls = Polls(lambda _: world.told.set(), world.find, {"cluster": source}, counts_pods=True)
    metric = CustomMetric.model_validate({"name": "c", "query": "depth", "max": "9"})
    analysis = Analysis(source=Source(prometheus="cluster"), custom=(metric,))
    poll = await world.read(polls, replace(REQUEST, analysis=analysis))
    assert ([pod.requests for pod in (*poll.canary, *poll.stable)], dict(poll.custom)) == ([1, 1], {"c": 7.0})
    assert (poll.at, poll.canary_uid, poll.trouble) == (AT, "8", "")
    other = analysis.model_copy(update={"custom": (metric.model_copy(update={"query": "else"}),)})
    poll = await world.read(polls, replace(REQUEST, at=AT + MINUTE, analysis=other))
    assert poll.trouble == "prometheus cluster: custom metric c is 'no number', no number"
    await polls.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("source", "counts_pods", "lost"),
    [
        pytest.param("", False, 0, id="the pods are read at once"),
        pytest.param("cluster", True, 0, id="so they are on one machine"),
        pytest.param("cluster", False, 15, id="a Prometheus' samples may be older"),
    ],
)
async def test_since_when_the_split_holds_in_what_was_read(
    world: World, unused_tcp_port: int, source: str, counts_pods: bool, lost: float
) -> None:
    """Else an interval with a little of the former split would count, where a Prometheus' clock or scrape is late."""
    entry = Entry("cluster", f"http://127.0.0.1:{unused_tcp_port}")
    polls = Polls(lambda _: world.told.set(), world.find, {"cluster": entry}, counts_pods=counts_pods)
    analysis = Analysis(source=Source(prometheus=source))
    poll = await world.read(polls, replace(REQUEST, analysis=analysis))
    assert poll.weight_since == AT - MINUTE + timedelta(seconds=lost)
    poll = await world.read(polls, replace(REQUEST, analysis=analysis, at=AT + MINUTE, weight_since=None))
    assert poll.weight_since is None
    await polls.close()


async def test_a_model_that_is_gone_is_forgotten(world: World, polls: Polls) -> None:
    await world.read(polls)
    polls.forget_all_but(set())
    assert polls.last == {}


async def test_what_nobody_foresaw_is_an_answer_too_and_stands_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object) -> Sequence[Target]:
        raise ZeroDivisionError("division by zero")

    polls = Polls(lambda _: world.told.set(), breaks)
    poll = await world.read(polls)
    assert poll.trouble == "the operator could not read it, see its log: ZeroDivisionError: division by zero"
    assert (poll.at, poll.canary_uid) == (AT, "8")
    assert "support/signals: the poll broke off" in caplog.text
    await polls.close()


async def test_an_end_of_a_process_is_told_where_prometheus_counts_too(unused_tcp_port: int) -> None:
    """Of ready pods that it may know nothing of; beside the counters, never among them."""
    began = AT - timedelta(seconds=3)
    ended = Target("new-1", "signals-8-00001", "http://pod", began, replaced=True)
    others = (replace(ended, pod="new-2", replaced=False), replace(ended, pod="new-3", started_at=began + MINUTE))
    told = asyncio.Event()
    polls = Polls(
        lambda _: told.set(),
        lambda _, revision: (ended, *others) if revision == ended.revision else (),
        {"cluster": Entry("cluster", f"http://127.0.0.1:{unused_tcp_port}")},
    )
    polls.begin(KEY, replace(REQUEST, analysis=Analysis(source=Source(prometheus="cluster"))))
    await asyncio.wait_for(told.wait(), 10)
    assert polls.last[KEY].canary_ends == (End("new-1", began),)
    assert (polls.last[KEY].canary, polls.last[KEY].stable_ends) == ((), ())
    await polls.close()

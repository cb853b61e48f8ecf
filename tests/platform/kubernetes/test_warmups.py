"""Warm-ups go on in the background; what they find is part of the next Snapshot."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.platform.kubernetes.conftest import KEY
from turnout.platform import probing
from turnout.platform.kubernetes.warmups import Warmups
from turnout.rollout.plan import ProbeRequest
from turnout.rollout.snapshot import ModelKey, Probe

METADATA = {"name": "signals", "inputs": [], "outputs": []}


def a_request(uid: str = "r7", timeout: float = 5) -> ProbeRequest:
    return ProbeRequest("signals-7", "signals-7-predictor-00001", uid, "signals", 0, timedelta(seconds=timeout))


class Told:
    def __init__(self) -> None:
        self.keys: list[ModelKey] = []
        self.news = asyncio.Event()

    def __call__(self, key: ModelKey) -> None:
        self.keys.append(key)
        self.news.set()


async def test_a_version_is_asked_at_its_own_address_through_the_gateway_if_there_is_one() -> None:
    hosts: list[str] = []

    async def metadata(request: web.Request) -> web.Response:
        hosts.append(request.headers["Host"])
        return web.json_response(METADATA)

    async def examples(request: web.Request) -> web.Response:
        return web.json_response({"examples": []})

    app = web.Application()
    app.router.add_get("/v2/models/signals", metadata)
    app.router.add_get("/v2/models/signals/examples", examples)
    async with TestServer(app) as server:
        told = Told()
        warmups = Warmups(told, gateway=f"http://127.0.0.1:{server.port}")
        warmups.begin(KEY, a_request(), "http://signals-7-predictor.support.svc.cluster.local")
        assert not warmups.of({"r7"})["r7"].done
        warmups.begin(KEY, a_request(), "http://it.goes.on")
        await told.news.wait()
        probe = warmups.of({"r7"})["r7"]
        assert (probe.done, probe.problem) == (True, None)
        assert hosts == ["signals-7-predictor.support.svc.cluster.local"]
        assert told.keys == [KEY]
        assert not warmups.of({"another"})
        await warmups.close()


async def test_a_warm_up_of_what_is_gone_is_given_up() -> None:
    warmups = Warmups(Told(), gateway="http://127.0.0.1:9")
    warmups.begin(KEY, a_request(timeout=60), "http://nobody")
    await asyncio.sleep(0)
    warmups.forget_all_but(set())
    assert not warmups.results
    await asyncio.sleep(0.01)
    assert not warmups._running
    await warmups.close()


async def test_a_warm_up_that_breaks_off_is_begun_again_but_not_as_fast_as_it_can(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RecursionError("a bug of ours")

    monkeypatch.setattr("turnout.platform.probing.probe", broken)
    monkeypatch.setattr("turnout.platform.kubernetes.warmups.PAUSE_AFTER_FAULT", 0.05)
    told: list[ModelKey] = []

    def pass_over(key: ModelKey) -> None:
        told.append(key)
        warmups.begin(key, a_request(), "http://nobody")

    warmups = Warmups(pass_over)
    pass_over(KEY)
    await asyncio.sleep(0.18)
    assert 3 <= len(told) <= 5
    assert "broke off" in caplog.text
    await warmups.close()


async def test_no_address_is_asked_for_before_it_stands_nor_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def probe(session: object, address: str, request: ProbeRequest, **_: object) -> Probe:
        asked.append(address)
        return Probe(request.revision_uid, done=True)

    monkeypatch.setattr(probing, "probe", probe)
    monkeypatch.setattr("turnout.platform.kubernetes.warmups.ADDRESS_PATIENCE", 0.05)
    monkeypatch.setattr("turnout.platform.kubernetes.warmups.ADDRESS_LOOK", 0.01)
    standing: list[bool] = []
    told = Told()
    warmups = Warmups(told)
    warmups.begin(KEY, a_request(), "http://late", lambda: bool(standing))
    await asyncio.sleep(0.02)
    assert asked == []
    standing.append(True)
    await told.news.wait()
    warmups.forget_all_but(set())
    await asyncio.sleep(0)
    told.news.clear()
    warmups.begin(KEY, a_request(), "http://never", lambda: False)
    await told.news.wait()
    assert asked == ["http://late", "http://never"]
    await warmups.close()

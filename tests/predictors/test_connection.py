"""One HTTP connection: what survives, what ends it, what waits, and what a slow or hostile client gets."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from typing import Any

import pytest

from tests.predictors.conftest import request
from tests.predictors.echo import INFER, Echo, ask
from turnout_predictors.server.connection import MAX_PIPELINED
from turnout_predictors.server.settings import DEFAULTS

LIVE = "/v2/health/live"


def sent(body: object = None, path: str = INFER, method: str = "POST", **headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return request(method, path, raw, {name.replace("_", "-"): value for name, value in headers.items()})


async def taken(wire: Any) -> Any:
    while (answer := wire.take()) is None:
        wire.said.clear()
        await wire.said.wait()
    return answer


async def test_pipelined_requests_are_answered_in_their_order(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    connection.data_received(sent(ask(1, 2, id="a")) + sent(path=LIVE, method="GET") + sent(ask(1, 2, id="b")))
    first, live, last = [await taken(wire) for _ in range(3)]
    assert (first.json["id"], live.json, last.json["id"]) == ("a", {"live": True}, "b")


async def test_a_thousand_pipelined_requests_neither_recurse_nor_pile_up(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    connection.data_received(sent(ask(1, 2)) + sent(path=LIVE, method="GET") * 1000)
    assert not wire.reading
    assert [(await taken(wire)).status for _ in range(1001)] == [200] * 1001
    assert wire.reading


async def test_what_is_fed_whenever_reading_goes_on_does_not_pile_up(in_process: Any) -> None:
    server = in_process(Echo())
    connection, wire = server.connect()
    many = sent(ask(1, 2)) * 100
    connection.data_received(many)
    for _ in range(300):
        await taken(wire)
        if wire.reading:
            connection.data_received(many)
        assert server.metrics.inflight <= 100 + MAX_PIPELINED


async def test_any_cut_of_the_bytes_is_the_same_request(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    raw = sent(ask(1, 2))
    for at in range(len(raw)):
        connection.data_received(raw[at : at + 1])
    assert (await taken(wire)).status == 200


async def test_a_body_that_drips_takes_no_more_memory_than_it_has_bytes(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    body = json.dumps(ask(1, 2, id="x" * 20_000)).encode()
    connection.data_received(request("POST", INFER, body, {}, chunks=len(body))[: -len("0\r\n\r\n")])
    assert len(connection._parts) <= 2
    connection.data_received(b"0\r\n\r\n")
    assert (await taken(wire)).json["id"] == "x" * 20_000


async def test_large_bodies_do_not_pile_up_behind_one_another(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    large = sent(b" " * (5 << 20))
    connection.data_received(sent(ask(1, 2)) + large + large)
    assert not wire.reading
    assert [(await taken(wire)).status for _ in range(3)] == [200, 400, 400]
    assert wire.reading


ENDS = {
    "no HTTP": (b"\x16\x03\x01\x02\x00garbage\r\n\r\n", 400),
    "a length that overflows": (sent(b"x", Content_Length="9" * 40), 400),
    "two lengths": (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a head that is too large": (sent(path=LIVE, method="GET", x="y" * 70_000), 400),
    "a head that never ends": (b"GET /v2 HTTP/1.1\r\nx: " + b"y" * 300_000, 400),
    "trailers that never end": (request("POST", INFER, b"{}", {}, chunks=1)[:-2] + b"x: " + b"y" * 300_000, 400),
    "a connection for something else": (b"CONNECT example:443 HTTP/1.1\r\nhost: example:443\r\n\r\n", 400),
    "a body far beyond the limit": (request("POST", INFER, bytes(70 << 20), {}, chunks=70), 413),
}


@pytest.mark.parametrize(("raw", "status"), ENDS.values(), ids=ENDS.keys())
async def test_answers_once_and_closes_after(in_process: Any, raw: bytes, status: int) -> None:
    connection, wire = in_process(Echo()).connect()
    for at in range(0, len(raw), 1 << 16):
        connection.data_received(raw[at : at + (1 << 16)])
    answer = await taken(wire)
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert set(answer.json) == {"error", "code", "request_id"}
    assert wire.is_closed
    assert wire.take() is None


STAYS = {
    "HTTP/1.1": (b"GET /v2 HTTP/1.1\r\n\r\n", False, None),
    "HTTP/1.1 that closes": (b"GET /v2 HTTP/1.1\r\nconnection: close\r\n\r\n", True, "close"),
    "HTTP/1.0": (b"GET /v2 HTTP/1.0\r\n\r\n", True, "close"),
    "HTTP/1.0 that stays": (b"GET /v2 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", False, "keep-alive"),
}


@pytest.mark.parametrize(("raw", "closes", "said"), STAYS.values(), ids=STAYS.keys())
async def test_stays_as_asked(in_process: Any, raw: bytes, closes: bool, said: str | None) -> None:
    connection, wire = in_process(Echo()).connect()
    connection.data_received(raw)
    answer = await taken(wire)
    assert (wire.is_closed, answer.headers.get("connection")) == (closes, said)


@pytest.mark.parametrize("body", [None, ask(1, 2)], ids=["without a body", "with one"])
async def test_an_offer_to_speak_something_else_is_declined(in_process: Any, body: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    raw = sent(body, **offer) if body else sent(path=LIVE, method="GET", **offer)
    connection.data_received(raw + raw)
    assert [(await taken(wire)).status for _ in range(2)] == [200, 200]


async def test_nothing_is_tunnelled(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    connection.data_received(b"CONNECT example:443 HTTP/1.1\r\nhost: example:443\r\n\r\n\x16\x03")
    assert (await taken(wire)).status == 400
    assert wire.is_closed
    assert not wire.written


async def test_trailers_change_no_header(in_process: Any) -> None:
    server = in_process(Echo())
    connection, wire = server.connect()
    raw = request("POST", INFER, json.dumps(ask(1, 2)).encode(), {"X-Request-Id": "mine"}, chunks=2)
    connection.data_received(raw[:-2] + b"x-request-id: theirs\r\nx-turnout-attempt: repeat\r\n\r\n")
    assert (await taken(wire)).status == 200
    assert 'attempt="repeat"' not in server.metrics.exposition().decode()


async def test_nothing_is_written_after_the_last_answer(in_process: Any) -> None:
    server = in_process(Echo())
    connection, wire = server.connect()
    live = sent(path=LIVE, method="GET", Connection="close")
    connection.data_received(live + live + sent(ask(1, 2), Expect="100-continue"))
    assert wire.take().headers["connection"] == "close"
    connection.data_received(live)
    connection.connection_lost(None)
    assert (wire.is_closed, wire.written, server.metrics.inflight) == (True, b"", 0)


async def test_a_client_that_asks_first_is_told_at_once_that_it_is_too_much(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    connection.data_received(sent(b"", Expect="100-continue", Content_Length=str(9 << 20)))
    answer = wire.take()
    assert (answer.status, answer.headers["connection"], wire.is_closed) == (413, "close", True)


async def test_a_client_that_asks_first_may_go_on(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    head, _, body = sent(ask(1, 2), Expect="100-continue").partition(b"\r\n\r\n")
    connection.data_received(head + b"\r\n\r\n")
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.written = b""
    connection.data_received(body)
    assert (await taken(wire)).status == 200


async def test_a_client_that_leaves_takes_its_work_along(in_process: Any) -> None:
    server = in_process(Echo())
    connection, wire = server.connect()
    connection.data_received(sent(ask(1, 2)) + sent(ask(3, 4)))
    connection.connection_lost(None)
    await asyncio.sleep(0)
    assert (server.metrics.inflight, wire.written) == (0, b"")


async def test_nothing_more_is_answered_to_a_client_that_does_not_read(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    connection.pause_writing()
    connection.data_received(sent(path=LIVE, method="GET"))
    assert wire.take() is None
    connection.resume_writing()
    assert wire.take().status == 200


async def test_a_client_that_never_reads_is_ended_and_a_slow_one_is_not(in_process: Any) -> None:
    connection, wire = in_process(Echo()).connect()
    wire.unsent = 9
    connection.pause_writing()
    now = time.monotonic()
    wire.unsent = 8
    connection.sweep(now + 100, 65.0, 5.0, 5.0)
    connection.sweep(now + 160, 65.0, 5.0, 5.0)
    assert not wire.is_aborted
    connection.sweep(now + 170, 65.0, 5.0, 5.0)
    assert wire.is_aborted


SWEPT = {
    "an idle connection": (b"", DEFAULTS.idle_seconds, None),
    "half a head": (b"POST /v2 HT", 3.0, 400),
    "half a body": (sent(b"{")[:-1], 5.0, 400),
}


@pytest.mark.parametrize(("raw", "seconds", "status"), SWEPT.values(), ids=SWEPT.keys())
async def test_ends_in_time(in_process: Any, raw: bytes, seconds: float, status: int | None) -> None:
    server = in_process(Echo())
    connection, wire = server.connect()
    connection.data_received(raw) if raw else None
    bounds = (DEFAULTS.idle_seconds, 3.0, 5.0)
    connection.sweep(time.monotonic() + seconds - 0.5, *bounds)
    assert not wire.is_closed
    connection.sweep(time.monotonic() + seconds + 0.5, *bounds)
    assert wire.is_closed
    assert (answer := wire.take()) is None or answer.status == status
    assert server.metrics.inflight == 0


UNPACKED = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without zlib's head": ("deflate", lambda raw: zlib.compress(raw, wbits=-15)),
    "identity": ("identity", bytes),
}


@pytest.mark.parametrize(("encoding", "pack"), UNPACKED.values(), ids=UNPACKED.keys())
async def test_reads_a_body_in(in_process: Any, encoding: str, pack: Any) -> None:
    body = pack(json.dumps(ask(1, 2)).encode())
    assert (await in_process(Echo()).ask("POST", INFER, body, {"Content-Encoding": encoding})).status == 200


async def test_a_body_cut_short_is_refused(in_process: Any) -> None:
    body = gzip.compress(json.dumps(ask(1, 2)).encode())[:-9]
    answer = await in_process(Echo()).ask("POST", INFER, body, {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["field"]) == (400, "headers.Content-Encoding")


PACKED = {"gzip, deflate": "gzip", "deflate": "deflate", "br, gzip;q=0": None, "identity": None}


@pytest.mark.parametrize(("accepts", "encoding"), PACKED.items())
async def test_compresses_what_is_large_for_who_asks(in_process: Any, accepts: str, encoding: str | None) -> None:
    server = in_process(Echo())
    large = await server.ask("POST", INFER, ask(*range(1000)), {"Accept-Encoding": accepts})
    assert large.headers.get("content-encoding") == encoding
    raw = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[encoding](large.body)
    assert json.loads(raw)["outputs"][0]["data"] == [2 * value for value in range(1000)]
    small = await server.ask("POST", INFER, ask(1, 2), {"Accept-Encoding": accepts})
    assert "content-encoding" not in small.headers

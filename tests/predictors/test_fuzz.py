"""Hostile bytes: whatever comes, the answer is of the table, nothing is left behind, and the next caller is served."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.predictors.conftest import Wire, request
from tests.predictors.echo import INFER, Echo, ask
from turnout_predictors.errors import STATUS_OF_CODE

STATUSES = {200, *STATUS_OF_CODE.values()} - {500}
WHOLE = json.dumps(ask(1, 2, id="a", parameters={"x": 1}, outputs=[{"name": "y"}])).encode()
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("Inference-Header-Content-Length", "Content-Encoding", "X-Request-Deadline-Ms", "Expect", "X-Tenant"),
            *("Accept-Encoding", "Connection", "X-Request-Id"),
        ]
    ),
    st.sampled_from(["0", "5", "-1", "99999", str(len(WHOLE)), "gzip", "deflate", "100-continue", "close", "ü", ""]),
    max_size=3,
)
BODIES = st.one_of(
    st.binary(max_size=64),
    st.tuples(st.integers(0, len(WHOLE)), st.binary(max_size=8)).map(
        lambda cut: WHOLE[: cut[0]] + cut[1] + WHOLE[cut[0] + len(cut[1]) :]
    ),
)
TARGETS = st.sampled_from(
    ["/v2", "/v1/models/m:predict", "/v2/models/%6d/infer", "/v2/models/m/versions/9/infer", "/%ff/..", INFER, INFER]
)


def answers(wire: Wire) -> list[int]:
    """The statuses of what was written; a provisional answer is none."""
    found = []
    wire.written = wire.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    while (answer := wire.take()) is not None:
        assert answer.headers["content-type"] in ("application/json", "application/octet-stream")
        found.append(answer.status)
    assert wire.written == b"", "half an answer"
    return found


async def settled(server: Any) -> None:
    for _ in range(2000):
        if server.metrics.inflight == 0:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("something is still under way")


FUZZED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def test_any_body_under_any_headers_gets_an_answer_of_the_table(in_process: Any) -> None:
    server = in_process(Echo(), timeout_seconds=30.0)
    loop, cases = asyncio.get_running_loop(), []

    @FUZZED
    @given(target=TARGETS, body=BODIES, headers=HEADERS, chunks=st.sampled_from([0, 3]))
    def collect(target: str, body: bytes, headers: dict[str, str], chunks: int) -> None:
        cases.append(request("POST", target, body, headers, chunks))

    await loop.run_in_executor(None, collect)
    for raw in cases:
        connection, wire = server.connect()
        connection.data_received(raw)
        await settled(server)
        found = answers(wire)
        assert len(found) == 1, raw
        assert found[0] in STATUSES, raw
        connection.connection_lost(None)
    assert (await server.ask("POST", INFER, ask(1, 2))).status == 200


async def test_any_bytes_at_all_are_answered_or_awaited_and_leave_nothing(in_process: Any) -> None:
    server = in_process(Echo())
    loop, cases = asyncio.get_running_loop(), []
    good = request("POST", INFER, WHOLE, {})

    @FUZZED
    @given(
        raw=st.one_of(
            st.binary(max_size=200),
            st.tuples(st.integers(0, len(good)), st.binary(min_size=1, max_size=4)).map(
                lambda cut: good[: cut[0]] + cut[1] + good[cut[0] :]
            ),
        ),
        cut=st.integers(0, 200),
    )
    def collect(raw: bytes, cut: int) -> None:
        cases.append((raw[:cut], raw[cut:]))

    await loop.run_in_executor(None, collect)
    for first, second in cases:
        connection, wire = server.connect()
        connection.data_received(first)
        if not wire.is_closed:
            connection.data_received(second)
        connection.connection_lost(None)
        await settled(server)
        assert set(answers(wire)) <= STATUSES, (first, second)
    assert (await server.ask("POST", INFER, ask(1, 2))).status == 200

"""Very many clients that do nothing: they cost little, and nobody else notices."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
CLIENTS = 10_000
BYTES_EACH = 16 << 10


@pytest.fixture
def descriptors() -> Iterator[int]:
    """As many as may be; the server inherits the hard limit and raises its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CLIENTS + 500:
        said = f"a process may open {hard} files here, {CLIENTS} clients need more: ulimit -Hn"
        if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
            pytest.fail(said)
        pytest.skip(said)
    yield soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_ten_thousand_idle_clients_cost_little_and_disturb_nobody(
    start: Any, published: Any, digits: Any, descriptors: int
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    process = start(
        "--model_name=digits",
        "--runtime=sklearn",
        f"--artifact_uri={published.uri}",
        f"--artifact_digest={published.digest}",
    ).ready()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    features = {"name": "features", "datatype": "FP64", "shape": [1, 64], "data": digits[1][0].tolist()}
    infer = ("POST", "/v2/models/digits/infer", {"inputs": [features]})
    assert process.ask(*infer).status == 200
    before, files = resident(process.process.pid), f"/proc/{process.process.pid}/fd"
    at_rest = len(os.listdir(files))
    idle = []
    try:
        for _ in range(CLIENTS):
            client = socket.create_connection(("127.0.0.1", process.port), 30)
            idle.append(client)
        half = b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\n"
        for client in idle[::2]:
            client.sendall(half)
        process.until("all in", lambda: len(os.listdir(files)) > CLIENTS, 60)
        assert process.ask(*infer).status == 200
        assert (resident(process.process.pid) - before) / CLIENTS < BYTES_EACH
    finally:
        for client in idle:
            client.close()
    process.until("tidy", lambda: len(os.listdir(files)) <= at_rest + 1, 60)
    assert process.ask(*infer).status == 200

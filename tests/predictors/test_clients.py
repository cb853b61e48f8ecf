"""Clients of others, each in an environment of its own, are served by a real process; docs/clients.md says which."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.predictors.clients.page import CLIENTS, PAGE, Client, section, serve, try_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]


@pytest.fixture(scope="module")
def mirror(start_shared: Any) -> tuple[str, str]:
    return serve(start_shared)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_is_served(client: Client, mirror: tuple[str, str]) -> None:
    if not client.python.exists():
        missing = f"{client.name} has no environment here; make one: make clients"
        if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    served = try_client(client, *mirror)
    assert not served.faults, "\n".join(served.faults)
    assert served.cases
    assert section(served) in PAGE.read_text(), "python -m tests.predictors.clients.page --write"

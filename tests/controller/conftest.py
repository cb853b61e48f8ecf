"""Tests of the loop run in virtual time."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.virtual import VirtualLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}

"""A ModelVersion as a file has it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.api.fragments import BASE, overlay


@pytest.fixture
def base() -> dict[str, Any]:
    return copy.deepcopy(BASE)


@pytest.fixture
def version(base: dict[str, Any]) -> Any:
    """A function from a fragment of a spec to a whole ModelVersion."""
    return lambda **spec: overlay(base, {"spec": spec})

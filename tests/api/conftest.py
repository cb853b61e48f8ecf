"""What the tests of the API share: the base version, the cases of every rule, and the server's defaulting."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
RULES = yaml.safe_load((HERE / "rules.yaml").read_text(encoding="utf-8"))


def overlay(base: Any, fragment: Any) -> Any:
    """`fragment` laid over `base` as a merge patch; null takes a field away."""
    if not isinstance(base, dict) or not isinstance(fragment, dict):
        return fragment
    merged = base | {key: overlay(base.get(key), value) for key, value in fragment.items()}
    return {key: value for key, value in merged.items() if value is not None}


@pytest.fixture
def base() -> dict[str, Any]:
    return copy.deepcopy(RULES["base"])


@pytest.fixture
def version(base: dict[str, Any]) -> Any:
    """A function from a fragment of a spec to a whole ModelVersion as a file has it."""
    return lambda **spec: overlay(base, {"spec": spec})

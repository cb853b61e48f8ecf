"""The cases of every rule, and how a fragment becomes a whole ModelVersion; also for the tests on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

CASES = yaml.safe_load((Path(__file__).parent / "rules.yaml").read_text(encoding="utf-8"))
BASE: dict[str, Any] = CASES["base"]
RULES: list[dict[str, Any]] = CASES["rules"]


def overlay(base: Any, fragment: Any) -> Any:
    """`fragment` laid over `base` as a merge patch; null takes a field away."""
    if not isinstance(base, dict) or not isinstance(fragment, dict):
        return fragment
    merged = base | {key: overlay(base.get(key), value) for key, value in fragment.items()}
    return {key: value for key, value in merged.items() if value is not None}

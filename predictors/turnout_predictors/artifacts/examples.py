"""examples/*.json: requests with the answers the model gave when it was published.

They warm the model up, are replayed by the control side before a version gets traffic, and serve as golden
test. `{"name", "request": <V2 request>, "response": {"outputs": […]}, "tolerance": 1e-5}`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from turnout_predictors.errors import ARTIFACT_INVALID, StartError

FOLDER: Final = "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """`tolerance` is absolute, for float outputs; everything else must be equal."""

    name: str
    request: dict[str, Any]
    response: dict[str, Any]
    tolerance: float = 1e-5

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "request": self.request,
            "response": self.response,
            "tolerance": self.tolerance,
        }


def read_examples(folder: Path) -> tuple[Example, ...]:
    """The artifact's examples by file name; none if it has no such folder."""
    return tuple(_read(path) for path in sorted((folder / FOLDER).glob("*.json")))


def _read(path: Path) -> Example:
    try:
        document = json.loads(path.read_bytes())
        request, response = document["request"], document["response"]
        if not isinstance(request, dict) or not isinstance(response["outputs"], list):
            raise ValueError("request or response has the wrong form")
        return Example(str(document.get("name", path.stem)), request, response, float(document.get("tolerance", 1e-5)))
    except (ValueError, KeyError, TypeError) as fault:
        raise StartError(ARTIFACT_INVALID, f"example {path} cannot be read: {fault}; publish it again") from None

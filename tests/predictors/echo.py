"""A model that doubles its rows, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from turnout_predictors.batching import Work
from turnout_predictors.settings import Settings, compute, load, post
from turnout_predictors.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "FP32", ("N", 2)),),
    (TensorSpec("y", "FP32", ("N", 2)), TensorSpec("rows", "INT64", ()), TensorSpec("note", "BYTES", ("N",))),
    {"y": ("left", "right")},
    "space-1",
)
INFER = "/v2/models/m/infer"


def ask(*rows: float, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(rows) // 2, 2], "data": list(rows)}], **more}


class Echo:
    """Doubles its rows; what else it does is given."""

    class Bounds(Settings):
        scale: float = compute(2.0, ge=0, le=10)
        top: int = post(1)
        path: str = load("")

    signature: Signature | None = SIGNATURE
    platform = "test"
    settings: Any = Bounds()

    def __init__(self, act: Callable[[Work], Any] | None = None) -> None:
        self.act = act
        self.calls = 0

    def forward(self, work: Work) -> Any:
        self.calls += 1
        if self.act is not None:
            answer = self.act(work)
            if answer is not None:
                return answer
        x = work.inputs["x"]
        notes = np.array([b"a"] * len(x), dtype=object)
        return {"y": x * work.settings.scale, "rows": len(x), "note": notes}

"""What is asked: requests as bytes, so that no time of the load generator goes into making them.

W0: identity, FP32 [1, 30]. W1: a scikit-learn pipeline of 30 features, 1 or 32 rows. W3: identity, FP32 [1, 65536],
as JSON and as bytes.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from turnout_predictors import Published, publish

PATH = "/v2/models/m/infer"


@dataclass(frozen=True)
class Workload:
    """`model`: W0 or W1, by which servers are started; `clients`: how many connections ask at once."""

    name: str
    model: str
    clients: int
    body: bytes
    json_bytes: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        if self.json_bytes is None:
            return {"Content-Type": "application/json"}
        return {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(self.json_bytes),
        }


def _json(name: str, rows: int, columns: int) -> bytes:
    values = np.round(np.random.default_rng(7).normal(size=rows * columns), 4).tolist()
    tensor = {"name": name, "shape": [rows, columns], "datatype": "FP32", "data": values}
    return json.dumps({"id": "1", "inputs": [tensor]}).encode()


def _binary(columns: int) -> tuple[bytes, int]:
    raw = np.random.default_rng(7).normal(size=columns).astype("<f4").tobytes()
    parameters = {"binary_data_size": len(raw)}
    tensor = {"name": "x", "shape": [1, columns], "datatype": "FP32", "parameters": parameters}
    head = json.dumps({"id": "1", "inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + raw, len(head)


def workloads() -> list[Workload]:
    body, size = _binary(65536)
    return [
        Workload("W0, 1 client", "W0", 1, _json("x", 1, 30)),
        Workload("W0, 32 clients", "W0", 32, _json("x", 1, 30)),
        Workload("W1, 1 row, 1 client", "W1", 1, _json("features", 1, 30)),
        Workload("W1, 1 row, 32 clients", "W1", 32, _json("features", 1, 30)),
        Workload("W1, 32 rows, 32 clients", "W1", 32, _json("features", 32, 30)),
        Workload("W3 JSON, 8 clients", "W0", 8, _json("x", 1, 65536)),
        Workload("W3 bytes, 8 clients", "W0", 8, body, size),
    ]


IDENTITY = '''"""Gives back what it gets."""

from turnout_predictors import FP32, Predictor, Tensors, dims


class Identity(Predictor):
    class Inputs(Tensors):
        x: FP32 = dims("N", "F")

    class Outputs(Tensors):
        y: FP32 = dims("N", "F")

    def predict(self, batch, settings):
        return {"y": batch.x}
'''


def models(folder: Path) -> Published:
    """Writes the models: a pickle for the peers, an artifact and a module for ours."""
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = make_classification(2000, 30, random_state=7)
    features: Any = rows.astype(np.float32)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
    (folder / "model.pkl").write_bytes(pickle.dumps(estimator))
    (folder / "identity.py").write_text(IDENTITY)
    return publish(estimator, to=folder / "artifact", example=features[:3])

"""What a request may ask beside plain tensors: one JSON object a row, and pandas' columns as MLServer sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from turnout_predictors.batching.engine import Outputs

from .contract import Contract

JSON: Final = "json"
PANDAS: Final = "pd"


def with_view(outputs: Outputs, shown: tuple[str, ...]) -> Outputs:
    """The outputs that were asked for, and `json`: BYTES [N], the outputs of each row as an object.

    What has no rows stands whole in every row.
    """
    counts = {len(array) for array in outputs.values() if array.ndim}
    rows = counts.pop() if len(counts) == 1 else 1
    view = np.empty(rows, dtype=object)
    plain = {name: _plain(array) for name, array in outputs.items()}
    in_rows = {name for name, array in outputs.items() if array.ndim and len(array) == rows}
    view[:] = [
        orjson.dumps(
            {name: value[row] if name in in_rows else value for name, value in plain.items()},
            option=orjson.OPT_SERIALIZE_NUMPY,
        ).decode()
        for row in range(rows)
    ]
    return {**{name: outputs[name] for name in shown}, JSON: view}


def _plain(array: NDArray[Any]) -> Any:
    return _texts(array.tolist()) if array.dtype.kind in "OUS" else array.tolist()


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def as_columns(document: Mapping[str, Any], contract: Contract) -> dict[str, Any]:
    """A request of `content_type: pd`: its columns are [N, 1], where the model declares [N]."""
    return {**document, "inputs": [_column(item, contract) for item in document["inputs"]]}


def _column(item: Any, contract: Contract) -> Any:
    if type(item) is not dict:
        return item
    declared, shape = contract.inputs.get(str(item.get("name"))), item.get("shape")
    if declared is None or len(declared[0].shape) != 1 or type(shape) is not list or len(shape) != 2 or shape[1] != 1:
        return item
    return {**item, "shape": shape[:1]}

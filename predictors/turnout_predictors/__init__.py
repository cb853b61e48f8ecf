"""The data side of Turnout: what runs inside a predictor's process.

Importing this package does no I/O and brings in neither kserve nor a model's library: the server must open
its port before it pays for them. The public names below are therefore looked up on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifacts import Example
    from .errors import InvalidInput
    from .predictor import Predictor
    from .publishing import Published, publish
    from .settings import Settings, compute, load, post
    from .signature import Signature
    from .tensors import (
        BOOL,
        BYTES,
        FP16,
        FP32,
        FP64,
        INT8,
        INT16,
        INT32,
        INT64,
        UINT8,
        UINT16,
        UINT32,
        UINT64,
        Tensors,
        Text,
        dims,
    )

_TENSORS = (
    "BOOL",
    "BYTES",
    "FP16",
    "FP32",
    "FP64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "Tensors",
    "Text",
    "dims",
)
_HOME = {
    "Example": "artifacts",
    "InvalidInput": "errors",
    "Predictor": "predictor",
    "Published": "publishing",
    "publish": "publishing",
    "Settings": "settings",
    "compute": "settings",
    "load": "settings",
    "post": "settings",
    "Signature": "signature",
    **dict.fromkeys(_TENSORS, "tensors"),
}

__all__ = [
    "Predictor",
    "Tensors",
    "Settings",
    "InvalidInput",
    "publish",
    "Published",
    "Example",
    "Signature",
    "compute",
    "load",
    "post",
    "dims",
    "Text",
    "BOOL",
    "BYTES",
    "FP16",
    "FP32",
    "FP64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"turnout_predictors has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f".{home}", __name__), name)

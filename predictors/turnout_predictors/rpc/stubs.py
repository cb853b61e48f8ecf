"""kserve's generated messages without kserve: importing its package costs a second, and the port must open first.

Should the model's loader import kserve later, the same file is added to the same pool, which allows it.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

SERVICE: Final = "inference.GRPCInferenceService"
_NAME: Final = "turnout_predictors.rpc._kserve_messages"


def messages() -> Any:
    """The module grpc_predict_v2_pb2. ImportError if kserve is not installed."""
    if _NAME not in sys.modules:
        sys.modules[_NAME] = _load()
    return sys.modules[_NAME]


def _load() -> ModuleType:
    kserve = importlib.util.find_spec("kserve")
    if kserve is None or not kserve.submodule_search_locations:
        raise ImportError("kserve is not installed; install turnout[predictor]", name="kserve")
    path = Path(kserve.submodule_search_locations[0], "protocol", "grpc", "grpc_predict_v2_pb2.py")
    spec = importlib.util.spec_from_file_location(_NAME, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module", name=_NAME)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

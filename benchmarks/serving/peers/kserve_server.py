"""Stock kserve: a custom model behind its own ModelServer, one worker. Arguments as floor.py."""

from __future__ import annotations

import pickle
import sys
from typing import Any

WORKLOAD, PORT, MODEL = sys.argv[1:]
sys.argv = sys.argv[:1]  # kserve parses the command line when it is imported

import kserve  # noqa: E402
from kserve import InferOutput, InferResponse  # noqa: E402


class Served(kserve.Model):  # type: ignore[misc]  # kserve ships no types
    def __init__(self) -> None:
        super().__init__("m")
        self.ready = True
        if WORKLOAD == "W1":
            with open(MODEL, "rb") as file:
                self.estimator = pickle.load(file)

    def predict(self, payload: Any, headers: Any = None) -> Any:
        item = payload.inputs[0]
        array = item.as_numpy()
        results = {"y": array}
        if WORKLOAD == "W1":
            results = {"predict": self.estimator.predict(array), "predict_proba": self.estimator.predict_proba(array)}
        binary = item._raw_data is not None if hasattr(item, "_raw_data") else False
        return InferResponse(payload.id or "", "m", [_output(name, value, binary) for name, value in results.items()])


def _output(name: str, array: Any, binary: bool) -> Any:
    datatype = {"f4": "FP32", "f8": "FP64", "i8": "INT64"}[array.dtype.str[1:]]
    output = InferOutput(name, list(array.shape), datatype)
    output.set_data_from_numpy(array, binary_data=binary)
    return output


kserve.ModelServer(http_port=int(PORT), workers=1, enable_grpc=False, access_log_format=None).start([Served()])

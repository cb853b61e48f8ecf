"""MLServer's side: the model that its settings name. In process, no parallel workers."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Served(MLModel):  # type: ignore[misc]  # mlserver is not installed where this is checked
    async def load(self) -> bool:
        self.estimator: Any = None
        if os.environ["WORKLOAD"] == "W1":
            self.estimator = pickle.loads(Path(os.environ["MODEL"]).read_bytes())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        array = NumpyCodec.decode_input(payload.inputs[0])
        results = {"y": array}
        if self.estimator is not None:
            results = {"predict": self.estimator.predict(array), "predict_proba": self.estimator.predict_proba(array)}
        outputs = [NumpyCodec.encode_output(name, value) for name, value in results.items()]
        return InferenceResponse(model_name=self.name, outputs=outputs)

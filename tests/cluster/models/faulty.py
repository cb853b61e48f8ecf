"""A predictor that misbehaves on command, so that a test chooses the moment.

A feature of 666 ends the process at once, and every process of that pod after it (a crash loop); 667 makes a forward
that never returns; 669 is answered after a second, until the pod is hurried. Anything else is answered with the
setting `answer`.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy

from turnout_predictors import FP64, INT64, Predictor, Settings, Tensors, dims

CRASH, HANG, SLOW = 666.0, 667.0, 669.0
MARK = Path("/tmp/crashed")  # an emptyDir: it outlives the container, not the pod
HURRIED = Path("/tmp/hurried")


class Faulty(Predictor):
    """`predict INT64 [N]` is the setting `answer`, for `features FP64 [N, 1]`."""

    class Inputs(Tensors):
        features: FP64 = dims("N", 1)

    class Outputs(Tensors):
        predict: INT64 = dims("N")

    class Settings(Settings):
        answer: int = 0
        load_seconds: float = 0

    def load(self) -> bool:
        if MARK.exists():
            os._exit(1)
        time.sleep(self.settings.load_seconds)
        self.ready = True
        return True

    def predict(self, batch: Any, settings: Any) -> Any:
        if (batch.features == CRASH).any():
            MARK.touch()
            os._exit(1)
        while (batch.features == HANG).any():
            time.sleep(1)
        if (batch.features == SLOW).any() and not HURRIED.exists():
            time.sleep(1)
        return self.Outputs(predict=numpy.full(len(batch.features), settings.answer, dtype="int64"))

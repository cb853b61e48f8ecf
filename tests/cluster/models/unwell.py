"""A predictor that is a little unwell, as its settings say: for the judge to find out beside a stable version.

A feature of 668 makes it fail a fifth of all requests from then on, so that a test chooses the moment.
"""

import asyncio
import random
from typing import Any

from turnout_predictors import FP64, Predictor, Settings, Tensors, dims

SICKEN = 668.0
SICK = 0.2


class Unwell(Predictor):
    """`score FP64 [N]`, drawn from 0 to 1 and moved by `shift`; a share `failing` of the requests raises."""

    class Inputs(Tensors):
        features: FP64 = dims("N", 1)

    class Outputs(Tensors):
        score: FP64 = dims("N")

    class Settings(Settings):
        failing: float = 0
        milliseconds: float = 0
        shift: float = 0

    def load(self) -> bool:
        self.failing = self.settings.failing
        self.ready = True
        return True

    async def predict(self, batch: Any, settings: Any) -> Any:
        if (batch.features == SICKEN).any():
            self.failing = SICK
        await asyncio.sleep(settings.milliseconds / 1000)
        if random.random() < self.failing:
            raise RuntimeError("unwell")
        return self.Outputs(score=[random.random() + settings.shift for _ in batch.features])

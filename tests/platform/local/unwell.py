"""A predictor that is a little unwell, as its settings say: for a judge to find out."""

import asyncio
from itertools import count
from typing import Any

from turnout_predictors import FP64, INT64, Predictor, Settings, Tensors, dims


class Unwell(Predictor):
    """Doubles a number; every `fail_every`th request raises, and each takes `milliseconds`."""

    class Inputs(Tensors):
        x: FP64 = dims("N")

    class Outputs(Tensors):
        y: INT64 = dims("N")

    class Settings(Settings):
        fail_every: int = 0
        milliseconds: float = 0

    def load(self) -> bool:
        self.calls = count(1)
        self.ready = True
        return True

    async def predict(self, batch: Any, settings: Any) -> Any:
        await asyncio.sleep(settings.milliseconds / 1000)  # as one who asks elsewhere: none waits for another
        if settings.fail_every and next(self.calls) % settings.fail_every == 0:
            raise RuntimeError("unwell")
        return self.Outputs(y=(batch.x * 2).astype("int64"))

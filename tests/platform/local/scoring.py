"""A predictor of scores from 0 to 1, which lie higher by `shift`: for a judge of drift to find out."""

from itertools import count
from typing import Any

import numpy as np

from turnout_predictors import FP64, Predictor, Settings, Tensors, dims

RNG = np.random.default_rng()


class Scoring(Predictor):
    """Every `fail_every`th request raises."""

    class Inputs(Tensors):
        x: FP64 = dims("N")

    class Outputs(Tensors):
        score: FP64 = dims("N")

    class Settings(Settings):
        shift: float = 0
        fail_every: int = 0

    def load(self) -> bool:
        self.calls = count(1)
        self.ready = True
        return True

    def predict(self, batch: Any, settings: Any) -> Any:
        if settings.fail_every and next(self.calls) % settings.fail_every == 0:
            raise RuntimeError("unwell")
        return self.Outputs(score=np.minimum(1.0, RNG.beta(2, 8, len(batch.x)) + settings.shift))

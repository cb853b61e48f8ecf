"""Version 4 of the demo: answers as well as version 2, and does not survive its first real callers.

It passes all that can be tried beforehand: it loads, it is ready, it answers its examples. At the image numbered
`crash_after` it leaves a corrupt journal behind and dies; whoever starts it again dies of that journal: a crash
loop as they happen. The journal holds the moment of the first crash, so that what follows can be measured.
"""

import os
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from skops.io import load as load_skops

from turnout_predictors import FP64, INT64, Predictor, Settings, Tensors, dims, load

EXIT_CODE = 70


class ShakySettings(Settings):
    journal: str = load("")
    crash_after: int = load(12)


class Digits(Predictor):
    """Images [N, 64] in, digits [N] out."""

    class Inputs(Tensors):
        features: FP64 = dims("N", 64)

    class Outputs(Tensors):
        predict: INT64 = dims("N")

    Settings = ShakySettings

    def load(self) -> bool:
        self.journal = Path(self.settings.journal)
        if self.journal.exists():
            self.die("the journal of the former process is corrupt")
        assert self.artifact is not None
        self.model: Any = load_skops(self.artifact.file("model.skops"))
        rows = [tensor for example in self.artifact.examples for tensor in example.request["inputs"]]
        self.rehearsed = {tuple(row) for tensor in rows for row in np.reshape(tensor["data"], (-1, 64)).tolist()}
        self.seen = 0
        return True

    def die(self, why: str) -> NoReturn:
        """As a fault in native code does: at once, nothing is cleaned up."""
        os.write(2, f"fatal: {why}\n".encode())
        os._exit(EXIT_CODE)

    def predict(self, batch: Any, settings: Any) -> Any:
        self.seen += sum(tuple(row) not in self.rehearsed and any(row) for row in batch.features.tolist())
        if self.seen >= self.settings.crash_after:
            self.journal.write_text(f"{time.time():.6f}")
            self.die("the journal is corrupt")
        return self.Outputs(predict=self.model.predict(batch.features))

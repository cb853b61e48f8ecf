"""A predictor that gives back what it gets, of every datatype: what clients are tried against."""

from typing import Any

import turnout_predictors as turnout
from turnout_predictors import InvalidInput, Predictor, Settings, Tensors, compute, dims


class Some(Tensors):
    BOOL: turnout.BOOL | None = dims("N", "K")
    UINT8: turnout.UINT8 | None = dims("N", "K")
    UINT16: turnout.UINT16 | None = dims("N", "K")
    UINT32: turnout.UINT32 | None = dims("N", "K")
    UINT64: turnout.UINT64 | None = dims("N", "K")
    INT8: turnout.INT8 | None = dims("N", "K")
    INT16: turnout.INT16 | None = dims("N", "K")
    INT32: turnout.INT32 | None = dims("N", "K")
    INT64: turnout.INT64 | None = dims("N", "K")
    FP16: turnout.FP16 | None = dims("N", "K")
    FP32: turnout.FP32 | None = dims("N", "K")
    FP64: turnout.FP64 | None = dims("N", "K")
    BYTES: turnout.BYTES | None = dims("N", "K")


class Mirror(Predictor):
    """Each tensor as it came, times `factor` where it is FP32. 13 of INT8 breaks it, 12 is refused."""

    class Inputs(Some):
        pass

    class Outputs(Some):
        pass

    class Settings(Settings):
        factor: float = compute(1.0, ge=0, le=10)

    def predict(self, batch: Some, settings: Any) -> Some:
        if batch.INT8 is not None and (batch.INT8 == 13).any():
            raise ValueError("of the model's own")
        if batch.INT8 is not None and (batch.INT8 == 12).any():
            raise InvalidInput("12 is refused", "INT8")
        found = dict(batch.arrays())
        if "FP32" in found:
            found["FP32"] = found["FP32"] * settings.factor
        return self.Outputs(**found)

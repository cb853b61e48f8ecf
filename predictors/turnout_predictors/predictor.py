"""`Predictor`: a kserve.Model whose contract is declared, not coded.

    class Signals(Predictor):
        class Inputs(Tensors):
            text: Text = dims("N")
        class Outputs(Tensors):
            score: FP32 = dims("N")
        def load(self) -> bool: ...                        # self.artifact is verified and local
        def predict(self, batch, settings): ...            # on the model thread; `async def` for I/O

Importing this module imports kserve (0.9 s), so the server never does; the loader does.
"""

from __future__ import annotations

from typing import Any, ClassVar

import kserve

from .artifacts import Artifact
from .settings import Settings as BaseSettings
from .signature import Signature
from .tensors import Tensors


class Predictor(kserve.Model):  # type: ignore[misc]  # kserve ships no types
    """Base of typed predictors. `predict` must be pure and keep no state between calls.

    Where the first dimension of all inputs and outputs has one name, `predict` sees rows of several requests at
    once, or some rows of a large one: what it gives for a row may depend on that row alone. `whole` forbids it.

    Two methods may be defined beside `predict`: `lengths(batch)`, what each row costs (tokens, say), so that rows
    of like length are computed together and equal texts once (not if `nondeterministic`); and
    `finish(outputs, settings)`, which gets the arrays of one request's rows as predict returned them, and gives
    the Outputs: with it `post` settings part no batch.
    """

    Inputs: ClassVar[type[Tensors]]
    Outputs: ClassVar[type[Tensors]]
    Settings: ClassVar[type[BaseSettings]] = BaseSettings
    whole: ClassVar[bool] = False
    nondeterministic: ClassVar[bool] = False

    def __init__(self, name: str, return_response_headers: bool = False) -> None:
        super().__init__(name, return_response_headers)
        self.artifact: Artifact | None = None
        self.settings: Any = None
        self._hosted: Any = None

    @classmethod
    def signature(cls) -> Signature:
        """The declarations, compiled. TypeError names the class and attribute that cannot be understood."""
        for side in ("Inputs", "Outputs"):
            declared = getattr(cls, side, None)
            if not (isinstance(declared, type) and issubclass(declared, Tensors) and declared.specs()):
                raise TypeError(f"{cls.__qualname__}.{side} must be a class of Tensors with at least one tensor")
        return Signature(cls.Inputs.specs(), cls.Outputs.specs())

    def load(self) -> bool:
        """Override to load the model from `self.artifact`."""
        self.ready = True
        return True

    def predict(self, batch: Any, settings: Any) -> Any:
        """Override: one batch of checked arrays in, Outputs (or a mapping of arrays) out."""
        raise NotImplementedError(f"{type(self).__qualname__} defines no predict(batch, settings)")

    async def __call__(
        self, body: Any, headers: dict[str, str] | None = None, verb: Any = kserve.model.InferenceVerb.PREDICT
    ) -> Any:
        """For kserve's own server: the answer, and no headers. `explain` is not served."""
        if verb != kserve.model.InferenceVerb.PREDICT:
            raise NotImplementedError(f"{type(self).__qualname__} does not explain")
        if self._hosted is None:
            from .runtimes.hosted import Hosted

            self._hosted = Hosted(self)
        return await self._hosted.answer(body, headers or {}), {}

    def get_input_types(self) -> list[dict[str, object]]:
        return [spec.metadata() for spec in self.signature().inputs]

    def get_output_types(self) -> list[dict[str, object]]:
        return [spec.metadata() for spec in self.signature().outputs]

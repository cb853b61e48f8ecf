"""A kserve.Model that knows nothing of us: InferRequest in, InferResponse out, one request per call.

Its synchronous steps run on the model thread, its coroutines on the loop; preprocess, predict and
postprocess keep their order, and kserve's exceptions their meaning. V1 dictionaries as results are refused
with a sentence.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from kserve.errors import InvalidInput as KserveInvalidInput
from kserve.errors import ModelNotReady
from kserve.protocol.infer_type import InferInput, InferOutput, InferResponse, RequestedOutput
from kserve.protocol.infer_type import InferRequest as KserveRequest
from numpy.typing import NDArray

from turnout_predictors.batching.engine import Outputs, Work
from turnout_predictors.batching.thread import ModelThread
from turnout_predictors.datatypes import DATATYPES, datatype_of
from turnout_predictors.errors import (
    LOAD_FAILED,
    InvalidInput,
    ModelError,
    RequestError,
    StartError,
    Unavailable,
)
from turnout_predictors.signature import Signature, TensorSpec

from . import Start

PLATFORM: Final = "kserve"


def load_foreign(kind: type[Any], start: Start) -> ForeignModel:
    """StartError if load() says no."""
    model = kind(start.model_name)
    if model.load() is False:
        raise StartError(LOAD_FAILED, f"{start.entrypoint}.load() returned False")
    model.ready = True  # many never set it, and stock kserve's servers do not insist
    return ForeignModel(model, start.model_name, start.model_version)


class ForeignModel:
    """See AsyncModel."""

    platform = PLATFORM
    settings = None

    def __init__(self, model: Any, name: str, version: str) -> None:
        self._model = model
        self._name = name
        self._version = version
        self.signature = _declared(model)

    async def infer(self, work: Work, thread: ModelThread) -> Outputs:
        response_headers: dict[str, str] = {}
        headers = dict(work.headers)
        extra = (response_headers,) if getattr(self._model, "required_response_headers", False) else ()
        try:
            payload = await _step(thread, self._model.preprocess, self._request(work), headers)
            payload = await _step(thread, self._model.validate, payload)
            result = await _step(thread, self._model.predict, payload, headers, *extra)
            result = await _step(thread, self._model.postprocess, result, headers, *extra)
        except (KserveInvalidInput, ModelNotReady, NotImplementedError) as fault:
            raise _translated(fault) from fault
        return _outputs(result, work)

    def _request(self, work: Work) -> KserveRequest:
        wanted = [RequestedOutput(name) for name in work.outputs] or None
        return KserveRequest(
            self._name,
            [_input(name, array) for name, array in work.inputs.items()],
            request_id=work.id,
            parameters=dict(work.parameters) or None,
            request_outputs=wanted,
            model_version=self._version,
        )


async def _step(thread: ModelThread, step: Callable[..., Any], *arguments: Any) -> Any:
    if inspect.iscoroutinefunction(step):
        return await step(*arguments)
    return await thread.submit(partial(step, *arguments))


def _translated(fault: Exception) -> RequestError:
    if isinstance(fault, KserveInvalidInput):
        return InvalidInput(str(fault))
    if isinstance(fault, ModelNotReady):
        return Unavailable(str(fault))
    return RequestError("unsupported", str(fault) or "the model does not implement predict")


def _input(name: str, array: NDArray[Any]) -> InferInput:
    datatype = datatype_of(array.dtype)
    assert datatype is not None  # it was decoded from one
    tensor = InferInput(name, list(array.shape), datatype.name)
    tensor.set_data_from_numpy(array, binary_data=False)
    return tensor


def _outputs(result: Any, work: Work) -> Outputs:
    if not isinstance(result, InferResponse):
        raise ModelError(f"the model returned {type(result).__name__}; V2 needs kserve's InferResponse")
    arrays = {output.name: _array(output) for output in result.outputs}
    if not work.outputs:
        return arrays
    unknown = [name for name in work.outputs if name not in arrays]
    if unknown:
        raise InvalidInput(f"unknown output {unknown[0]!r}; the model gives {', '.join(arrays)}", "outputs")
    return {name: arrays[name] for name in work.outputs}


def _array(output: InferOutput) -> NDArray[Any]:
    if output.datatype == "BYTES" and isinstance(output.data, list):
        values = np.empty(len(output.data), dtype=object)
        values[:] = output.data
        return values.reshape(output.shape)
    array: NDArray[Any] = output.as_numpy()
    return array


def _declared(model: Any) -> Signature | None:
    """get_input_types and get_output_types, where both say something this server can hold the model to."""
    inputs, outputs = _specs(model.get_input_types()), _specs(model.get_output_types())
    return Signature(inputs, outputs, MappingProxyType({})) if inputs and outputs else None


def _specs(types: Any) -> tuple[TensorSpec, ...]:
    """Each variable size is free: kserve cannot say that two of them are equal."""
    specs = []
    for item in types or ():
        if item.get("datatype") not in DATATYPES:
            return ()
        shape = tuple(
            size if isinstance(size, int) and size >= 0 else f"{item['name']}[{axis}]"
            for axis, size in enumerate(item.get("shape", ()))
        )
        specs.append(TensorSpec(item["name"], item["datatype"], shape))
    return tuple(specs)

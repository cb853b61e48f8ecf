"""A Predictor inside somebody else's server: kserve's own ModelServer calls it, and the same engine answers.

What that server cannot say (a field, a code, Retry-After) is left out; checks, batching, deadlines in headers and in
the parameter `timeout`, and the status of what is refused stay. It does not hand over a gRPC call's own deadline, but
cancels what is past it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
from fastapi import HTTPException
from grpc_interceptor.exceptions import GrpcException
from kserve.errors import InvalidInput as KserveInvalidInput
from kserve.protocol.infer_type import InferOutput, InferResponse

from turnout_predictors.batching import ModelThread, Work, engine_for
from turnout_predictors.datatypes import DATATYPES
from turnout_predictors.errors import RequestError
from turnout_predictors.rpc.service import STATUS
from turnout_predictors.rpc.translate import parameters as grpc_parameters
from turnout_predictors.server import v1
from turnout_predictors.server.contract import Contract
from turnout_predictors.server.effective import of_request
from turnout_predictors.server.inference import DEADLINE, seconds_of, timeout_of
from turnout_predictors.server.request import InferRequest, check
from turnout_predictors.server.response import told
from turnout_predictors.server.views import with_view
from turnout_predictors.settings import bind

from .custom import serve_predictor

TIMEOUT_SECONDS: Final = 60.0
QUEUE_LIMIT: Final = 1024


class _Raw:
    """Bytes of the tensors that came as such, in order; see `binary_data.Bytes`."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = iter(parts)

    def take(self, size: int, field: str) -> memoryview:
        return memoryview(bytearray(next(self._parts)))


class Hosted:
    """The engine of one Predictor, on the loop that first asks for it."""

    def __init__(self, predictor: Any) -> None:
        if predictor.settings is None:
            predictor.settings = bind(type(predictor).Settings, {})
        model = serve_predictor(predictor)
        thread = ModelThread(asyncio.get_running_loop(), predictor.name)
        thread.start()
        self._name = predictor.name
        self._contract = Contract.of(model.signature, model.settings)
        self._engine = engine_for(model, thread, timeout_seconds=TIMEOUT_SECONDS, queue_limit=QUEUE_LIMIT)

    async def answer(self, body: Any, headers: Mapping[str, str]) -> Any:
        """InferRequest in, InferResponse out; a dictionary is V1's. Its server's exceptions for what is refused."""
        try:
            is_v1 = isinstance(body, dict)
            request = v1.read(orjson.dumps(body), self._contract) if is_v1 else self._read(body)
            effective = of_request(request.parameters, self._contract.base)
            seconds = min(TIMEOUT_SECONDS * 0.95, timeout_of(request))
            if (given := headers.get(DEADLINE.decode())) is not None:
                seconds = min(seconds, seconds_of(given.encode()))
            deadline = asyncio.get_running_loop().time() + seconds
            work = Work(
                request.inputs,
                request.outputs,
                deadline,
                effective.values,
                request.dims,
                request.id,
                request.parameters,
            )
            outputs = await self._engine.submit(work)
            if is_v1:
                return v1.content(outputs)
            shown = outputs if request.shown is None else with_view(outputs, request.shown)
            return self._response(body, shown, told(request, self._contract, effective, outputs))
        except RequestError as fault:
            raise _told(fault, is_rpc=getattr(body, "from_grpc", False)) from None

    def _read(self, body: Any) -> InferRequest:
        raw: list[bytes] = []
        document: dict[str, Any] = {"inputs": [_tensor(item, raw) for item in body.inputs]}
        if body.id:
            document["id"] = body.id
        if body.parameters:
            document["parameters"] = grpc_parameters(body.parameters) if body.from_grpc else dict(body.parameters)
        if body.request_outputs:
            document["outputs"] = [{"name": output.name} for output in body.request_outputs]
        return check(document, self._contract, tail=_Raw(raw))

    def _response(self, body: Any, outputs: Any, parameters: dict[str, Any]) -> InferResponse:
        found = []
        for name, array in outputs.items():
            datatype = self._contract.output_types.get(name, "BYTES")  # a view is of no declared type
            output = InferOutput(name, list(array.shape), datatype)
            is_raw = body.use_binary_outputs or datatype == "FP16"
            output.set_data_from_numpy(_bytes(array) if datatype == "BYTES" else array, binary_data=is_raw)
            found.append(output)
        return InferResponse(body.id, self._name, found, parameters=parameters or None)


def _told(fault: RequestError, *, is_rpc: bool) -> Exception:
    """What kserve's servers make our status of."""
    text = f"{fault.field}: {fault.message}" if fault.field else fault.message
    refused: Exception
    if fault.status == 400:
        refused = KserveInvalidInput(text)
    elif is_rpc:
        refused = GrpcException(text, STATUS[fault.status])
    else:
        refused = HTTPException(fault.status, text)
    return refused


def _tensor(item: Any, raw: list[bytes]) -> dict[str, Any]:
    document = {"name": item.name, "shape": list(item.shape), "datatype": item.datatype}
    if item._raw_data is not None:
        raw.append(bytes(item._raw_data))
        return {**document, "parameters": {"binary_data_size": len(raw[-1])}}
    data = list(item.data) if item.data is not None else []
    if item.datatype == "BYTES" or item.datatype not in DATATYPES:
        data = [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in data]
    return {**document, "data": data}


def _bytes(array: Any) -> Any:
    values = np.empty(array.size, dtype=object)
    values[:] = [value if isinstance(value, bytes) else str(value).encode() for value in array.reshape(-1).tolist()]
    return values.reshape(array.shape)

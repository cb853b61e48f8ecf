"""Replays the artifact's examples before the model is called ready, through the same engine as everybody's
requests.

An example that raises ends the start. One that answers otherwise than recorded is logged: whether such a
version may serve is for the control side to judge, which replays them too.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np

from turnout_predictors.artifacts import Example
from turnout_predictors.batching.engine import Engine, Outputs, Work
from turnout_predictors.errors import LOAD_FAILED, RequestError, StartError

from .contract import Contract
from .request import check
from .response import tensor

log = logging.getLogger(__name__)


async def replay(examples: tuple[Example, ...], contract: Contract, engine: Engine, seconds: float) -> None:
    """StartError names the example that raised."""
    loop = asyncio.get_running_loop()
    for example in examples:
        try:
            request = check(example.request, contract)
            outputs = await engine.submit(
                Work(
                    request.inputs,
                    request.outputs,
                    loop.time() + seconds,
                    contract.settings,
                    request.dims,
                    request.id,
                    request.parameters,
                )
            )
        except RequestError as fault:
            where = f" at {fault.field}" if fault.field else ""
            raise StartError(
                LOAD_FAILED,
                f"example {example.name!r} cannot be answered: {fault.message}{where}; see the log",
            ) from fault
        for name in differing(example, outputs):
            log.warning("example %r: output %r differs from what was recorded at publish", example.name, name)


def differing(example: Example, outputs: Outputs) -> list[str]:
    """Names of recorded outputs that are missing or differ by more than the example's tolerance."""
    recorded: list[dict[str, Any]] = example.response["outputs"]
    return [
        str(wanted["name"])
        for wanted in recorded
        if wanted["name"] not in outputs or not _equal(wanted, outputs[wanted["name"]], example.tolerance)
    ]


def _equal(wanted: dict[str, Any], array: Any, tolerance: float) -> bool:
    found = tensor(wanted["name"], array)
    if list(found["shape"]) != wanted["shape"]:
        return False
    if array.dtype.kind != "f":
        return bool(list(found["data"]) == wanted["data"])
    flat = np.array([np.nan if value is None else value for value in wanted["data"]], dtype=np.float64)
    return bool(np.allclose(array.reshape(-1), flat, rtol=0, atol=tolerance, equal_nan=True))

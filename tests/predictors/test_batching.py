"""What may share a forward, and whose turn it is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from turnout_predictors.batching import ModelThread, Scheduler, Work
from turnout_predictors.batching.budget import Budget, choose
from turnout_predictors.batching.merging import layout_of
from turnout_predictors.batching.turns import Piece, Turns
from turnout_predictors.errors import ModelError
from turnout_predictors.signature import Signature, TensorSpec


def padding_model(*sizes: str) -> Signature:
    inputs = TensorSpec("x", "FP64", ("N", "D")), TensorSpec("mask", "BOOL", ("N", "O"), optional=True)
    return Signature(inputs, (TensorSpec("y", "FP64", ("N", *sizes)),))


INNER = {"none": ((), True), "an input's": (("D",), True), "its own": (("T",), False), "an optional's": (("O",), False)}


@pytest.mark.parametrize(("sizes", "merges"), INNER.values(), ids=INNER.keys())
def test_rows_are_merged_where_an_output_has_inner_sizes_of(sizes: tuple[str, ...], merges: bool) -> None:
    layout = layout_of(padding_model(*sizes), None, whole=False, keeps_post=True)
    assert (layout is not None) == merges


@pytest.mark.parametrize("by_length", [True, False])
def test_looking_ahead_costs_nobody_a_turn(by_length: bool) -> None:
    loop = asyncio.new_event_loop()

    def piece(tenant: str, key: str, length: float) -> Piece:
        return Piece(SimpleNamespace(future=loop.create_future()), None, key, tenant, 1, length, 0.0)

    turns, budget = Turns(), Budget(rows=4, padded=64)
    for _ in range(80):
        turns.push(piece("loud", "k", 1.0))
    choose(turns, budget, by_length=by_length)
    quiet = piece("quiet", "other", 1.0)
    turns.push(quiet)
    forwards = [choose(turns, budget, by_length=by_length) for _ in range(3)]
    loop.close()
    assert any(quiet in chosen for chosen in forwards)


class Odd:
    """Its optional output comes with some rows only."""

    signature = Signature(
        (TensorSpec("x", "FP64", ("N",)),),
        (TensorSpec("y", "FP64", ("N",)), TensorSpec("why", "FP64", ("N",), optional=True)),
    )
    platform = "test"
    settings = None

    def forward(self, given: Work) -> Any:
        x = given.inputs["x"]
        return {"y": x, "why": x} if 1 in x else {"y": x}


@pytest.mark.parametrize("x", [[1, 2, 3], [3, 2, 1]])
async def test_pieces_that_do_not_fit_together_fail_their_request_only(x: list[float]) -> None:
    thread = ModelThread(asyncio.get_running_loop())
    thread.start()
    engine = Scheduler(Odd(), thread, timeout_seconds=20, budget=Budget(rows=2))
    later = asyncio.get_running_loop().time() + 9
    split = engine.submit(Work({"x": np.array(x)}, ("y", "why"), later, None, {"N": 3}))
    neighbour = engine.submit(Work({"x": np.array([5.0])}, ("y", "why"), later, None, {"N": 1}))
    with pytest.raises(ModelError, match="do not fit together"):
        await split
    assert (await neighbour)["y"].tolist() == [5]
    thread.stop()

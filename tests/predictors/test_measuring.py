"""What rows cost is asked of the model on its own thread, and is checked like everything that it says."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from tests.predictors.test_scheduler import Lengthy, held, scheduler, work
from turnout_predictors.batching import Budget
from turnout_predictors.errors import ModelError

__all__ = ["scheduler"]  # a fixture


class Watched(Lengthy):
    """Says where it was asked; 99 breaks it."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()
        self.answer: Any = None

    def lengths(self, given: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        if 99 in given.inputs["x"]:
            raise ValueError("secret")
        return super().lengths(given) if self.answer is None else self.answer


async def test_the_loop_runs_none_of_the_models_code(scheduler: Any) -> None:
    model = Watched()
    engine = scheduler(model)
    first = await held(model, engine)
    others = [engine.submit(work(value)) for value in (1, 2)]
    model.gate.set()
    await asyncio.gather(first, *others)
    assert model.threads == {"model"}
    assert len(model.batches) == 2


async def test_a_cost_that_cannot_be_told_fails_its_request_alone(scheduler: Any) -> None:
    model = Watched()
    engine = scheduler(model)
    first = await held(model, engine)
    bad, good = engine.submit(work(99)), engine.submit(work(1))
    model.gate.set()
    with pytest.raises(ModelError, match="the model raised ValueError"):
        await bad
    assert [(await future)["y"].tolist() for future in (first, good)] == [[0], [2]]
    assert (engine.pending(), engine.queued()) == (0, 0)


LIES = {
    "too few": [1.0],
    "a number for all": 3.0,
    "no number": [float("nan"), 1.0],
    "without end": [float("inf"), 1.0],
}


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES.keys())
async def test_lies_about_lengths_are_the_models_fault(scheduler: Any, answer: Any) -> None:
    model = Watched()
    model.answer = answer
    with pytest.raises(ModelError, match="must be a finite number for each"):
        await scheduler(model).submit(work(1, 2))


async def test_a_row_that_costs_nothing_costs_one(scheduler: Any) -> None:
    model = Watched()
    model.answer = np.zeros(3)
    engine = scheduler(model, budget=Budget(rows=2, padded=2))
    assert (await engine.submit(work(1, 2, 3)))["y"].tolist() == [2, 4, 6]


async def test_what_is_not_measured_yet_counts_as_queued_and_is_forgotten_with_its_client(scheduler: Any) -> None:
    model = Watched()
    engine = scheduler(model, queue_rows=4)
    first = await held(model, engine)
    gone = engine.submit(work(1, 2, 3))
    assert engine.queued() == 3
    gone.cancel()
    await asyncio.sleep(0)
    assert engine.queued() == 0
    model.gate.set()
    await first
    assert model.batches == [[0]]

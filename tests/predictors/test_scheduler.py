"""The scheduler: that forwards are shared, and that nobody can tell."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnout_predictors.batching import Budget, ModelThread, Scheduler, Work
from turnout_predictors.errors import DeadlineExceeded, InvalidInput, ModelError, Overloaded, RequestError
from turnout_predictors.settings import Settings, compute, load, post
from turnout_predictors.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "FP64", ("N",)), TensorSpec("bias", "FP64", ("N",), optional=True)),
    (TensorSpec("y", "FP64", ("N",)), TensorSpec("kept", "BOOL", ("N",))),
)


class Knobs(Settings):
    scale: float = compute(2.0)
    threshold: float = post(0.0)
    path: str = load("")


class Model:
    """y = x · scale + bias, kept = y above the threshold. 13 breaks the forward, 14 makes it lie about its rows.

    Holds every forward until `gate` is set.
    """

    signature = SIGNATURE
    platform = "test"
    settings = Knobs()

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[list[float]] = []

    def forward(self, work: Work) -> Any:
        x = work.inputs["x"]
        self.batches.append(x.tolist())
        self.entered.set()
        assert self.gate.wait(20)
        if 13 in x:
            raise ValueError("secret")
        if -13 in x:
            raise InvalidInput("13 below zero", "x")
        y = x * work.settings.scale + work.inputs.get("bias", 0.0)
        return {"y": y[: len(y) - (14 in x)], "kept": y > work.settings.threshold}


class Finishing(Model):
    """As Model, but post settings are applied afterwards, to each request's rows."""

    def forward(self, work: Work) -> Any:
        return {"y": super().forward(work)["y"]}

    def finish(self, outputs: Any, given: Any) -> Any:
        return {**outputs, "kept": outputs["y"] > given.threshold}


class Lengthy(Model):
    """As Model; the length of a row is its value."""

    def lengths(self, work: Work) -> Sequence[float]:
        return np.maximum(1.0, np.abs(work.inputs["x"])).tolist()


Make = Callable[..., Scheduler]


@pytest.fixture
async def scheduler() -> AsyncIterator[Make]:
    threads: list[ModelThread] = []

    def make(model: Any, **more: Any) -> Scheduler:
        thread = ModelThread(asyncio.get_running_loop())
        thread.start()
        threads.append(thread)
        return Scheduler(model, thread, timeout_seconds=20, **more)

    yield make
    for thread in threads:
        thread.stop()


def work(*x: float, seconds: float = 20.0, tenant: str = "", bias: float | None = None, **knobs: float) -> Work:
    inputs = {"x": np.array(x)}
    if bias is not None:
        inputs["bias"] = np.full(len(x), bias)
    chosen = Model.settings if not knobs else Knobs(**knobs)  # type: ignore[arg-type]
    deadline = asyncio.get_running_loop().time() + seconds
    return Work(inputs, ("y", "kept"), deadline, chosen, {"N": len(x)}, tenant=tenant)


async def held(model: Model, engine: Scheduler) -> asyncio.Future[Any]:
    """A forward is running, and goes on until the gate is opened."""
    model.gate.clear()
    model.entered.clear()
    first = engine.submit(work(0))
    assert await asyncio.to_thread(model.entered.wait, 10)
    return first


async def test_who_comes_alone_goes_alone_and_who_queues_shares_a_forward(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model)
    first = await held(model, engine)
    others = [engine.submit(work(value, value + 0.5)) for value in (1, 2, 3)]
    assert engine.queued() == 6
    model.gate.set()
    answers = await asyncio.gather(first, *others)
    assert model.batches == [[0], [1, 1.5, 2, 2.5, 3, 3.5]]
    assert [answer["y"].tolist() for answer in answers] == [[0], [2, 3], [4, 5], [6, 7]]


KEYS = {
    "compute settings part": (Model, {"scale": 3.0}, 2),
    "post settings part where the forward sees them": (Model, {"threshold": 3.0}, 2),
    "post settings part nothing where they are applied afterwards": (Finishing, {"threshold": 3.0}, 1),
    "the version's own values, said aloud, part nothing": (Model, {"scale": 2.0}, 1),
    "an optional input parts": (Model, {"bias": 1.0}, 2),
}


@pytest.mark.parametrize(("kind", "other", "forwards"), KEYS.values(), ids=KEYS.keys())
async def test_only_what_the_forward_sees_parts_a_batch(
    scheduler: Make, kind: type[Model], other: dict[str, float], forwards: int
) -> None:
    model = kind()
    engine = scheduler(model)
    first = await held(model, engine)
    mine, theirs = engine.submit(work(1, 2)), engine.submit(work(1, 2, **other))
    model.gate.set()
    await first
    scale, bias, least = other.get("scale", 2.0), other.get("bias", 0.0), other.get("threshold", 0.0)
    assert [(await mine)[name].tolist() for name in ("y", "kept")] == [[2, 4], [True, True]]
    y = [scale + bias, 2 * scale + bias]
    assert [(await theirs)[name].tolist() for name in ("y", "kept")] == [y, [value > least for value in y]]
    assert len(model.batches) - 1 == forwards


FAULTY = {
    "raises": (13.0, ModelError, "the model raised ValueError"),
    "lies about its rows": (14.0, ModelError, "shape"),
    "refuses the input": (-13.0, InvalidInput, "13 below zero"),
}


@pytest.mark.parametrize(("value", "kind", "said"), FAULTY.values(), ids=FAULTY.keys())
async def test_only_the_culprit_fails_when_the_model(
    scheduler: Make, value: float, kind: type[RequestError], said: str
) -> None:
    model = Model()
    engine = scheduler(model)
    first = await held(model, engine)
    good, bad, also = engine.submit(work(1)), engine.submit(work(value)), engine.submit(work(2))
    model.gate.set()
    with pytest.raises(kind, match=said):
        await bad
    assert [(await future)["y"].tolist() for future in (first, good, also)] == [[0], [2], [4]]


@pytest.mark.parametrize("kind", [Model, Lengthy])
async def test_a_request_beyond_the_budget_is_split_and_rejoined(scheduler: Make, kind: type[Model]) -> None:
    model = kind()
    engine = scheduler(model, budget=Budget(rows=4, padded=40))
    values = [float(value) for value in (3, 20, 1, 7, 2, 9, 30, 5, 4)]
    answer = await engine.submit(work(*values))
    assert answer["y"].tolist() == [2 * value for value in values]
    assert max(map(len, model.batches)) <= 4
    assert len(model.batches) > 1
    if kind is Lengthy:
        assert all(len(batch) == 1 or len(batch) * max(batch) <= 40 for batch in model.batches)


async def test_a_piece_that_fails_ends_its_request_and_costs_no_more_forwards(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model, budget=Budget(rows=1))
    with pytest.raises(ModelError):
        await engine.submit(work(13, 1, 2, 3))
    assert (await engine.submit(work(5)))["y"].tolist() == [10]
    assert len(model.batches) <= 3  # the next piece had been taken already


async def test_rows_of_like_length_go_together_and_the_oldest_always_goes(scheduler: Make) -> None:
    model = Lengthy()
    engine = scheduler(model, budget=Budget(rows=3))
    first = await held(model, engine)
    futures = [engine.submit(work(value)) for value in (50, 1, 49, 2, 3, 51)]
    model.gate.set()
    await asyncio.gather(first, *futures)
    assert [sorted(batch) for batch in model.batches[1:]] == [[49, 50, 51], [1, 2, 3]]


async def test_tenants_take_turns_however_much_one_sends(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model, budget=Budget(rows=2))
    first = await held(model, engine)
    many = [engine.submit(work(value, tenant="loud")) for value in range(1, 7)]
    one = engine.submit(work(100, tenant="quiet"))
    model.gate.set()
    await asyncio.gather(first, one, *many)
    assert 100 in model.batches[1]


async def test_one_tenant_cannot_fill_the_queue_for_the_others(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model, queue_rows=8)
    first = await held(model, engine)
    loud = [engine.submit(work(value, tenant="loud")) for value in range(1, 7)]
    with pytest.raises(Overloaded):
        engine.submit(work(7, tenant="loud"))
    quiet = engine.submit(work(8, tenant="quiet"))
    model.gate.set()
    await asyncio.gather(first, quiet, *loud)


async def test_who_leaves_frees_the_queue_and_costs_no_forward(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model, queue_limit=2)
    first = await held(model, engine)
    gone = engine.submit(work(1))
    with pytest.raises(Overloaded, match="2 requests are waiting"):
        engine.submit(work(2))
    gone.cancel()
    last = engine.submit(work(3))
    assert engine.pending() == 2
    model.gate.set()
    await asyncio.gather(first, last)
    assert model.batches == [[0], [3]]


async def test_who_leaves_in_the_middle_of_a_forward_disturbs_nobody(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model)
    first = await held(model, engine)
    gone, stays = engine.submit(work(1)), engine.submit(work(2))
    model.entered.clear()
    model.gate.set()
    await first
    gone.cancel()
    assert (await stays)["y"].tolist() == [4]
    assert engine.pending() == 0


async def test_a_deadline_that_passes_in_the_queue_costs_no_forward(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model)
    first = await held(model, engine)
    late = engine.submit(work(1, seconds=0.02))
    later = engine.submit(work(2))
    with pytest.raises(DeadlineExceeded):
        await late
    model.gate.set()
    await asyncio.gather(first, later)
    assert model.batches == [[0], [2]]


async def test_what_cannot_be_answered_in_time_is_refused_at_the_door(scheduler: Make) -> None:
    model = Model()
    engine = scheduler(model, budget=Budget(rows=1))
    for _ in range(40):
        engine._fit.observe(1.0, 0.5)  # what forty forwards of half a second would have taught
    first = await held(model, engine)
    waits = engine.submit(work(1))
    with pytest.raises(Overloaded, match=r"about 1\.0 s more") as refused:
        engine.submit(work(2, seconds=0.9))
    assert refused.value.retry_after == 1
    fits = engine.submit(work(2, seconds=15))
    model.gate.set()
    await asyncio.gather(first, waits, fits)


async def test_with_an_empty_queue_even_a_slow_model_is_tried(scheduler: Make) -> None:
    engine = scheduler(Model())
    for _ in range(40):
        engine._fit.observe(1.0, 60.0)
    assert (await engine.submit(work(1, seconds=5)))["y"].tolist() == [2]


class Sayings:
    """What the scheduler told."""

    def __init__(self) -> None:
        self.forwards: list[dict[str, Any]] = []
        self.drops: list[str] = []

    def forwarded(self, **facts: Any) -> None:
        self.forwards.append(facts)

    def recalled(self, **rows: int) -> None:
        """Told of texts alone; see test_known."""

    def dropped(self, reason: str) -> None:
        self.drops.append(reason)


async def test_tells_what_it_did(scheduler: Make) -> None:
    model, said = Lengthy(), Sayings()
    engine = scheduler(model, observer=said, queue_limit=3)
    first = await held(model, engine)
    others = [engine.submit(work(1)), engine.submit(work(3))]
    with pytest.raises(Overloaded):
        engine.submit(work(4))
    model.gate.set()
    await asyncio.gather(first, *others)
    facts = said.forwards[1]
    assert (facts["rows"], round(facts["padding"], 3), len(facts["waited"])) == (2, 0.333, 2)
    assert said.drops == ["full"]


class Words:
    """Text in, its length out; counts the rows it computed. Says what a row costs, so equal ones are computed once."""

    signature = Signature((TensorSpec("text", "BYTES", ("N",), text=True),), (TensorSpec("size", "INT64", ("N",)),))
    platform = "test"
    settings = None

    def __init__(self) -> None:
        self.computed = 0

    def lengths(self, given: Work) -> Sequence[int]:
        return [len(text) for text in given.inputs["text"]]

    def forward(self, given: Work) -> Any:
        self.computed += len(given.inputs["text"])
        return {"size": np.array([len(text) for text in given.inputs["text"]])}


async def test_equal_texts_are_computed_once(scheduler: Make) -> None:
    model = Words()
    texts = np.array(["aa", "b", "aa", "cccc", "b"], dtype=object)
    asked = Work({"text": texts}, ("size",), asyncio.get_running_loop().time() + 9, None, {"N": 5})
    assert (await scheduler(model).submit(asked))["size"].tolist() == [2, 1, 2, 4, 1]
    assert model.computed == 3


async def test_a_deadline_that_has_passed_costs_no_forward(scheduler: Make) -> None:
    model, said = Model(), Sayings()
    engine = scheduler(model, observer=said)
    with pytest.raises(DeadlineExceeded):
        await engine.submit(work(1, seconds=-1))
    await engine.submit(work(2))
    assert (model.batches, said.drops) == ([[2]], ["deadline"])


async def test_rows_of_who_left_fill_no_queue(scheduler: Make) -> None:
    model, said = Model(), Sayings()
    engine = scheduler(model, observer=said, queue_rows=4)
    first = await held(model, engine)
    engine.submit(work(1, 2, 3, 4)).cancel()
    stays = engine.submit(work(5, 6))
    model.gate.set()
    await asyncio.gather(first, stays)
    assert (model.batches, said.drops) == ([[0], [5, 6]], ["cancelled"])


async def test_who_left_is_forgotten_at_once(scheduler: Make) -> None:
    model, said = Model(), Sayings()
    engine = scheduler(model, observer=said)
    engine.submit(work(1)).cancel()
    await asyncio.sleep(0)
    assert (len(engine._live), said.drops) == (0, ["cancelled"])


ASKED = st.fixed_dictionaries(
    {
        "x": st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0, 13.0, 14.0, -13.0, 40.0]), max_size=6),
        "knobs": st.sampled_from([{}, {"scale": 3.0}, {"threshold": 5.0}, {"scale": 3.0, "threshold": 5.0}]),
        "bias": st.sampled_from([None, 1.0]),
        "tenant": st.sampled_from(["", "a", "b"]),
        "cancel": st.booleans(),
    }
)


ERRORS = {InvalidInput, ModelError}


@settings(max_examples=60, deadline=None)
@given(
    asked=st.lists(ASKED, min_size=1, max_size=12),
    kind=st.sampled_from([Model, Finishing, Lengthy]),
    rows=st.sampled_from([1, 3, 64]),
    at_once=st.booleans(),
    kept=st.sampled_from([0, 1 << 20]),
)
def test_batching_is_invisible(asked: list[Any], kind: type[Model], rows: int, at_once: bool, kept: int) -> None:
    """Whoever else asks, with whatever settings, faults and changes of mind: each gets what it would get alone."""

    async def together() -> list[Any]:
        model = kind()
        thread = ModelThread(asyncio.get_running_loop())
        thread.start()
        budget = Budget(rows=rows, padded=50.0)
        engine = Scheduler(model, thread, timeout_seconds=20, budget=budget, cache_bytes=kept, cache_seconds=60)
        first = await held(model, engine) if at_once else None
        futures = [engine.submit(asking(each)) for each in asked]
        for each, future in zip(asked, futures, strict=True):
            if each["cancel"]:
                future.cancel()
        model.gate.set()
        answers = await asyncio.gather(*futures, return_exceptions=True)
        if first is not None:
            await first
        await engine.submit(work(0))  # what was left of requests that failed is passed over by then
        assert (engine.pending(), engine.queued()) == (0, 0)
        thread.stop()
        return answers

    async def alone(each: Any) -> Any:
        thread = ModelThread(asyncio.get_running_loop())
        thread.start()
        engine = Scheduler(kind(), thread, timeout_seconds=20, budget=Budget(rows=rows, padded=50.0))
        answer = (await asyncio.gather(engine.submit(asking(each)), return_exceptions=True))[0]
        thread.stop()
        return answer

    def asking(each: Any) -> Work:
        return work(*each["x"], bias=each["bias"], tenant=each["tenant"], **each["knobs"])

    for each, answer in zip(asked, asyncio.run(together()), strict=True):
        if each["cancel"]:
            assert isinstance(answer, asyncio.CancelledError)
            continue
        expected = asyncio.run(alone(each))
        if isinstance(expected, BaseException):  # of two faults in one request either may be told first
            each_alone = (asyncio.run(alone({**each, "x": [row]})) for row in each["x"])
            assert type(answer) in {type(expected), *(type(fault) for fault in each_alone)} & ERRORS
        else:
            assert {name: array.tolist() for name, array in answer.items()} == {
                name: array.tolist() for name, array in expected.items()
            }
            assert all(answer[name].dtype == array.dtype for name, array in expected.items())

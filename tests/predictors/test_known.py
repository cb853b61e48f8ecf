"""Rows that are known: equal ones in flight cost one forward, kept ones none, and nobody can tell but by the time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from tests.predictors.test_scheduler import Finishing, Model, Sayings, scheduler, work
from turnout_predictors.batching import Scheduler, Work
from turnout_predictors.batching.known import ENTRY_BYTES, Known, Told
from turnout_predictors.batching.merging import layout_of
from turnout_predictors.errors import DeadlineExceeded, ModelError
from turnout_predictors.settings import Settings, compute, post
from turnout_predictors.signature import Signature, TensorSpec

__all__ = ["scheduler"]  # a fixture
SIGNATURE = Signature(
    (TensorSpec("text", "BYTES", ("N",), text=True), TensorSpec("other", "BYTES", ("N",), optional=True)),
    (TensorSpec("size", "INT64", ("N",)), TensorSpec("twice", "INT64", ("N",))),
)
KEPT = 1 << 20


class Knobs(Settings):
    add: int = compute(0)
    shown: int = post(0)


class Words:
    """Text in, its length out; `bad` breaks the forward. Says what a row costs. Holds forwards until `gate` is set."""

    signature = SIGNATURE
    platform = "test"
    settings = Knobs()

    def __init__(self) -> None:
        self.gate, self.entered = threading.Event(), threading.Event()
        self.batches: list[list[str]] = []

    def lengths(self, given: Work) -> Any:
        return [len(text) for text in given.inputs["text"]]

    def forward(self, given: Work) -> Any:
        texts = given.inputs["text"].tolist()
        self.batches.append(texts)
        self.entered.set()
        assert self.gate.wait(20)
        if "bad" in texts:
            raise ValueError("secret")
        size = np.array([len(text) for text in texts], np.int64) + given.settings.add
        return {"size": size, "twice": size * 2}

    def finish(self, outputs: Any, given: Any) -> Any:
        return {name: array + given.shown for name, array in outputs.items()}


def asked(*texts: str, seconds: float = 20.0, outputs: Any = ("size", "twice"), other: str = "", **knobs: int) -> Work:
    inputs = {"text": np.array(texts, dtype=object)}
    if other:
        inputs["other"] = np.array([other] * len(texts), dtype=object)
    deadline = asyncio.get_running_loop().time() + seconds
    return Work(inputs, outputs, deadline, Knobs(**knobs) if knobs else Words.settings, {"N": len(texts)})


async def running(model: Words, engine: Scheduler, *texts: str) -> asyncio.Future[Any]:
    """A forward of these texts is under way, until the gate is opened."""
    first = engine.submit(asked(*texts))
    assert await asyncio.to_thread(model.entered.wait, 10)
    return first


class Counted(Sayings):
    def __init__(self) -> None:
        super().__init__()
        self.rows = Told()

    def recalled(self, *, miss: int, shared: int, hit: int) -> None:
        self.rows = Told(self.rows.miss + miss, self.rows.shared + shared, self.rows.hit + hit)


async def test_a_text_whose_forward_runs_already_is_not_computed_again(scheduler: Any) -> None:
    model, said = Words(), Counted()
    engine = scheduler(model, observer=said)
    first = await running(model, engine, "a", "bb")
    others = [engine.submit(asked("bb", "ccc", "bb")), engine.submit(asked("a"))]
    model.gate.set()
    answers = await asyncio.gather(first, *others)
    assert model.batches == [["a", "bb"], ["ccc"]]
    assert [answer["size"].tolist() for answer in answers] == [[1, 2], [2, 3, 2], [1]]
    assert said.rows == Told(miss=3, shared=3)
    assert [facts["rows"] for facts in said.forwards] == [2, 1]


async def test_who_is_answered_by_anothers_forward_costs_none(scheduler: Any) -> None:
    model, said = Words(), Counted()
    engine = scheduler(model, observer=said)
    first = await running(model, engine, "a")
    second = engine.submit(asked("a", shown=5))
    model.gate.set()
    assert [(await each)["size"].tolist() for each in (first, second)] == [[1], [6]]
    assert (model.batches, len(said.forwards)) == ([["a"]], 1)


@pytest.mark.parametrize("leaves", [0, 1], ids=["the first", "the second"])
async def test_who_leaves_takes_nobody_along(scheduler: Any, leaves: int) -> None:
    model = Words()
    engine = scheduler(model)
    both = [await running(model, engine, "a"), engine.submit(asked("a"))]
    both[leaves].cancel()
    model.gate.set()
    assert (await both[1 - leaves])["size"].tolist() == [1]
    assert model.batches == [["a"]]


async def test_a_deadline_that_passes_is_one_requests_own(scheduler: Any) -> None:
    model = Words()
    engine = scheduler(model)
    first = await running(model, engine, "a")
    hasty, patient = engine.submit(asked("a", seconds=0.05)), engine.submit(asked("a"))
    with pytest.raises(DeadlineExceeded):
        await hasty
    model.gate.set()
    assert [(await each)["size"].tolist() for each in (first, patient)] == [[1], [1]]
    assert model.batches == [["a"]]


async def test_a_forward_that_fails_is_nobodys_answer(scheduler: Any) -> None:
    model = Words()
    engine = scheduler(model)
    first = await running(model, engine, "bad")
    others = [engine.submit(asked("bad", "a")), engine.submit(asked("bb"))]
    model.gate.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(answer) for answer in answers[:2]] == [ModelError, ModelError]
    assert answers[2]["size"].tolist() == [2]


OTHERS: dict[str, Any] = {
    "other compute settings": {"add": 1},
    "other outputs": {"outputs": ("size",)},
    "another input beside it": {"other": "x"},
}


@pytest.mark.parametrize("more", OTHERS.values(), ids=OTHERS.keys())
async def test_what_a_forward_depends_on_parts_rows(scheduler: Any, more: Any) -> None:
    model = Words()
    model.gate.set()
    engine = scheduler(model, cache_bytes=KEPT, cache_seconds=60)
    await engine.submit(asked("a"))
    answer = await engine.submit(asked("a", **more))
    assert model.batches == [["a"], ["a"]]
    assert answer["size"].tolist() == [1 + more.get("add", 0)]


async def test_nothing_outlives_its_flight_unless_it_is_wanted(scheduler: Any) -> None:
    model = Words()
    model.gate.set()
    engine = scheduler(model)
    for _ in range(2):
        await engine.submit(asked("a"))
    assert model.batches == [["a"], ["a"]]


async def test_kept_rows_cost_no_forward_whoever_asks(scheduler: Any) -> None:
    model, said = Words(), Counted()
    model.gate.set()
    engine = scheduler(model, observer=said, cache_bytes=KEPT, cache_seconds=60)
    await engine.submit(asked("a", "bb"))
    assert (await engine.submit(asked("bb", "a", "ccc", shown=1)))["twice"].tolist() == [5, 3, 7]
    assert (await engine.submit(asked("a", shown=2)))["twice"].tolist() == [4]
    assert (model.batches, said.rows) == ([["a", "bb"], ["ccc"]], Told(miss=3, hit=3))


@pytest.mark.parametrize("kind", [Model, Finishing])
async def test_numbers_are_kept_where_it_is_wanted(scheduler: Any, kind: type[Model]) -> None:
    model = kind()
    engine = scheduler(model, cache_bytes=KEPT, cache_seconds=60)
    await engine.submit(work(1, 2))
    answer = await engine.submit(work(2, 3, 2))
    assert (answer["y"].tolist(), answer["kept"].tolist()) == ([4, 6, 4], [True] * 3)
    assert model.batches == [[1, 2], [3]]


async def test_what_is_not_the_same_twice_is_neither_shared_nor_kept(scheduler: Any) -> None:
    model = Words()
    model.nondeterministic = True  # type: ignore[attr-defined]
    engine = scheduler(model, cache_bytes=KEPT, cache_seconds=60)
    first = await running(model, engine, "a")
    second = engine.submit(asked("a", "a"))
    model.gate.set()
    await asyncio.gather(first, second)
    assert model.batches == [["a"], ["a", "a"]]


class Store:
    """A `Known` in time of its own."""

    def __init__(self, **bounds: float) -> None:
        self.now = 100.0
        self.known = Known(clock=lambda: self.now, **bounds)  # type: ignore[arg-type]
        layout = layout_of(SIGNATURE, Words.settings, whole=False, keeps_post=False)
        assert layout is not None
        self.layout = layout
        self.computed: list[list[str]] = []
        self.names = ("size",)

    def ask(self, *texts: str) -> Told:
        given = Work({"text": np.array(texts, dtype=object)}, ("size",), 0.0, Words.settings, {"N": len(texts)})
        outputs, told = self.known.compute(given, self.layout, [self.now] * len(texts), self.forward)
        assert outputs["size"].tolist() == [len(text) for text in texts]
        self.now += 1
        return told

    def forward(self, given: Work) -> Any:
        texts = given.inputs["text"].tolist()
        self.computed.append(texts)
        self.now += 0.5
        return {name: np.array([len(text) for text in texts]) for name in self.names}


def test_rows_are_kept_for_their_time() -> None:
    store = Store(kept_bytes=KEPT, kept_seconds=10)
    store.ask("a")
    store.now += 8
    assert store.ask("a") == Told(hit=1)
    store.now += 8
    assert store.ask("a") == Told(miss=1)


def test_rows_that_were_used_least_recently_make_room() -> None:
    store = Store(kept_bytes=3 * (ENTRY_BYTES + 8), kept_seconds=1000)
    store.ask("a", "bb", "ccc")
    store.ask("a")
    store.ask("dddd")
    assert (len(store.known), store.known.size) == (3, 3 * (ENTRY_BYTES + 8))
    assert [store.ask(text).miss for text in ("a", "ccc", "dddd", "bb")] == [0, 0, 0, 1]


def test_a_flood_of_rows_does_not_pile_up() -> None:
    store = Store()
    for number in range(40):
        store.ask(*(f"{number}-{row}" for row in range(1000)))
    assert store.known.size <= 8 << 20


def test_rows_whose_outputs_differ_are_not_put_together() -> None:
    store = Store(kept_bytes=KEPT, kept_seconds=1000)
    store.ask("a")
    store.names = ("size", "twice")
    assert store.ask("bb", "a") == Told(miss=2)
    assert store.computed[-1] == ["bb", "a"]


def test_no_two_rows_that_differ_are_one() -> None:
    store = Store(kept_bytes=KEPT, kept_seconds=1000)
    signature = Signature((TensorSpec("a", "BYTES", ("N",)), TensorSpec("b", "BYTES", ("N",))), SIGNATURE.outputs)
    layout = layout_of(signature, None, whole=False, keeps_post=False)
    assert layout is not None
    rows = [("ab", ""), ("a", "b"), ("", "ab"), (b"ab", ""), ("ab", b"")]
    columns = {name: np.array([row[at] for row in rows], dtype=object) for at, name in enumerate("ab")}
    given = Work(columns, ("size",), 0.0, None, {"N": len(rows)})
    _, told = store.known.compute(
        given, layout, [0.0] * len(rows), lambda each: {"size": np.zeros(len(each.inputs["a"]))}
    )
    assert told == Told(miss=len(rows))

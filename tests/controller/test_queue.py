import asyncio

import pytest

from turnout.controller.queue import HEAD_START, Queue
from turnout.rollout.snapshot import ModelKey

SIGNALS, TONE = ModelKey("support", "signals"), ModelKey("support", "tone")


def a_queue(jitter: float = 1.0) -> Queue:
    return Queue(asyncio.get_running_loop().time, lambda: jitter)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_key_that_is_added_twice_is_taken_once() -> None:
    queue = a_queue()
    queue.add(SIGNALS)
    queue.add(SIGNALS)
    queue.add(TONE)
    assert queue.depth == 2
    assert [await queue.take(), await queue.take()] == [SIGNALS, TONE]
    assert queue.depth == 0


async def test_a_key_is_never_worked_on_twice_at_once() -> None:
    queue = a_queue()
    queue.add(SIGNALS)
    await queue.take()
    queue.add(SIGNALS)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 3600)
    queue.done(SIGNALS)
    assert await queue.take() == SIGNALS


async def test_news_during_the_work_is_not_lost_and_comes_before_a_timer() -> None:
    queue = a_queue()
    queue.add(SIGNALS)
    await queue.take()
    queue.add(SIGNALS)
    queue.done(SIGNALS, again=600)
    await queue.take()
    assert now() == 0
    queue.done(SIGNALS)
    with pytest.raises(TimeoutError):  # the timer was merged into the earlier look
        await asyncio.wait_for(queue.take(), 3600)


async def test_the_earliest_wish_counts_and_a_waiting_worker_hears_of_it() -> None:
    queue = a_queue()
    queue.schedule(SIGNALS, 600)
    worker = asyncio.create_task(queue.take())
    await asyncio.sleep(10)
    queue.schedule(TONE, 300)
    queue.schedule(SIGNALS, 5)
    queue.schedule(SIGNALS, 100)
    assert await worker == SIGNALS
    assert now() == 15
    queue.done(SIGNALS)
    assert await queue.take() == TONE
    assert now() == 310


async def test_a_taken_key_waits_for_its_timer() -> None:
    queue = a_queue()
    queue.add(SIGNALS)
    queue.done(await queue.take(), again=42.0)
    await queue.take()
    assert now() == 42


async def test_failures_in_a_row_double_the_delay_up_to_five_minutes_and_success_forgets_them() -> None:
    queue = a_queue()
    delays = [queue.failed(SIGNALS) for _ in range(12)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    queue.done(SIGNALS)
    assert queue.failed(SIGNALS) == 0.5


def test_jitter_shortens_a_delay_by_half_at_most() -> None:
    queue = Queue()
    delays = {queue.failed(ModelKey("support", f"model-{number}")) for number in range(200)}
    assert len(delays) > 100
    assert all(0.25 <= delay <= 0.5 for delay in delays)


def test_a_model_that_has_failed_a_thousand_times_still_has_a_delay() -> None:
    queue = Queue(jitter=lambda: 1.0)
    assert max(queue.failed(SIGNALS) for _ in range(1100)) == 300


async def test_overdue_tells_how_long_the_first_key_has_waited_for_a_worker() -> None:
    queue = a_queue()
    assert queue.overdue == 0
    queue.schedule(TONE, 20)
    await asyncio.sleep(15)
    assert queue.overdue == 0
    await asyncio.sleep(15)
    assert queue.overdue == 10
    await queue.take()
    queue.add(TONE)  # waits for its own work to end, not for a worker
    await asyncio.sleep(50)
    assert queue.overdue == 0


async def test_a_worker_that_is_ended_just_as_news_arrives_ends() -> None:
    queue = a_queue()
    queue.schedule(SIGNALS, 600)
    worker = asyncio.create_task(queue.take())
    await asyncio.sleep(10)
    queue.add(TONE)
    worker.cancel()
    await asyncio.wait([worker])
    assert worker.cancelled()


async def test_news_goes_before_what_was_only_scheduled_but_not_for_ever() -> None:
    queue = a_queue()
    waiting = [ModelKey("support", f"model-{number}") for number in range(3)]
    for key in waiting:
        queue.schedule(key, 10)
    await asyncio.sleep(13)
    queue.add(SIGNALS)
    assert await queue.take() == SIGNALS
    queue.done(SIGNALS, again=600)
    assert await queue.take() == waiting[0]
    queue.done(waiting[0], again=0)  # it has recorded something and goes on: it is not put behind the others
    assert await queue.take() == waiting[0]
    await asyncio.sleep(8)
    queue.add(TONE)
    assert [await queue.take() for _ in range(3)] == [waiting[1], waiting[2], TONE]


async def test_what_was_scheduled_waits_while_half_of_the_workers_are_busy_but_not_for_ever() -> None:
    queue = a_queue()
    first, second = (ModelKey("support", f"model-{number}") for number in range(2))
    queue.add(first)
    queue.add(second)
    assert [await queue.take(), await queue.take()] == [first, second]
    queue.schedule(TONE, 2)
    late = asyncio.create_task(queue.take())
    await asyncio.sleep(6.5)
    assert not late.done()
    await late
    assert now() == 2 + HEAD_START


async def test_however_much_is_late_news_goes_before_all_of_it_but_what_has_workers_of_its_own() -> None:
    queue = a_queue()
    late = [ModelKey("support", f"model-{number}") for number in range(9)]
    for key in late:
        queue.schedule(key, 0)
    await asyncio.sleep(20)
    assert [await queue.take(), await queue.take()] == late[:2]
    queue.add(SIGNALS)
    assert await queue.take() == SIGNALS
    queue.done(late[0])
    queue.add(TONE)
    assert await queue.take() == late[2]  # its lane is free: news that never ends must not keep it out
    assert await queue.take() == TONE
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 4)


async def test_what_is_late_waits_no_longer_for_work_that_hangs() -> None:
    queue = a_queue()
    late = [ModelKey("support", f"model-{number}") for number in range(5)]
    for key in late:
        queue.schedule(key, 0)
    await asyncio.sleep(20)
    for expected in (20, 20, 20 + HEAD_START, 20 + HEAD_START, 20 + 2 * HEAD_START):
        await queue.take()
        assert now() == expected


async def test_work_that_hangs_holds_up_nobody_else() -> None:
    queue = a_queue()
    queue.add(SIGNALS)
    await queue.take()
    queue.schedule(TONE, 3)
    assert await queue.take() == TONE
    assert now() == 3


async def test_the_end_of_work_lets_what_was_scheduled_begin_at_once() -> None:
    queue = a_queue()
    other = ModelKey("support", "model")
    queue.add(SIGNALS)
    queue.add(other)
    await queue.take()
    await queue.take()
    queue.schedule(TONE, 1)
    after = asyncio.create_task(queue.take())
    await asyncio.sleep(3)
    queue.done(other, again=600)
    assert await after == TONE
    assert now() == 3


async def test_the_end_of_a_grace_is_news_whoever_works_and_the_last_word_on_it_counts() -> None:
    queue = a_queue()
    others = [ModelKey("support", f"model-{number}") for number in range(3)]
    for key in others:
        queue.add(key)
    await queue.take()
    await queue.take()
    queue.schedule(SIGNALS, 600)
    queue.add_in(SIGNALS, 1)
    queue.add_in(SIGNALS, 3)
    queue.add_in(TONE, 2)
    queue.add_in(TONE, None)
    assert await queue.take() == others[2]
    assert await queue.take() == SIGNALS
    assert now() == 3
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 300)


async def test_of_news_what_has_rested_goes_before_what_was_just_worked_on() -> None:
    queue = a_queue()
    queue.add(SIGNALS)
    queue.done(await queue.take(), again=600)
    await asyncio.sleep(0.5)
    queue.add(SIGNALS)  # its own step's effect
    queue.add(TONE)  # a person's edit
    assert [await queue.take(), await queue.take()] == [TONE, SIGNALS]
    queue.add(SIGNALS)  # told while it is worked on
    queue.done(TONE)
    queue.add(TONE)  # and of this one nothing is left: it is like a new one
    queue.done(SIGNALS)
    assert [await queue.take(), await queue.take()] == [TONE, SIGNALS]


async def test_news_of_a_key_that_is_overdue_brings_it_forward() -> None:
    queue = a_queue()
    queue.schedule(TONE, 1)
    queue.schedule(SIGNALS, 2)
    await asyncio.sleep(3)
    queue.add(SIGNALS)
    assert [await queue.take(), await queue.take()] == [SIGNALS, TONE]
    assert queue.depth == 0

"""A local engine of each test's own, ended with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.platform.local.world import TINY, World
from tests.rollout.judges import UNASKED
from turnout.controller import Controller, Queue
from turnout.platform.local.engine import LocalEngine
from turnout.platform.local.machine import Settings
from turnout.platform.local.ports import Ports
from turnout.platform.local.records import EventRecord
from turnout.rollout.decide import decide

Start = Callable[..., Awaitable[World]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start an engine; `controlled` also rolls out by itself."""
    async with AsyncExitStack() as stack:

        async def begin(*, controlled: bool = False, idle_seconds: float = 60, **settings: Any) -> World:
            folder = tmp_path / "models"
            folder.mkdir(exist_ok=True)
            port = settings.pop("port", 0) or Ports().free()
            options = {"folder": tmp_path / "state", "command": TINY, **settings}
            chosen = Settings(port=port, idle_window=timedelta(seconds=idle_seconds), **options)
            queue = Queue()
            events: list[EventRecord] = []
            engine = LocalEngine(chosen, queue.add, lambda _, event: events.append(event))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            await stack.enter_async_context(engine)
            if controlled:
                task = asyncio.create_task(Controller(engine, queue, partial(decide, judge=UNASKED)).run())
                stack.push_async_callback(_end, task)
            return World(folder, port, engine, queue, session, events)

        yield begin


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def world(start: Start) -> World:
    """An engine that does only what the test tells it."""
    return await start()


@pytest.fixture
async def controlled(start: Start) -> World:
    """An engine with its controller: files in, rollouts out."""
    return await start(controlled=True)

"""A local engine with the real judge over real predictors, and callers who ask each model at a steady rate."""

# ruff: noqa: ASYNC110 -- it watches real processes, which raise no event here

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from turnout.api.reasons import State
from turnout.api.status import Status
from turnout.controller import Controller, Queue
from turnout.judge.sequential import SequentialJudge
from turnout.platform.local.engine import LocalEngine
from turnout.platform.local.machine import Settings
from turnout.platform.local.ports import Ports
from turnout.rollout.decide import decide
from turnout.rollout.snapshot import ModelKey

PATIENCE = 240  # seconds, on a machine that has other work to do
ENDED = {State.RolledBack, State.Live, State.Paused, State.Failed, State.Aborted}


@dataclass
class Judged:
    """An engine with a judge. `answers`: how many by model and status code."""

    engine: LocalEngine
    folder: Path
    answers: dict[tuple[str, int], int] = field(default_factory=dict)

    def apply(self, model: str, version: int, **spec: Any) -> None:
        body = {
            "apiVersion": "turnout.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": f"{model}-{version}"},
            "spec": {"model": model, "version": version, **spec},
        }
        (self.folder / f"{model}-{version}.yaml").write_text(json.dumps(body), "utf-8")
        assert not self.engine.read([self.folder]).problems

    def status(self, model: str, version: int) -> Status:
        versions = self.engine.versions.of(ModelKey("default", model))
        return next(each.status for each in versions if each.version == version)

    async def until_ended(self, *versions: tuple[str, int]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while any(self.status(*each).state not in ENDED for each in versions):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            told = {each: (self.status(*each).state, self.status(*each).message) for each in versions}
            pytest.fail(f"no verdict within {PATIENCE} s: {told}")

    async def call(self, model: str, bodies: Iterable[Mapping[str, Any]], per_second: float) -> None:
        """A steady stream of these requests in turn, until cancelled."""
        url = f"{self.engine.url}/v2/models/{model}/infer"
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for body in itertools.cycle(bodies):
                group.create_task(self._one(session, model, url, body))
                await asyncio.sleep(1 / per_second)

    async def _one(self, session: aiohttp.ClientSession, model: str, url: str, body: Any) -> None:
        async with session.post(url, json=body) as answer:
            await answer.read()
            self.answers[model, answer.status] = self.answers.get((model, answer.status), 0) + 1


@asynccontextmanager
async def judging(at: Path) -> AsyncIterator[Judged]:
    """Ended with everything that it has started."""
    folder = at / "models"
    folder.mkdir(exist_ok=True)
    command, queue = (sys.executable, "-m", "turnout_predictors"), Queue()
    window = timedelta(seconds=60)
    settings = Settings(port=Ports().free(), idle_window=window, folder=at / "state", command=command)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(LocalEngine(settings, queue.add))
        controller = asyncio.create_task(Controller(engine, queue, partial(decide, judge=SequentialJudge())).run())
        stack.push_async_callback(ended, controller)
        yield Judged(engine, folder)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

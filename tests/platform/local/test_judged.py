"""The real judge over real predictors: what callers would notice is rolled back, what they would not is promoted.

The candidates run side by side, each beside the stable version of its own model, so that all of them take the time of
the slowest verdict.
"""

# ruff: noqa: ASYNC110 -- it watches real processes, which raise no event here

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from turnout.api.reasons import Reason, State
from turnout.api.status import Status
from turnout.controller import Controller, Queue
from turnout.judge.sequential import SequentialJudge
from turnout.platform.local.engine import LocalEngine
from turnout.platform.local.machine import Settings
from turnout.platform.local.ports import Ports
from turnout.rollout.decide import decide
from turnout.rollout.snapshot import ModelKey

pytestmark = pytest.mark.slow

PER_SECOND = 25  # requests to each model
PATIENCE = 240  # seconds, on a machine that has other work to do
STEADY = {"milliseconds": 10}
CANDIDATES: dict[str, tuple[dict[str, Any], State, Reason]] = {
    "failing": ({**STEADY, "fail_every": 20}, State.RolledBack, Reason.ErrorRate),
    "slow": ({"milliseconds": 20}, State.RolledBack, Reason.Latency),
    "equal": (STEADY, State.Live, Reason.Promoted),
}
ENDED = {State.RolledBack, State.Live, State.Failed, State.Aborted}


@dataclass
class Judged:
    """An engine with a judge, and callers of every model."""

    engine: LocalEngine
    folder: Path
    answers: dict[tuple[str, int], int] = field(default_factory=dict)

    def apply(self, model: str, version: int, **settings: Any) -> None:
        path = self.folder / f"{model}-{version}.yaml"
        path.write_text(json.dumps(document(model, version, settings)), "utf-8")
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

    async def call(self, model: str) -> None:
        """A steady stream, until cancelled."""
        url = f"{self.engine.url}/v2/models/{model}/infer"
        body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._one(session, model, url, body))
                await asyncio.sleep(1 / PER_SECOND)

    async def _one(self, session: aiohttp.ClientSession, model: str, url: str, body: Any) -> None:
        async with session.post(url, json=body) as answer:
            await answer.read()
            self.answers[model, answer.status] = self.answers.get((model, answer.status), 0) + 1


def document(model: str, version: int, settings: dict[str, Any]) -> dict[str, Any]:
    analysis = {"minDuration": "15s", "maxDuration": "2m", "minRequests": 30}
    steps = [{"setWeight": 30}, {"analysis": analysis}]
    predictor = {"runtime": "custom", "entrypoint": "unwell:Unwell", "settings": settings, "timeoutSeconds": 10}
    return {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": f"{model}-{version}"},
        "spec": {
            "model": model,
            "version": version,
            "predictor": predictor,
            "rollout": {"steps": steps, "abortScaleDownDelay": "0s"},
            "analysis": {"interval": "5s", "errors": {"passBelow": "0.05"}, "latency": {"passRatio": "4"}},
        },
    }


@pytest.fixture
async def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Judged]:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("unwell.py"), folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    command = (sys.executable, "-m", "turnout_predictors")
    queue = Queue()
    settings = Settings(
        port=Ports().free(), idle_window=timedelta(seconds=60), folder=tmp_path / "state", command=command
    )
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(LocalEngine(settings, queue.add))
        controller = asyncio.create_task(Controller(engine, queue, partial(decide, judge=SequentialJudge())).run())
        stack.push_async_callback(ended, controller)
        yield Judged(engine, folder)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_failing_and_a_slow_candidate_are_rolled_back_and_an_equal_one_is_promoted(judged: Judged) -> None:
    for model in CANDIDATES:
        judged.apply(model, 1, **STEADY)
    await judged.until_ended(*((model, 1) for model in CANDIDATES))
    callers = [asyncio.create_task(judged.call(model)) for model in CANDIDATES]
    for model, (settings, _, _) in CANDIDATES.items():
        judged.apply(model, 2, **settings)
    await judged.until_ended(*((model, 2) for model in CANDIDATES))
    await ended(*callers)
    found = {model: (judged.status(model, 2).state, judged.status(model, 2).reason) for model in CANDIDATES}
    assert found == {model: (state, reason) for model, (_, state, reason) in CANDIDATES.items()}
    for model in CANDIDATES:
        assert judged.answers.keys() >= {(model, 200)}
        assert (model, 500) not in judged.answers, "what failed was repeated on stable"
    verdict = judged.status("failing", 2).verdict
    assert verdict is not None
    assert "%" in verdict.message

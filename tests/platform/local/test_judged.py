"""The real judge over real predictors: what callers would notice is rolled back, what they would not is promoted.

The candidates run side by side, each beside the stable version of its own model, so that all of them take the time of
the slowest verdict.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.platform.local.judging import ended, judging
from turnout.api.reasons import Reason, State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

PER_SECOND = 25  # requests to each model
ONE = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
STEADY = {"milliseconds": 20}
CANDIDATES: dict[str, tuple[dict[str, Any], State, Reason]] = {
    "failing": ({**STEADY, "fail_every": 20}, State.RolledBack, Reason.ErrorRate),
    "slow": ({"milliseconds": 30}, State.RolledBack, Reason.Latency),
    "equal": (STEADY, State.Live, Reason.Promoted),
}
PLAN = {
    "rollout": {
        "steps": [
            {"setWeight": 30},
            {"analysis": {"minDuration": "15s", "maxDuration": "3m", "minRequests": 30}},
        ],
        "abortScaleDownDelay": "0s",
    },
    "analysis": {"interval": "5s", "errors": {"passBelow": "0.05"}, "latency": {"passRatio": "2"}},
}


def predictor(settings: dict[str, Any]) -> dict[str, Any]:
    return {"runtime": "custom", "entrypoint": "unwell:Unwell", "settings": settings, "timeoutSeconds": 10}


async def test_a_failing_and_a_slow_candidate_are_rolled_back_and_an_equal_one_is_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "models"))
    async with judging(tmp_path) as judged:
        shutil.copy(Path(__file__).with_name("unwell.py"), judged.folder)
        for model in CANDIDATES:
            judged.apply(model, 1, predictor=predictor(STEADY))
        await judged.until_ended(*((model, 1) for model in CANDIDATES))
        callers = [asyncio.create_task(judged.call(model, [ONE], PER_SECOND)) for model in CANDIDATES]
        for model, (settings, _, _) in CANDIDATES.items():
            judged.apply(model, 2, predictor=predictor(settings), **PLAN)
        await judged.until_ended(*((model, 2) for model in CANDIDATES))
        await ended(*callers)
        statuses = {model: judged.status(model, 2) for model in CANDIDATES}
    found = {model: (status.state, status.reason) for model, status in statuses.items()}
    assert found == {model: (state, reason) for model, (_, state, reason) in CANDIDATES.items()}
    for model in CANDIDATES:
        assert (model, 200) in judged.answers
        assert (model, 500) not in judged.answers, "what failed was repeated on stable"
    verdict = statuses["failing"].verdict
    assert verdict is not None
    assert "%" in verdict.message

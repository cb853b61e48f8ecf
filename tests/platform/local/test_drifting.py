"""Drift, end to end: bins of publishing, counters of real predictors, the real judge, and what follows from its word.

All candidates run side by side, each beside the stable version of its own model.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

from tests.platform.local.judging import Judged, ended, judging
from turnout.api.reasons import Reason, State
from turnout.view.account import account_of
from turnout_predictors import publish
from turnout_predictors.signature import Signature, TensorSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

PER_SECOND = 30  # requests to each model
SEED = 7
SIGNATURE = Signature((TensorSpec("x", "FP64", ("N",)),), (TensorSpec("score", "FP64", ("N",)),))
ONE = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
CANDIDATES: dict[str, tuple[dict[str, Any], str, State, Reason]] = {
    "moved": ({"shift": 0.3}, "Pause", State.Paused, Reason.Drift),
    "astray": ({"shift": 0.3}, "Rollback", State.RolledBack, Reason.Drift),
    "equal": ({}, "Rollback", State.Live, Reason.Promoted),
    "better": ({}, "Pause", State.Live, Reason.Promoted),
}
STABLE: dict[str, dict[str, Any]] = {"better": {"fail_every": 20}}


def plan(output: str, action: str) -> dict[str, Any]:
    analysis = {"minDuration": "30s", "maxDuration": "3m", "minRequests": 100}
    return {
        "rollout": {"steps": [{"setWeight": 50}, {"analysis": analysis}], "abortScaleDownDelay": "0s"},
        "analysis": {
            "interval": "5s",
            "errors": {"passBelow": "0.05"},
            "latency": {"enabled": False},
            "drift": {"enabled": True, "output": output, "action": action},
        },
    }


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An artifact as a version is published: its usual scores beside its code."""
    folder = tmp_path_factory.mktemp("scores")
    (folder / "code").mkdir()
    usual = {"score": np.random.default_rng(SEED).beta(2, 8, 500)}
    found = publish(folder / "code", folder / "1", signature=SIGNATURE, reference=usual)
    return {"uri": found.uri, "digest": found.digest}


def digits(folder: Path) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Two readers of digits, the second of which has never been shown 5 to 9; and images for them to read."""
    images, labels = load_digits(return_X_y=True)
    artifacts = []
    for name, known in (("1", labels < 10), ("2", labels < 5)):
        model = GaussianNB(var_smoothing=1e-3).fit(images[known], labels[known])
        found = publish(model, folder / name, example=images[:2], outputs=("predict",), reference=images[:600])
        artifacts.append({"uri": found.uri, "digest": found.digest})
    shown = images[np.random.default_rng(SEED).permutation(len(images))[:400]]
    tensors = ({"name": "features", "shape": [1, 64], "datatype": "FP64", "data": image.tolist()} for image in shown)
    return artifacts, [{"inputs": [tensor]} for tensor in tensors]


async def test_answers_that_moved_are_paused_or_rolled_back_and_equal_and_better_ones_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: dict[str, str]
) -> None:
    readers, images = digits(tmp_path / "digits")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "models"))

    def predictor(settings: dict[str, Any]) -> dict[str, Any]:
        return {"runtime": "custom", "entrypoint": "scoring:Scoring", "artifact": scores, "settings": settings}

    async with judging(tmp_path) as judged:
        shutil.copy(Path(__file__).with_name("scoring.py"), judged.folder)
        for model in CANDIDATES:
            judged.apply(model, 1, predictor=predictor(STABLE.get(model, {})))
        judged.apply("digits", 1, predictor={"runtime": "sklearn", "artifact": readers[0]})
        models = (*CANDIDATES, "digits")
        await judged.until_ended(*((model, 1) for model in models))
        asked = {model: [ONE] for model in CANDIDATES} | {"digits": images}
        callers = [asyncio.create_task(judged.call(model, asked[model], PER_SECOND)) for model in models]
        for model, (settings, action, _, _) in CANDIDATES.items():
            judged.apply(model, 2, predictor=predictor(settings), **plan("score", action))
        judged.apply("digits", 2, predictor={"runtime": "sklearn", "artifact": readers[1]}, **plan("predict", "Pause"))
        await judged.until_ended(*((model, 2) for model in models))
        await ended(*callers)
        _is_as_expected(judged)


def _is_as_expected(judged: Judged) -> None:
    expected = {model: (state, reason) for model, (_, _, state, reason) in CANDIDATES.items()}
    expected["digits"] = (State.Paused, Reason.Drift)
    found = {model: (judged.status(model, 2).state, judged.status(model, 2).reason) for model in expected}
    assert found == expected
    for model in expected:
        assert (model, 200) in judged.answers
        assert model == "better" or (model, 500) not in judged.answers
    verdict, (stop,) = judged.status("astray", 2).verdict, judged.status("digits", 2).stops
    assert verdict is not None
    for said in (verdict.message, stop.message):
        assert "answers moved by" in said
    told = account_of(next(each for each in judged.engine.versions if each.name == "digits-2"))
    assert told is not None
    assert told.moved is not None
    assert sum(told.moved.canary[5:]) == 0 < sum(told.moved.stable[5:]), "it has never been shown 5 to 9"

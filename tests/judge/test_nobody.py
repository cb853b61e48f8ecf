"""Where no judge is wired a step lasts its minDuration, and nothing is promoted past a dead stable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from turnout.api.analysis import Analysis
from turnout.api.rollout import AnalysisStep
from turnout.judge.nobody import NOTHING_JUDGED, NoJudge
from turnout.judge.protocol import Outcome, Question

STEP = AnalysisStep()


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        pytest.param({"elapsed": timedelta(minutes=2)}, Outcome.PASS, id="its minDuration is over"),
        pytest.param({"elapsed": timedelta(seconds=119)}, Outcome.HOLD, id="it is not"),
        pytest.param({"step": None, "elapsed": timedelta(days=1)}, Outcome.HOLD, id="no step asks for a verdict"),
        pytest.param({"elapsed": timedelta(days=1), "stable_unhealthy": True}, Outcome.HOLD, id="stable is dead"),
    ],
)
def test_what_it_says_when(question: dict[str, object], outcome: Outcome) -> None:
    asked = Question(Analysis(), memory="", poll=None, **{"step": STEP, **question})
    found = NoJudge().look(asked)
    assert (found.outcome, found.message) == (outcome, NOTHING_JUDGED)

"""What the versions of a model have been through, the last attempt first."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.data import version

Turnout = Callable[..., tuple[int, str, str]]

FIRST = {
    "attempt": 1, "outcome": "RolledBack", "reason": "ErrorRate", "maxWeight": 10,
    "startedAt": "2026-11-21T10:41:07Z", "finishedAt": "2026-11-21T10:53:10Z",
}  # fmt: skip
OLD = {**FIRST, "outcome": "Live", "reason": "Promoted", "maxWeight": 100, "startedAt": "2026-11-20T08:00:00Z"}
RUNNING = {
    "attempt": 2, "rolloutStartedAt": "2026-11-21T11:00:00Z", "history": [FIRST],
    "weight": {"desired": 25, "observed": 10}, "reason": "StepInProgress",
}  # fmt: skip


def test_the_running_attempt_comes_first_and_the_eldest_last(turnout: Turnout, cluster: Any) -> None:
    cluster(version(1, "Live", status={"history": [OLD]}), version(2, "Progressing", status=RUNNING))
    code, out, err = turnout("history", "digits")
    assert (code, err) == (0, "")
    assert out == (
        "VERSION    ATTEMPT   OUTCOME       REASON           STARTED                TOOK        MAX SHARE\n"
        "digits-2   2         Progressing   StepInProgress   2026-11-21 11:00:00Z   runs        25 %\n"
        "digits-2   1         RolledBack    ErrorRate        2026-11-21 10:41:07Z   12m3s       10 %\n"
        "digits-1   1         Live          Promoted         2026-11-20 08:00:00Z   26h53m10s   100 %\n"
    )


@pytest.mark.parametrize(("ended", "took"), [("11:00:19.357Z", "19s"), ("11:00:00.420Z", "420ms")])
def test_milliseconds_are_told_where_there_is_nothing_else(
    turnout: Turnout, cluster: Any, ended: str, took: str
) -> None:
    attempt = {**FIRST, "startedAt": "2026-11-21T11:00:00Z", "finishedAt": f"2026-11-21T{ended}"}
    cluster(version(1, "Live", status={"history": [attempt]}))
    assert f" {took} " in turnout("history", "digits")[1]


def test_json_has_the_words_of_the_status(turnout: Turnout, cluster: Any) -> None:
    cluster(version(2, "Progressing", status=RUNNING))
    answer = json.loads(turnout("history", "digits", "-o", "json")[1])
    assert (answer["namespace"], answer["model"]) == ("support", "digits")
    assert answer["attempts"][1] == {"name": "digits-2", "version": 2, **FIRST}


def test_a_model_that_was_never_tried_says_so(turnout: Turnout, cluster: Any) -> None:
    cluster(version(1, "Pending"))
    assert turnout("history", "digits")[:2] == (0, "no version of digits has been tried yet\n")

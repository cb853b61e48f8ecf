"""`turnout analyze`: the version that a person means, in a cluster and of a local engine; each `no` has a way out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import write
from tests.cli.data import version
from tests.judge.attempts import Plot, played
from turnout.api.reasons import State

Turnout = Callable[..., tuple[int, str, str]]


def judged(number: int, state: State, plot: Plot) -> dict[str, Any]:
    body: dict[str, Any] = played(plot, state).body()
    body["metadata"]["name"] = f"signals-{number}"
    body["spec"]["version"] = number
    return body


FAILED = judged(7, State.RolledBack, Plot(canary=0.03))
RUNNING = judged(8, State.Progressing, Plot(polls=7))
SILENT = version(9, "Live", model="signals")


def test_the_running_rollout_is_meant_and_a_former_one_by_its_number(turnout: Turnout, cluster: Any) -> None:
    cluster(FAILED, RUNNING, SILENT)
    code, out, err = turnout("analyze", "signals", "--ascii")
    assert (code, err) == (0, "")
    assert out.startswith("support/signals-8  version 8  > Progressing, 10 %\n")
    assert "neither is proven yet" in out
    assert out.rstrip().endswith("namespace support")
    assert turnout("analyze", "signals", "v7")[1].splitlines()[1].startswith("canary 5.4 % errors of 203")


def test_without_a_rollout_it_is_the_one_that_was_judged_last(turnout: Turnout, cluster: Any) -> None:
    older = {**FAILED, "status": {**FAILED["status"]}}
    older["status"]["analysis"] = {**FAILED["status"]["analysis"], "polledAt": "2026-11-20T10:00:00Z"}
    older = {**older, "metadata": {**FAILED["metadata"], "name": "signals-6"}, "spec": {**FAILED["spec"], "version": 6}}
    cluster(older, FAILED, SILENT)
    assert "signals-7" in turnout("analyze", "signals")[1]


def test_a_local_engine_is_asked_by_its_folder(turnout: Turnout, engine: Path) -> None:
    write(engine, "versions/support.signals-7", {"object": FAILED, "file": "signals-7.yaml"})
    answer = json.loads(turnout("analyze", "signals", "-o", "json")[1])
    assert answer["sentence"].endswith("within a false-alarm budget of 1 %")
    assert answer["harm"]["evidence"] > answer["harm"]["needed"]


def test_a_page_is_written_and_said(turnout: Turnout, cluster: Any, tmp_path: Path) -> None:
    cluster(FAILED)
    assert turnout("analyze", "signals", "--html", "verdict.html")[1].startswith("verdict.html: canary 5.4 % errors")
    assert "<svg" in (tmp_path / "verdict.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("versions", "words", "said"),
    [
        pytest.param([SILENT], ["signals"], "no version of signals has been judged; see: turnout status", id="none"),
        pytest.param(
            [version(9, "Progressing", model="signals")], ["signals"], "signals-9 has no poll yet", id="not yet"
        ),
        pytest.param([FAILED, SILENT], ["signals", "9"], "signals-9 has not been judged in its last", id="that one"),
        pytest.param([FAILED], ["signals", "5"], "signals has no version 5", id="no such version"),
        pytest.param([FAILED], ["signal"], "no model signal in", id="no such model"),
        pytest.param(
            [FAILED], ["signals", "--html", "no/where.html"], "cannot be written: No such file", id="no place"
        ),
        pytest.param(
            [{**FAILED, "status": {**FAILED["status"], "analysis": {"memory": "of another release"}}}],
            ["signals"],
            "is of other terms or of another release",
            id="another release",
        ),
    ],
)
def test_each_no_has_a_way_out(
    turnout: Turnout, cluster: Any, versions: list[dict[str, Any]], words: list[str], said: str
) -> None:
    cluster(*versions)
    code, out, err = turnout("analyze", *words)
    assert (code, out) == (1, "")
    assert said in err


def test_watching_tells_each_change_once(
    turnout: Turnout, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no terminal; the page is kept up to date beside it."""
    write(engine, "versions/support.signals-8", {"object": RUNNING, "file": "a.yaml"})
    rests = 0

    def rest(_: float) -> None:
        nonlocal rests
        rests += 1
        if rests == 3:
            write(engine, "versions/support.signals-8", {"object": judged(8, State.Live, Plot(polls=7)), "file": "a"})
        if rests == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", rest)
    code, out, _ = turnout("analyze", "signals", "-w", "--html", "now.html")
    assert code == 130
    assert out.count("support/signals-8") == 2
    assert "Live" in (tmp_path / "now.html").read_text("utf-8")

"""Words that can follow: from the parser, with the models as they are, and never a complaint in somebody's prompt."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.data import version
from turnout.cli import parser
from turnout.cli.completion import SCRIPTS, SHELLS, _is_file, kubectl_complete, wants_file

Turnout = Callable[..., tuple[int, str, str]]
TWO = (version(1, "Live"), version(1, "Live", model="tone"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("pro",), ["promote"]),
        (("",), ["up", "status", "predict", "analyze", "promote", "abort"]),
        (("promote", "--f"), ["--full"]),
        (("promote", "di"), ["digits"]),
        (("promote", ""), ["digits", "tone"]),
        (("promote", "-n", "support", ""), ["digits", "tone"]),
        (("promote", "digits", ""), []),
        (("status", "-o", ""), ["text", "json"]),
        (("status", "--context", ""), []),
        (("completion", "z"), ["zsh"]),
        (("rollback", "digits", ""), ["1"]),
        (("retry", "digits", "2"), []),
        (("retry", "tone", ""), ["1"]),
        (("rollback", "digits", "1", ""), []),
        (("promote", "-n", ""), ["support"]),
        (("promote", "--namespace", "x"), []),
        (("rollback", "moon", ""), []),
        (("status", "-n", "moon", ""), []),
        (("predict", "digits", ""), []),
        (("publish", ""), []),
        (("fly", ""), ["up"]),
        ((), ["up"]),
    ],
)
def test_what_can_follow(turnout: Turnout, cluster: Any, words: tuple[str, ...], expected: list[str]) -> None:
    cluster(*TWO)
    code, out, err = turnout("__complete", *words)
    found = [line.partition("\t")[0] for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_each_word_has_its_meaning_behind_a_tab(turnout: Turnout) -> None:
    assert turnout("__complete", "abo")[1] == "abort\tend a rollout and take its share away\n"


def test_versions_come_the_newest_first_with_their_state(turnout: Turnout, cluster: Any) -> None:
    cluster(version(9, "RolledBack"), version(10, "Live"), version(11, "Live", model="tone"))
    assert turnout("__complete", "rollback", "digits", "")[1] == "10\tLive\n9\tRolledBack\n"


def test_namespaces_are_those_of_every_version_in_sight(turnout: Turnout, cluster: Any) -> None:
    cluster(version(1, "Live"), version(2, "Live", namespace="search"))
    assert turnout("__complete", "status", "-n", "")[1] == "search\nsupport\n"


def test_a_local_engine_is_asked_for_its_namespaces(turnout: Turnout, engine: Path) -> None:
    assert turnout("__complete", "status", "-n", "")[1] == "default\n"


def test_a_local_engine_is_asked_for_its_models(turnout: Turnout, engine: Path) -> None:
    assert turnout("__complete", "status", "d")[1] == "digits\n"


def test_no_world_is_no_complaint(turnout: Turnout) -> None:
    assert turnout("__complete", "promote", "") == (0, "", "")


def test_kubectl_is_answered_as_cobra_would(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], engine: Path
) -> None:
    """Of the cluster, also where a local engine is at hand; the last line says that no file names are meant."""
    cluster(version(1, "Live", model="tone"))
    monkeypatch.chdir(engine.parent)
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-turnout", "promote", ""])
    assert kubectl_complete() == 0
    assert capsys.readouterr().out == "tone\n:4\n"
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-turnout", "lint", ""])
    kubectl_complete()
    assert capsys.readouterr().out.splitlines()[-1] == ":0"


@pytest.mark.parametrize(
    ("words", "is_file"),
    [
        ("lint ", True),
        ("lint one.yaml ", True),
        ("lint --", False),
        ("plan one.yaml --after ", True),
        ("plan one.yaml --rps ", False),
        ("up ", True),
        ("publish ", True),
        ("publish saved --example ", True),
        ("predict ", False),
        ("predict digits ", True),
        ("predict digits rows.csv ", False),
        ("analyze digits --html ", True),
        ("status --kubeconfig ", True),
        ("version ", False),
        ("pre", False),
        ("", False),
    ],
)
def test_files_are_offered_where_a_file_is_meant(words: str, is_file: bool) -> None:
    assert wants_file(parser(), words.split(" ")) == is_file


def test_fish_is_told_each_command_that_is_given_files() -> None:
    (action,) = (each for each in parser()._actions if isinstance(each, argparse._SubParsersAction))
    taking = [
        name
        for name, command in action.choices.items()
        if any(_is_file(each) for each in command._actions if not each.option_strings)
    ]
    assert f"'__fish_seen_subcommand_from {' '.join(taking)}' -F" in SCRIPTS["fish"]


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_the_script_of_each_shell_parses_in_it(turnout: Turnout, shell: str, tmp_path: Path) -> None:
    assert turnout("completion", shell)[1] == SCRIPTS[shell]
    (tmp_path / "script").write_text(SCRIPTS[shell])
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_by_it(turnout: Turnout, engine: Path) -> None:
    said = turnout("completion", "bash")[1]
    script = said + "COMP_WORDS=(turnout status d); COMP_CWORD=2; _turnout; echo ${COMPREPLY[@]}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=engine.parent, env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("digits\n", "")

"""Every command: help with examples, exit codes, one sentence on stderr for what the user must put right."""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from turnout import __version__
from turnout.api.crd import render
from turnout.cli import COMMANDS, main, parser
from turnout.cli.command import UserError
from turnout.settings import add_flags

Turnout = Callable[..., tuple[int, str, str]]
CONTROLS = ("promote", "abort", "retry", "pause", "resume", "rollback")
NAMES = (
    "up",
    "status",
    "predict",
    "analyze",
    *CONTROLS,
    "history",
    "init",
    "publish",
    "plan",
    "power",
    "lint",
    "preflight",
    "crd",
    "completion",
    "operator",
    "version",
)
WITHOUT_EXAMPLES = {"version"}


def test_help_names_every_command(turnout: Turnout) -> None:
    code, out, _ = turnout("--help")
    assert code == 0
    assert all(re.search(rf"(?m)^    {name}\s", out) for name in NAMES)
    assert len(COMMANDS) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_command_explains_itself(turnout: Turnout, name: str) -> None:
    code, out, _ = turnout(name, "--help")
    assert code == 0
    assert f"usage: turnout {name}" in out


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_EXAMPLES))
def test_commands_with_options_show_examples(turnout: Turnout, name: str) -> None:
    _, out, _ = turnout(name, "--help")
    assert "examples:\n  " in out


def test_the_examples_in_help_can_be_parsed() -> None:
    for name in sorted(set(NAMES) - WITHOUT_EXAMPLES - {"completion"}):
        text = next(each for each in _parsers() if each.prog.endswith(name)).epilog or ""
        lines = [line for line in text.splitlines() if line.startswith(f"  turnout {name}")]
        assert lines
        for line in lines:
            parser().parse_args(line.split("   ")[0].partition(" |")[0].split()[1:])


def _parsers() -> list[object]:
    (commands,) = (action for action in parser()._actions if action.dest == "==SUPPRESS==" or action.choices)
    return list(commands.choices.values())  # type: ignore[union-attr]


def test_the_help_of_the_operator_has_every_flag_that_it_takes(turnout: Turnout) -> None:
    """They stand in turnout.settings, for the process of the chart, and here for whoever starts it by hand."""
    flags = argparse.ArgumentParser()
    add_flags(flags)
    _, out, _ = turnout("operator", "--help")
    assert [each for each in flags._option_string_actions if each not in out] == []
    assert "--version-gateway" in out


def test_what_the_operator_is_told_wrongly_is_2(turnout: Turnout) -> None:
    code, out, err = turnout("operator", "--prometheus-token", "cluster=/run/token")
    assert (code, out) == (2, "")
    assert "usage: turnout operator" in err
    assert "there is no --prometheus cluster=URL" in err
    assert turnout("operator", "--frobnicate")[0] == 2


@pytest.mark.parametrize("wrong", [(), ("fly",), ("lint",), ("status", "--frobnicate"), ("status", "-o", "xml")])
def test_a_command_line_that_makes_no_sense_is_2(turnout: Turnout, wrong: tuple[str, ...]) -> None:
    code, out, err = turnout(*wrong)
    assert (code, out) == (2, "")
    assert "usage: turnout" in err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--port=0", "argument --port: '0' must be a port, 1 to 65535"),
        ("--port=65536", "argument --port: '65536' must be a port, 1 to 65535"),
        ("--port=-1", "argument --port: '-1' must be a port, 1 to 65535"),
        ("--port=http", "argument --port: 'http' must be a port, 1 to 65535"),
        ("--prometheus=cluster", "argument --prometheus: 'cluster' is no NAME=URL, such as cluster=http://"),
        ("--prometheus=c=http://me:word@host", "argument --prometheus: the address of c carries a secret"),
        ("--namespace=Foo", "argument --namespace: 'Foo' must be a namespace's name: lower-case letters, digits"),
        ("--namespace=a.b", "argument --namespace: 'a.b' must be a namespace's name: "),
        ("--namespace=a-", "argument --namespace: 'a-' must be a namespace's name: "),
        (f"--namespace={'a' * 64}", "must be a namespace's name: "),
    ],
)
def test_an_option_of_up_that_cannot_be_is_refused(turnout: Turnout, option: str, said: str) -> None:
    code, out, err = turnout("up", "models", option)
    assert (code, out) == (2, "")
    assert said in err


def test_a_prometheus_of_up_is_taken_by_its_name() -> None:
    args = parser().parse_args(["up", "models", "--prometheus", "cluster=http://127.0.0.1:9090"])
    assert args.prometheus == [("cluster", "http://127.0.0.1:9090")]


def test_a_token_for_a_prometheus_that_is_not_named_is_refused(turnout: Turnout) -> None:
    code, out, err = turnout("up", "models", "--prometheus-token", "cluster=/run/token")
    assert (code, out) == (1, "")
    assert err == "turnout: --prometheus-token cluster: there is no --prometheus cluster=URL\n"


def test_the_outermost_options_of_up_can_be() -> None:
    for port, namespace in ((1, "a"), (65535, "0" * 63)):
        args = parser().parse_args(["up", "models", "--port", str(port), "--namespace", namespace])
        assert (args.port, args.namespace) == (port, namespace)


def test_heavy_modules_stay_out_of_the_help() -> None:
    """Counts modules, not milliseconds: what is not imported costs nothing on any machine."""
    probe = (
        "import sys; from turnout.cli import parser; parser();"
        "print([m for m in ('pydantic', 'kubernetes', 'aiohttp', 'yaml', 'asyncio') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_version(turnout: Turnout) -> None:
    assert turnout("version")[1].startswith(f"turnout {__version__} on Python 3.")
    assert turnout("--version")[1] == f"turnout {__version__}\n"


def test_crd_is_the_generated_one(turnout: Turnout) -> None:
    assert turnout("crd") == (0, render(), "")


def test_the_command_runs_as_a_module() -> None:
    said = subprocess.run([sys.executable, "-m", "turnout.cli", "version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("turnout ")


def test_a_closed_pipe_is_no_failure() -> None:
    command = f"{sys.executable} -m turnout.cli crd | head -n 1"
    said = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert said.stderr == ""
    assert said.returncode == 0


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("turnout.api.crd.render", interrupt)
    assert main(["crd"]) == 130


def test_what_the_user_must_put_right_is_one_sentence_and_1(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise UserError("the moon is in the way: wait")

    monkeypatch.setattr("turnout.api.crd.render", refuse)
    assert turnout("crd") == (1, "", "turnout: the moon is in the way: wait\n")


def test_lint_counts_what_is_right(turnout: Turnout, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert turnout("lint", "good.yaml") == (0, "1 ModelVersion, nothing wrong\n", "")


def test_lint_notes_what_is_allowed_and_does_not_do_what_it_seems_to(turnout: Turnout, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        GOOD + "  scaling: {minReplicas: 2, maxReplicas: 9, floors: [{schedule: 0 8 * * *, "
        "until: 0 9 * * *, minReplicas: 6}]}\n"
    )
    second = GOOD.replace("digits-1", "digits-2").replace("version: 1", "version: 2")
    (tmp_path / "two.yaml").write_text(f"{second}  analysis: {{judge: Threshold}}\n")
    code, out, err = turnout("lint", "one.yaml", "two.yaml")
    assert (code, err) == (0, "")
    assert "two.yaml:1: note: spec.scaling.maxReplicas: 3 is less than the 6 pods with which digits-1 serves: " in out
    assert "two.yaml:1: note: spec.analysis: it has nothing to prove: harm is not found" in out
    assert out.endswith("2 ModelVersions, nothing wrong\n")
    assert "note" not in turnout("lint", "one.yaml")[1]


def test_lint_names_file_line_and_field(turnout: Turnout, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD.replace("runtime: sklearn", "runtime: sklaern"))
    code, out, err = turnout("lint", "bad.yaml", "missing.yaml")
    assert (code, out) == (1, "")
    assert "bad.yaml:8: spec.predictor.runtime: " in err
    assert "missing.yaml:1: no such file" in err


def test_lint_names_what_is_not_served_yet(turnout: Turnout, tmp_path: Path) -> None:
    (tmp_path / "early.yaml").write_text(GOOD.replace("runtime: sklearn", "runtime: torch"))
    code, out, err = turnout("lint", "early.yaml")
    assert (code, out) == (1, "")
    assert err.startswith('early.yaml:1: spec.predictor.runtime: "torch" is not served by this release: ')


GOOD = """\
apiVersion: turnout.dev/v1alpha1
kind: ModelVersion
metadata: {name: digits-1}
spec:
  model: digits
  version: 1
  predictor:
    runtime: sklearn
    artifact: {uri: file:///models/digits/1}
"""

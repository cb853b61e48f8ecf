"""The harness at a terminal: one sentence and exit status 1 where it cannot go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Cluster, HarnessError, cli, lifecycle, machine
from harness.errors import CommandError, MissingError
from harness.layout import Layout
from harness.shell import run, until

LAYOUT = Layout(cache=Path("/nonexistent/cache"), state=Path("/nonexistent/state"))


def test_a_fault_is_one_sentence_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Layout) -> None:
        raise HarnessError("the bridge is taken by somebody else: remove it")

    monkeypatch.setattr(lifecycle, "up", refuse)
    assert cli.main(["up"]) == 1
    assert capsys.readouterr().err == "error: the bridge is taken by somebody else: remove it\n"


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: Layout) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "up", interrupt)
    assert cli.main(["up"]) == 130
    assert "`up` begins anew" in capsys.readouterr().err


def test_a_machine_where_nothing_ever_ran_is_not_healthy_and_says_so_at_once() -> None:
    assert not lifecycle.is_healthy(LAYOUT)
    assert not lifecycle.settles(LAYOUT, seconds=3600)
    assert lifecycle.origin(LAYOUT) == "never started to the end"


def test_without_root_the_obstacle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "needs root" in (machine.obstacle() or "")


def test_what_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "containerd" in (machine.obstacle() or "")
    with pytest.raises(MissingError, match="lacks containerd"):
        machine.ensure_packages(machine.NODE_PACKAGES)


def test_a_failed_command_carries_what_it_said() -> None:
    with pytest.raises(CommandError, match="exit status 3\nwhy"):
        run("sh", "-c", "echo why >&2; exit 3")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="no-such-program is not installed"):
        run("no-such-program")


def test_a_fact_that_never_comes_true_is_named() -> None:
    with pytest.raises(HarnessError, match="the moon: not within 0 s"):
        until("the moon", lambda: False, seconds=0)


def test_exports_are_all_a_shell_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    exports = Cluster(LAYOUT).exports()
    assert exports["KUBECONFIG"] == "/nonexistent/state/pki/admin.kubeconfig"
    assert exports["PATH"].endswith(":/usr/bin")
    assert exports["TURNOUT_GATEWAY"].startswith("http://10.96.")

"""`turnout init`: what it writes passes its own tests and can be applied."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from turnout.cli import main
from turnout.cli.init import LAYOUTS

Captured = pytest.CaptureFixture[str]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("runtime", LAYOUTS)
def test_a_project_passes_its_own_tests(tmp_path: Path, runtime: str, capsys: Captured) -> None:
    project = tmp_path / "my-scorer"
    assert main(["init", "my-scorer", "--runtime", runtime, "--to", str(project)]) == 0
    assert "python -m pytest tests" in capsys.readouterr().out
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert main(["lint", str(project / "my-scorer-1.yaml")]) == 0
    assert not any("@" in path.name for path in project.rglob("*"))


REFUSED = {
    "a name with capitals": (["My", "--runtime", "custom"], "is no model's name"),
    "a name that begins with a digit": (["7up", "--runtime", "custom"], "is no model's name"),
    "a folder with something in it": (["scorer", "--runtime", "custom", "--to", "."], "exists and is not empty"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("x")
    assert main(["init", *words]) == 1
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]

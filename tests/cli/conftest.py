"""A folder as a local engine leaves it, and a command line in it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.apiserver import ApiServer, serving
from tests.cli.data import TRAFFIC, VERSION
from turnout.cli import main


def write(folder: Path, name: str, value: object) -> None:
    file = folder / "state" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value), "utf-8")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """`.turnout` of an engine that runs: this very process holds it."""
    folder = tmp_path / ".turnout"
    write(folder, "versions/default.digits-1", {"object": VERSION, "file": "digits-1.yaml"})
    write(folder, "traffic", TRAFFIC)
    write(
        folder, "engine", {"url": "http://127.0.0.1:8080", "trouble": None, "problems": ["digits-2.yaml:3: spec: odd"]}
    )
    lock = {"pid": os.getpid(), "command": "turnout up", "since": "2026-11-21T10:40:00+00:00"}
    (folder / "lock").write_text(json.dumps(lock), "utf-8")
    return folder


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ApiServer]]:
    """Starts an API server that holds these ModelVersions; commands find it by KUBECONFIG."""
    monkeypatch.setattr("turnout.cli.asking.LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr("turnout.cli.asking.AGAIN_SECONDS", 0.0)
    with ExitStack() as stack:

        def start(*versions: dict[str, Any]) -> ApiServer:
            server = stack.enter_context(serving(ApiServer(*versions), tmp_path))
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
            return server

        yield start


@pytest.fixture
def turnout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in an empty folder without any cluster: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run

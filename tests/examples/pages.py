"""What a reader of a page does: its shell blocks, in a folder that has what a clone has."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def shell_blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def clone(folder: Path) -> Path:
    """`folder`, in which a page's commands find what a clone has after `make demo`."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("examples", "manifests"):
        (folder / name).symlink_to(ROOT / name)
    for name, command in (("python", ""), ("turnout", " -m turnout.cli")):
        script = folder / ".venv" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        script.chmod(0o755)
    (folder / ".venv" / "bin" / "activate").write_text(f'PATH="{folder}/.venv/bin:$PATH"\n')
    return folder


def sh(script: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    command = ["bash", "-e"]
    done = subprocess.run(
        command, input=script, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def running(script: str, folder: Path, said: Path) -> Iterator[None]:
    """What keeps running until Ctrl-C, and ends well by it; `said`: what it says, as it says it."""
    with said.open("w") as to:
        process = subprocess.Popen(["bash", "-e", "-c", script], cwd=folder, stdout=to, stderr=to)
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert process.returncode in (0, 130), said.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_said(word: str, said: Path) -> None:
    for _ in range(240):
        if word in said.read_text():
            return
        time.sleep(0.5)
    raise AssertionError(f"no {word} in {said.read_text()}")


def until(folder: Path, state: str, name: str) -> None:
    """Until the local engine of that folder says that this version has that state."""
    for _ in range(240):
        answer = (
            json.loads(sh(".venv/bin/turnout status -o json", folder)) if (folder / ".turnout/state").is_dir() else {}
        )
        versions = [version for model in answer.get("models", ()) for version in model["versions"]]
        if any(version["name"] == name and version["state"] == state for version in versions):
            return
        time.sleep(0.5)
    raise AssertionError(f"{name} never became {state}: {answer}")

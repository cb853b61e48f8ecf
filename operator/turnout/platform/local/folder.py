"""The engine's folder: one holder at a time, facts written whole or not at all, a log of every process.

`.turnout/lock`       who holds the folder; the lock is the kernel's and ends with the process
`.turnout/state/`     what is known, as JSON; see `records` for the shapes
`.turnout/logs/`      `<version>-<n>.log` of each process, the last starts kept as `.log.1` … `.log.5`
`.turnout/run/`       what is only of use while the engine runs: Envoy's files and socket, last words
"""

import fcntl
import json
import os
import shlex
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO

LOGS_KEPT = 5


class HeldError(Exception):
    """Another process holds the folder; says who, since when and what to do."""


class Folder:
    """One engine's folder. Nothing is written before `hold`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.state = self.path / "state"
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self._lock: IO[str] | None = None

    def hold(self) -> None:
        """Take the folder, or raise `HeldError`. The lock is not inherited by child processes."""
        for folder in (self.path, self.state, self.logs, self.run):
            folder.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            sentence = self._held_by(lock.read())
            lock.close()
            raise HeldError(sentence) from None
        holder = {"pid": os.getpid(), "command": shlex.join(sys.argv), "since": _now()}
        lock.truncate(0)
        lock.write(json.dumps(holder))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def _held_by(self, text: str) -> str:
        way_out = "stop that one, or give --state another folder"
        try:
            holder = json.loads(text)
            who = f"process {holder['pid']} ({holder['command']}) since {holder['since']}"
        except (ValueError, KeyError, TypeError):
            who = "another process that has not said who it is"
        return f"{self.path} is held by {who}: {way_out}"

    def write(self, name: str, value: object) -> None:
        """Replace `state/<name>.json` in one step; equal content is not written."""
        write_atomically(self.state / f"{name}.json", json.dumps(value, indent=1, sort_keys=True))

    def read(self, name: str) -> object:
        """`state/<name>.json`; None where it is missing or was never whole."""
        try:
            return json.loads((self.state / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def fresh_log(self, process: str) -> Path:
        """The log file of a process that is about to start; the former ones move up by one."""
        logs = [
            self.logs / f"{process}.log",
            *(self.logs / f"{process}.log.{n}" for n in range(1, LOGS_KEPT + 1)),
        ]
        for newer, older in reversed(list(pairwise(logs))):
            if newer.exists():
                newer.replace(older)
        return logs[0]


def write_atomically(path: Path, text: str) -> bool:
    """Write `text` by a rename, which readers and watches see as one change; False if it stood already."""
    try:
        if path.read_text("utf-8") == text:
            return False
    except OSError:
        pass
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, "utf-8")
    draft.replace(path)
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""The engine's folder: one holder at a time, facts written whole or not at all, a log of every process.

`.turnout/lock`       who holds the folder and how it fares; the lock is the kernel's and ends with the process
`.turnout/state/`     what is known, as JSON; see `records` for the shapes
`.turnout/logs/`      `<version>-<n>.log` of each process, the last starts kept as `.log.1` … `.log.5`
`.turnout/run/`       what is only of use while the engine runs: Envoy's files and socket, last words
"""

import errno
import fcntl
import json
import os
import shlex
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

LOGS_KEPT = 5
LOCK_BYTES = 4096  # taken at the start and written over in place: words of a full disk need room, too
KINDS = ("versions", "events", "requests")
WAYS_OUT = {
    errno.ENOSPC: "make room; until then nothing new is remembered",
    errno.EDQUOT: "make room; until then nothing new is remembered",
    errno.ENOENT: "it was removed while it is in use: stop turnout up and start it again",
}


class FolderError(Exception):
    """The folder cannot be used; says which, why and what to do."""


class HeldError(FolderError):
    """Another process holds the folder; says who, since when and what to do."""


class Folder:
    """One engine's folder. Nothing is written before `hold`.

    `trouble` says why the last fact could not be written; empty once one could. Serving goes on meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.state = self.path / "state"
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self._trouble = ""
        self._lock: int | None = None
        self._holder: dict[str, str | int] = {}
        self._unwritten: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        return self._trouble

    @trouble.setter
    def trouble(self, sentence: str) -> None:
        if sentence != self._trouble:
            self._trouble = sentence
            self._say_who()

    def hold(self) -> None:
        """Take the folder, or raise `FolderError`. The lock is not inherited by child processes."""
        try:
            for folder in (self.path, *(self.state / kind for kind in KINDS), self.logs, self.run):
                folder.mkdir(parents=True, exist_ok=True)
            self._hold()
        except (FileExistsError, NotADirectoryError) as fault:
            raise FolderError(f"{fault.filename} is no folder: give --state another place") from fault
        except OSError as fault:
            self._close()
            sentence = f"{self.path} cannot be made: {fault.strerror}; give --state a folder that you may write"
            raise FolderError(sentence) from fault

    def _hold(self) -> None:
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sentence = self._held_by(os.pread(self._lock, LOCK_BYTES, 0).decode(errors="replace"))
            self._close()
            raise HeldError(sentence) from None
        self._holder = {"pid": os.getpid(), "command": shlex.join(sys.argv)[: LOCK_BYTES // 2], "since": _now()}
        os.ftruncate(self._lock, 0)
        self._say_who()

    def _say_who(self) -> None:
        """Over what the lock says, within the room that it has had from the start."""
        if self._lock is not None and self._holder:
            text = json.dumps({**self._holder, "trouble": self._trouble[: LOCK_BYTES // 4]})
            os.pwrite(self._lock, text.encode().ljust(LOCK_BYTES), 0)

    def release(self) -> None:
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            self._close()

    def _close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock, self._holder = None, {}

    def _held_by(self, text: str) -> str:
        way_out = "stop that one, or give --state another folder"
        try:
            holder = json.loads(text)
            who = f"process {holder['pid']} ({holder['command']}) since {holder['since']}"
        except (ValueError, KeyError, TypeError):
            who = "another process that has not said who it is"
        return f"{self.path} is held by {who}: {way_out}"

    def write(self, name: str, value: object, *, durable: bool = True) -> None:
        """Replace `state/<name>.json` in one step; equal content is not written.

        What cannot be written is `trouble`, and is tried again with whatever is written next.
        """
        self._unwritten[name] = json.dumps(value, indent=1, sort_keys=True)
        try:
            for late in tuple(self._unwritten):
                if write_atomically(self.state / f"{late}.json", self._unwritten[late], durable=durable):
                    self.trouble = ""
                del self._unwritten[late]
        except OSError as fault:
            self.note(fault)

    def note(self, fault: OSError) -> None:
        """Remember why the folder could not be written."""
        way_out = WAYS_OUT.get(fault.errno or 0, "let its owner write there")
        self.trouble = f"{self.path} cannot be written: {fault.strerror or fault}; {way_out}"

    def read(self, name: str) -> object:
        """`state/<name>.json`; None where it is missing or was never whole."""
        try:
            return json.loads((self.state / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def read_all(self, kind: str) -> dict[str, object]:
        """Every fact of `state/<kind>/` by its name, in the order of the names; those never whole are left out."""
        names = sorted(f"{kind}/{file.stem}" for file in (self.state / kind).glob("*.json"))
        facts = ((name, self.read(name)) for name in names)
        return {name: fact for name, fact in facts if fact is not None}

    def forget(self, name: str) -> None:
        """Remove `state/<name>.json`."""
        self._unwritten.pop(name, None)
        try:
            (self.state / f"{name}.json").unlink(missing_ok=True)
        except OSError as fault:
            self.note(fault)

    def log_of(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def fresh_log(self, process: str) -> Path:
        """The log file of a process that is about to start; the former ones move up by one."""
        logs = [
            self.log_of(process),
            *(self.logs / f"{process}.log.{n}" for n in range(1, LOGS_KEPT + 1)),
        ]
        for newer, older in reversed(list(pairwise(logs))):
            if newer.exists():
                newer.replace(older)
        return logs[0]


def write_atomically(path: Path, text: str, *, durable: bool = True) -> bool:
    """Write `text` by a rename, which readers and watches see as one change; False if it stood already.

    `durable`: its bytes are on the disk before its name is, so that a machine that loses its power finds the old
    fact or the new one, never an empty file. The rename itself is left to the file system's journal, which keeps
    renames in their order: what is lost is the end of the story, and the processes that it spoke of died with it.
    """
    try:
        if path.read_text("utf-8") == text:
            return False
    except OSError:
        pass
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    draft.replace(path)
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""One cluster per machine: who changes it (`exclusive`) or counts on it (`shared`) locks one file.

The lock is the kernel's (flock): it ends with its holder, however that ends, so it is never stale. Who
holds it is asked of the kernel too, not read from a file that a killed process left.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.errors import InUseError
from harness.shell import say


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds the lock."""

    pid: int
    command: str
    folder: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}) in {self.folder}, started {self.since}"


@contextmanager
def exclusive(path: Path, purpose: str, *, wait: bool = False) -> Iterator[None]:
    """Keep everybody else away while the cluster (or the cache) changes.

    Raises InUseError, naming the holders, if the lock is taken and `wait` is false.
    """
    with _locked(path, fcntl.LOCK_EX, purpose, wait):
        yield


@contextmanager
def shared(path: Path, purpose: str, *, wait: bool = False) -> Iterator[None]:
    """Use the cluster beside others; nobody takes it down meanwhile."""
    with _locked(path, fcntl.LOCK_SH, purpose, wait):
        yield


@contextmanager
def _locked(path: Path, mode: int, purpose: str, wait: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, mode, path, purpose, wait)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, mode: int, path: Path, purpose: str, wait: bool) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            who = "; ".join(str(holder) for holder in holders(path)) or "another process"
        if not wait:
            raise InUseError(
                f"{purpose} must wait: the cluster of this machine is held by {who}. End it or wait for it."
            )
        if not told:
            say(f"{purpose} waits for {who}")
            told = True
        time.sleep(0.5)


def holders(path: Path) -> list[Holder]:
    """The processes that hold the lock now, other than this one."""
    try:
        facts = path.stat()
        table = Path("/proc/locks").read_text()
    except OSError:
        return []
    return [_holder(pid) for pid in lock_pids(table, facts.st_dev, facts.st_ino) if pid != os.getpid()]


def lock_pids(table: str, device: int, inode: int) -> list[int]:
    """The pids that hold a flock on a file, from the text of /proc/locks; those that wait are left out."""
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    rows = (line.split() for line in table.splitlines() if "->" not in line)
    return [int(row[4]) for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5] == wanted]


def _holder(pid: int) -> Holder:
    folder = Path(f"/proc/{pid}")
    try:
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        started = datetime.fromtimestamp(folder.stat().st_mtime).astimezone().strftime("%H:%M:%S")
        return Holder(pid, command[:120], os.readlink(folder / "cwd"), started)
    except OSError:
        return Holder(pid, "unknown", "an unknown folder", "some time ago")

"""One child process: in its own group, dead when we are, its exit known at once.

Children get SIGKILL from the kernel when the engine dies, however it dies. Where the kernel cannot do that,
and for what slips through, the ledger of started processes lets the next engine end them.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from turnout.platform.local.folder import Folder

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Runs in the child between fork and exec: no imports, no allocation of note."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Ledger:
    """Which processes are ours, with the moment of their start, so that a reused pid is never ours."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._started: dict[int, str] = {}

    def add(self, pid: int) -> None:
        self._started[pid] = start_of(pid)
        self._write()

    def remove(self, pid: int) -> None:
        if self._started.pop(pid, None) is not None:
            self._write()

    def end_orphans(self) -> int:
        """Kill what a former engine left behind; how many there were."""
        recorded = self._folder.read("processes")
        left = recorded.items() if isinstance(recorded, dict) else ()
        orphans = [int(pid) for pid, start in left if start and start_of(int(pid)) == start]
        for pid in orphans:
            kill_group(pid, signal.SIGKILL)
        self._write()
        return len(orphans)

    def _write(self) -> None:
        started = {str(pid): start for pid, start in self._started.items()}
        self._folder.write("processes", started, durable=False)  # a machine without power has no processes left


def start_of(pid: int) -> str:
    """When a process began, in the kernel's own count; empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def kill_group(pid: int, sign: signal.Signals) -> None:
    """Signal a process and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, sign)


class Child:
    """A running child. `ended` holds its exit code; 128 + n for signal n, as Kubernetes writes it."""

    def __init__(self, process: asyncio.subprocess.Process, ledger: Ledger) -> None:
        self._process = process
        self._ledger = ledger
        self.pid = process.pid
        self.ended: asyncio.Task[int] = asyncio.create_task(self._wait(), name=f"wait-{process.pid}")

    async def _wait(self) -> int:
        code = await self._process.wait()
        self._ledger.remove(self.pid)
        kill_group(self.pid, signal.SIGKILL)  # what it started and left behind
        return code if code >= 0 else 128 - code

    def signal(self, sign: signal.Signals) -> None:
        if not self.ended.done():
            kill_group(self.pid, sign)

    async def stop(self, grace_seconds: float) -> int:
        """SIGTERM, and SIGKILL after the grace; returns the exit code."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a stopped process must hear it
        done, _ = await asyncio.wait((self.ended,), timeout=grace_seconds)
        if not done:
            self.signal(signal.SIGKILL)
        return await asyncio.shield(self.ended)


async def spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, ledger: Ledger) -> Child:
    """Start a child that writes both its streams to `log`. Raises OSError where it cannot be started."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=env,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    ledger.add(process.pid)
    return Child(process, ledger)


def last_words(log: Path, limit: int = 300) -> str:
    """The last line that a process wrote; of a JSON line its message."""
    try:
        lines = log.read_bytes()[-8192:].decode("utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    last = lines[-1].strip() if lines else ""
    with suppress(ValueError, KeyError, TypeError):
        last = str(json.loads(last)["message"])
    return last[-limit:]

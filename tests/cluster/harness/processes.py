"""The cluster's processes on this machine: started with a log each, and found again by what they are.

Found by facts of /proc (executable, command line, root mount), never by pid files: those lie after a `kill
-9`. Refuses to touch any process that is not the cluster's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from harness.errors import HarnessError
from harness.layout import Layout
from harness.shell import say

# Programs the cluster runs for as long as it lives; kubectl and helm are not among them, people run those.
DAEMONS = ("etcd", "kube-", "kubelet", "coredns", "containerd", "runc", "ctr")


def start(layout: Layout, name: str, *command: str | Path) -> None:
    """A daemon in a session of its own and nobody's child, which outlives the harness; it writes to logs/NAME.log."""
    layout.logs.mkdir(parents=True, exist_ok=True)
    with (layout.logs / f"{name}.log").open("ab") as log:
        subprocess.run(
            ["setsid", "--fork", *(str(word) for word in command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",  # a clone that is deleted later must not pull the ground from under it
            check=True,
        )


def ours(layout: Layout) -> dict[int, str]:
    """Every living process of the cluster, daemons, shims and containers: pid -> command."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            command = _command_if_ours(folder, layout)
            if command:
                found[int(folder.name)] = command
    return found


def in_containers(layout: Layout) -> dict[int, str]:
    """Those of `ours` that run in containers: pid -> command."""
    return {pid: command for pid, command in ours(layout).items() if not _program(_of(pid)).startswith(DAEMONS)}


def daemon(layout: Layout, program: str) -> dict[int, str]:
    """The cluster's processes that run this program: pid -> command."""
    return {pid: command for pid, command in ours(layout).items() if _program(_of(pid)) == program}


def _of(pid: int) -> Path:
    return Path(f"/proc/{pid}")


def any_runs(program: str) -> bool:
    """Whether any process of this machine, ours or not, runs a program whose name begins so."""
    return any(_program(path).startswith(program) for path in Path("/proc").glob("[0-9]*"))


def _program(process: Path) -> str:
    """The name of the file it runs; "" for what is over (a zombie runs none) and for the kernel's own."""
    try:
        return os.readlink(process / "exe").removesuffix(" (deleted)").rsplit("/", 1)[-1]
    except OSError:
        return ""


def programs(layout: Layout) -> list[str]:
    """The names of the programs that the cluster's processes run."""
    return [_program(_of(pid)) for pid in ours(layout)]


def _command_if_ours(process: Path, layout: Layout) -> str | None:
    try:
        words = process.joinpath("cmdline").read_bytes().split(b"\0")
        command = b" ".join(words).decode(errors="replace").strip()
        if not command:
            return None  # a kernel thread or a zombie
        executable = os.readlink(process / "exe")
        root = next(
            (line for line in process.joinpath("mountinfo").read_text().splitlines() if line.split()[4] == "/"),
            "",
        )
    except OSError:
        return None
    return command if is_ours(executable, command, root, layout) else None


def is_ours(executable: str, command: str, root_mount: str, layout: Layout) -> bool:
    """Whether these facts are those of a process of the cluster.

    Its daemons, and containerd's shims, name the state folder in their arguments; the root of a process in a
    container has its layers there.
    """
    state = f"{layout.state}/"
    name = executable.removesuffix(" (deleted)").rsplit("/", 1)[-1]
    return (name.startswith(DAEMONS) and state in command) or f"upperdir={state}" in root_mount


def end(pids: dict[int, str], seconds: float) -> dict[int, str]:
    """Ask processes to end, wait, and return those that did not."""
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return {pid: command for pid, command in pids.items() if _alive(pid)}


def end_by_name(layout: Layout, *names: str, seconds: float = 10) -> None:
    """End the daemons with these program names, politely."""
    kill(end({pid: command for name in names for pid, command in daemon(layout, name).items()}, seconds))


def kill(pids: dict[int, str]) -> None:
    for pid in pids:
        _signal(pid, signal.SIGKILL)


def clear(layout: Layout, seconds: float = 15) -> None:
    """Kill whatever of the cluster still runs, until nothing does."""
    deadline = time.monotonic() + seconds
    told = False
    while left := ours(layout):
        if time.monotonic() > deadline:
            raise HarnessError(f"these processes of the cluster cannot be killed: {left}")
        if not told:
            say(f"ending {len(left)} processes of the cluster")
            told = True
        kill(left)
        time.sleep(0.2)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False

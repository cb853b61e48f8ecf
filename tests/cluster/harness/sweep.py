"""Takes a cluster off this machine, whether it runs, was stopped half way or was killed: nothing of it stays.

Works from what is there (processes, mounts, rules, cgroups), so it is right after any kind of death, and
harmless where there is nothing. Keeps the cache, and the logs of the last cluster.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from harness import network, processes
from harness.layout import Layout
from harness.shell import run, step, succeeds

CGROUPS = Path("/sys/fs/cgroup")


def sweep(layout: Layout) -> None:
    """End and remove everything but logs. Idempotent."""
    # The kubelet first, or it starts again what is killed; then containerd, or it meddles with the clean-up
    processes.end_by_name(layout, "kubelet", seconds=5)
    processes.end_by_name(layout, "containerd", seconds=5)
    processes.clear(layout)
    unmount(layout.state)
    network.remove(layout)
    _remove_cgroups()
    _remove_run_files(layout)
    left = [entry for entry in layout.state.glob("*") if entry != layout.logs]
    if left:
        with step("files removed"):  # a minute and more after many large images, on a slow disk
            run("rm", "-rf", *left)


def unmount(state: Path) -> None:
    for point in mount_points(Path("/proc/mounts").read_text(), state):
        succeeds("umount", "-l", point)


def mount_points(table: str, state: Path) -> list[str]:
    """Mount points below a folder, innermost first, from the text of /proc/mounts."""
    points = (line.split()[1].replace("\\040", " ") for line in table.splitlines())
    return sorted((point for point in points if point.startswith(f"{state}/")), key=len, reverse=True)


def _remove_cgroups() -> None:
    """Empty cgroups of pods, in each hierarchy (v1) or the one (v2); rmdir refuses any that is in use."""
    for top in [*CGROUPS.glob("kubepods"), *CGROUPS.glob("*/kubepods")]:
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
            _try_rmdir(folder)
        _try_rmdir(top)


def _remove_run_files(layout: Layout) -> None:
    """Sockets of dead shims, and kubelet's links to logs of pods: both lie outside the state folder."""
    if not processes.any_runs("containerd"):  # else another containerd of this machine has its own there
        shutil.rmtree("/run/containerd", ignore_errors=True)
    links = Path("/var/log/containers")
    for link in links.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{layout.state}/"):
            link.unlink()
    _try_rmdir(links)


def _try_rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return

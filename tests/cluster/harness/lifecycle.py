"""Start, health and end of the one cluster of this machine."""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from harness import install, node, processes, releases
from harness.binaries import build
from harness.errors import CommandError, HarnessError, MissingError
from harness.layout import LOCK, Layout
from harness.lock import exclusive
from harness.machine import NODE_PACKAGES, ensure_packages, obstacle
from harness.shell import say, step
from harness.sweep import sweep, unmount

DAEMONS = {"containerd", "kubelet", "kube-proxy", "coredns", *node.CONTROL_PLANE}


def up(layout: Layout) -> None:
    """A healthy cluster: the one that runs, or a fresh one in place of whatever is left of a former one."""
    if settles(layout):
        say(f"the cluster is up already: {origin(layout)}")
        return
    hindrance = obstacle()
    if hindrance:
        raise MissingError(hindrance)
    ensure_packages(NODE_PACKAGES)
    build(layout)
    with exclusive(LOCK, "starting the cluster"):
        start(layout)


def start(layout: Layout) -> None:
    """A fresh cluster; for callers that hold the lock."""
    with step("cluster up"):
        sweep(layout)
        shutil.rmtree(layout.logs, ignore_errors=True)
        layout.state.mkdir(parents=True, exist_ok=True)
        try:
            _assemble(layout)
        except HarnessError as fault:
            raise HarnessError(f"{fault}\nlast lines of {layout.logs}:\n{node.describe_logs(layout.logs)}") from None
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        birth = {"pid": os.getpid(), "folder": str(Path.cwd()), "since": now}
        layout.birth.write_text(json.dumps(birth))


def _assemble(layout: Layout) -> None:
    """The parts that need each other in order, the others beside them."""
    with ThreadPoolExecutor(2) as aside:
        reading = aside.submit(releases.read, layout)
        node.start(layout)
        joining = aside.submit(node.join, layout)
        release = reading.result()
        install.define(layout, release)
        joining.result()
    install.install(layout, release)


def down(layout: Layout) -> None:
    """No cluster on this machine; the logs stay until the next one."""
    with exclusive(LOCK, "stopping the cluster"), step("cluster down"):
        sweep(layout)


def reset(layout: Layout) -> None:
    """No cluster, no logs and no images on this machine; compiled binaries stay."""
    with exclusive(LOCK, "resetting the cluster"), step("cluster reset"):
        sweep(layout)
        shutil.rmtree(layout.state, ignore_errors=True)
        for folder in (layout.images, layout.builds_of_images):
            unmount(folder)
            shutil.rmtree(folder, ignore_errors=True)


def is_healthy(layout: Layout) -> bool:
    """Whether a cluster was started to the end and all of it still works, webhooks included."""
    if not layout.birth.exists() or not node.is_serving(layout):
        return False
    try:
        return install.deployments_available(layout) and install.webhooks_answer(layout)
    except CommandError:
        return False


def settles(layout: Layout, seconds: float = 90) -> bool:
    """Whether it is healthy, or becomes so by itself: a pod that restarts is no reason to throw a cluster away."""
    deadline = time.monotonic() + seconds
    while layout.birth.exists() and set(processes.programs(layout)) >= DAEMONS:
        if is_healthy(layout):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return False


def origin(layout: Layout) -> str:
    """Who started the cluster that runs, from where, when."""
    if not layout.birth.exists():
        return "never started to the end"
    birth = json.loads(layout.birth.read_text())
    return f"started from {birth['folder']} at {birth['since']}"

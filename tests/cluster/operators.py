"""Operators as processes of this machine, beside or instead of the one that is installed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Operator:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def says(self) -> str:
        """Its page /readyz; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return str(answer.read().decode().strip())
        except urllib.error.HTTPError as fault:
            return str(fault.read().decode().strip())
        except OSError:
            return ""

    def end(self) -> None:
        """At once, even if it was stopped."""
        for number in (signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
        self.process.wait()


def start(kubeconfig: Path, folder: Path, *flags: str) -> Operator:
    """With the rights of a kubeconfig; its log lies in `folder`."""
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        port = any_port.getsockname()[1]
    log = folder / f"{port}.log"
    command = [sys.executable, "-m", "turnout.cli", "operator", f"--health-port={port}", *flags]
    with log.open("wb") as out:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    return Operator(process, port, log)


@contextlib.contextmanager
def operator(kubeconfig: Path, folder: Path, *flags: str) -> Iterator[Operator]:
    """One that ends with the block, and whose last words a failing test shows."""
    running = start(kubeconfig, folder, *flags)
    try:
        yield running
    finally:
        running.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(30)
        running.end()
        print(running.log.read_text()[-4000:])

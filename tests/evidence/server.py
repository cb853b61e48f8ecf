"""A real Prometheus: the machine's own, or out of Debian's package, unpacked into the cache and never installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turnout" / "prometheus"
EVERY = {"scrape_interval": "1s", "scrape_timeout": "1s"}


def binary() -> Path:
    """The program; skips the test where there is none, or fails it where everything must run."""
    known = shutil.which("prometheus") or shutil.which(str(CACHE / "usr/bin/prometheus")) or _unpacked()
    if known is None:
        sentence = "needs a prometheus on the PATH, or apt-get to fetch Debian's package"
        if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return Path(known)


def _unpacked() -> str | None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(["apt-get", "download", "-q", "prometheus"], cwd=CACHE, capture_output=True)
    if fetched.returncode and os.geteuid() == 0:  # it may know of no archive yet
        subprocess.run(["apt-get", "update", "-q"], capture_output=True)
        subprocess.run(["apt-get", "download", "-q", "prometheus"], cwd=CACHE, capture_output=True)
    for package in sorted(CACHE.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(CACHE)], check=True, capture_output=True)
        package.unlink()
    return shutil.which(str(CACHE / "usr/bin/prometheus"))


class Serving:
    """Scrapes each second while it is entered; what it has stored stays in `folder`, also when it is killed."""

    def __init__(self, program: Path, folder: Path, address: str, jobs: list[Mapping[str, Any]]) -> None:
        configuration = folder / "prometheus.yml"
        configuration.write_text(yaml.safe_dump({"global": EVERY, "scrape_configs": jobs}))
        self._command = [
            str(program),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ]
        self._log = folder / "prometheus.log"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

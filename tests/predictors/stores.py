"""Real stores on this machine: an S3 server and a Cloud Storage server compiled from Go modules, Debian's OCI registry.

What is compiled lies in the cache of `make cluster-build`, the registry beside it. Without them a test skips, and says
how to get them; where TURNOUT_REQUIRE_ALL=1 they must be there.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turnout"
BUCKET = "models"
HASHED = "$2b$04$nVVCck9oBh.JeBTCcVZ7se5Ck8dU6HExYQq7BNSG00Ly99ACTuzyG"  # of not-a-secret


@dataclass(frozen=True)
class RealStore:
    """`base`: URIs of artifacts are below it. `folder`: the server's own. `environment`: what a process needs there."""

    base: str
    folder: Path
    environment: Mapping[str, str]
    secret: Mapping[str, str] = field(default_factory=dict)
    """The same as keys of a Secret."""


def lacking(sentence: str) -> None:
    """Skips aloud; fails where nothing may be skipped."""
    if os.environ.get("TURNOUT_REQUIRE_ALL") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


def compiled(name: str) -> Path:
    found = shutil.which(name) or next(iter(sorted((CACHE / "cluster/bin").glob(f"{name}-*/{name}"))), None)
    if found is None:
        lacking(f"needs {name}: `make cluster-build` compiles it")
    return Path(str(found))


def registry_binary() -> Path:
    """The machine's own, or out of Debian's package, which is unpacked and never installed."""
    folder = CACHE / "docker-registry"
    known = shutil.which("docker-registry") or shutil.which(str(folder / "usr/bin/docker-registry"))
    if known is None and shutil.which("apt-get") and shutil.which("dpkg"):
        folder.mkdir(parents=True, exist_ok=True)
        get = ["apt-get", "download", "-q", "docker-registry"]
        if subprocess.run(get, cwd=folder, capture_output=True).returncode and os.geteuid() == 0:
            subprocess.run(["apt-get", "update", "-q"], capture_output=True)  # it may know of no archive yet
            subprocess.run(get, cwd=folder, capture_output=True)
        for package in sorted(folder.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, folder], check=True, capture_output=True)
            package.unlink()
        known = shutil.which(str(folder / "usr/bin/docker-registry"))
    if known is None:
        lacking("needs a docker-registry on the PATH, or apt-get to fetch Debian's package")
    return Path(str(known))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str | Path], port: int, log: Path, **environment: str) -> Iterator[None]:
    """The process answers on its port; it is gone afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"{command[0]} does not listen: {log.read_text()[-2000:]}")
        assert process.poll() is None, log.read_text()[-2000:]
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[RealStore]:
    port = free_port()
    (folder / "files" / BUCKET).mkdir(parents=True)
    keys = {"AWS_ACCESS_KEY_ID": "publisher", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_REGION": "us-east-1"}
    login = ("--access", keys["AWS_ACCESS_KEY_ID"], "--secret", keys["AWS_SECRET_ACCESS_KEY"])
    command = (compiled("versitygw"), "--port", f"127.0.0.1:{port}", *login, "posix", folder / "files")
    with running(command, port, folder / "log"):
        secret = {**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        yield RealStore(f"s3://{BUCKET}", folder, secret, secret)


@contextlib.contextmanager
def gs(folder: Path) -> Iterator[RealStore]:
    port = free_port()
    folder.mkdir(parents=True)
    here = f"127.0.0.1:{port}"
    flags = ("-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", here, "-backend", "memory")
    with running((compiled("fake-gcs-server"), *flags), port, folder / "log"):
        connection = http.client.HTTPConnection(here, timeout=10)
        connection.request("POST", "/storage/v1/b?project=p", f'{{"name": "{BUCKET}"}}')
        assert connection.getresponse().status == 200
        connection.close()
        yield RealStore(f"gs://{BUCKET}", folder, {"STORAGE_EMULATOR_HOST": f"http://{here}"})


def upload(store: RealStore, name: str, content: bytes) -> None:
    """Into the Cloud Storage server, through Google's JSON interface."""
    connection = http.client.HTTPConnection(urlsplit(store.environment["STORAGE_EMULATOR_HOST"]).netloc, timeout=30)
    path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}"
    connection.request("POST", path, content)
    assert connection.getresponse().status == 200
    connection.close()


@contextlib.contextmanager
def oci(folder: Path) -> Iterator[RealStore]:
    """A registry that asks for name and password."""
    port = free_port()
    folder.mkdir(parents=True)
    (folder / "passwords").write_text(f"publisher:{HASHED}\n")
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'files'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\nauth: {{htpasswd: {{realm: tests, path: {folder / 'passwords'}}}}}\n"
    )
    login = base64.b64encode(b"publisher:not-a-secret").decode()
    (folder / "docker").mkdir()
    config = f'{{"auths": {{"127.0.0.1:{port}": {{"auth": "{login}"}}}}}}'
    (folder / "docker" / "config.json").write_text(config)
    with running((registry_binary(), "serve", folder / "config.yml"), port, folder / "log"):
        environment = {"DOCKER_CONFIG": str(folder / "docker")}
        yield RealStore(f"oci://127.0.0.1:{port}/models", folder, environment, {".dockerconfigjson": config})


def sha256_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()

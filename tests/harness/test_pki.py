"""The cluster's certificates satisfy the strictest of its clients (Python 3.13 checks what older ones let pass)."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from pathlib import Path

import pytest

from harness import pki

pytestmark = pytest.mark.skipif(
    not shutil.which("openssl") and os.environ.get("TURNOUT_REQUIRE_ALL") != "1",
    reason="openssl is not installed",
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    pki.create(folder, "https://127.0.0.1:6443")
    return folder


def context(keys: Path, purpose: ssl.Purpose, name: str) -> ssl.SSLContext:
    made = ssl.create_default_context(purpose, cafile=str(keys / "ca.crt"))
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(keys / f"{name}.crt", keys / f"{name}.key")
    return made


@pytest.mark.parametrize("client", pki.PEOPLE)
def test_both_sides_trust_each_other_strictly(keys: Path, client: str) -> None:
    names: list[object] = []
    server = context(keys, ssl.Purpose.CLIENT_AUTH, "apiserver")

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with server.wrap_socket(connection, server_side=True) as secured:
                names.append((secured.getpeercert() or {}).get("subject"))
                secured.sendall(b"!")

        thread = threading.Thread(target=answer)
        thread.start()
        ours = context(keys, ssl.Purpose.SERVER_AUTH, client)
        with ours.wrap_socket(
            socket.create_connection(listening.getsockname()), server_hostname="127.0.0.1"
        ) as connection:
            assert connection.recv(1) == b"!"
        thread.join(timeout=10)
    assert pki.PEOPLE[client].rsplit("CN=", 1)[1] in str(names)


def test_keys_are_for_root_alone(keys: Path) -> None:
    assert keys.stat().st_mode & 0o077 == 0

"""An HTTPS server of folders that can be told to misbehave, with a certificate made for it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

Misdeed = Callable[["Handler", bytes], bool]  # True: it has answered


@dataclass
class Store:
    """`misdeeds`: by file name, one for each request to come; None answers as it should."""

    folder: Path
    url: str = ""
    misdeeds: dict[str, list[Misdeed | None]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # path, Range, Authorization
    conditions: list[str] = field(default_factory=list)  # If-None-Match of what was put
    released: threading.Event = field(default_factory=threading.Event)  # stalled answers end

    @property
    def uri(self) -> str:
        return self.url

    def ranges(self, name: str) -> list[str]:
        return [ranged for path, ranged, _ in self.asked if path.endswith(f"/{name}")]


class Handler(BaseHTTPRequestHandler):
    """Files with ranges, as any store has them."""

    protocol_version = "HTTP/1.1"
    store: Store

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.store.asked.append((self.path, self.headers.get("Range", ""), self.headers.get("Authorization", "")))
        path = self.store.folder / unquote(self.path.lstrip("/"))
        content = path.read_bytes() if path.is_file() else b""
        planned = self.store.misdeeds.get(name, [])
        misdeed = planned.pop(0) if planned else None
        if misdeed is not None and misdeed(self, content):
            return
        if not path.is_file():
            self.answer(404, b"nothing here")
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if start and start >= len(content):
            self.answer(416, b"", Content_Range=f"bytes */{len(content)}")
            return
        ranged = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self.answer(206 if start else 200, content[start:], **ranged)

    def do_PUT(self) -> None:
        if condition := self.headers.get("If-None-Match"):
            self.store.conditions.append(condition)
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def do_POST(self) -> None:
        self.do_PUT()

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.head(status, len(body), **headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, status: int, size: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", '"any"')
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def refuse(status: int, **headers: str) -> Misdeed:
    def misdeed(handler: Handler, content: bytes) -> bool:
        handler.answer(status, b"no", **headers)
        return True

    return misdeed


def cut(after: int) -> Misdeed:
    """The connection ends in the middle of the body."""

    def misdeed(handler: Handler, content: bytes) -> bool:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.head(206 if start else 200, len(content) - start)
        handler.wfile.write(content[start : start + after])
        handler.close_connection = True
        return True

    return misdeed


def stall(after: int) -> Misdeed:
    """Some bytes, then silence."""

    def misdeed(handler: Handler, content: bytes) -> bool:
        handler.head(200, len(content))
        handler.wfile.write(content[:after])
        handler.wfile.flush()
        handler.store.released.wait(60)
        handler.close_connection = True
        return True

    return misdeed


def instead(body: Callable[[bytes], bytes]) -> Misdeed:
    """Other bytes than were published."""

    def misdeed(handler: Handler, content: bytes) -> bool:
        handler.answer(200, body(content))
        return True

    return misdeed


@contextmanager
def serving(folder: Path, certificate: tuple[Path, Path] | None) -> Iterator[Store]:
    """Over TLS with a certificate, else over plain HTTP."""
    store = Store(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"store": store}))
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    store.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def certify(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return pem, secret

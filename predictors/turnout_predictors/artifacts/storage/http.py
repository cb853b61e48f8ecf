"""HTTP as transfers need it: ranges, stalls that are noticed, redirects that take no secret to another host.

Status codes become the errors of this package here and nowhere else. Requests are tried once: who asks knows what
was read so far, and asks again.
"""

from __future__ import annotations

import math
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Final
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from turnout_predictors.errors import (
    ARTIFACT_DENIED,
    ARTIFACT_DIGEST_MISMATCH,
    ARTIFACT_INVALID,
    ARTIFACT_NOT_FOUND,
    ARTIFACT_UNREACHABLE,
    SETTINGS_INVALID,
    Interrupted,
    StartError,
)

BLOCK: Final = 1 << 20
CONNECT_SECONDS: Final = 10.0
STALL_SECONDS: Final = 30.0  # without a byte
STALL_VARIABLE: Final = "TURNOUT_ARTIFACT_STALL_SECONDS"
REDIRECTS: Final = 5
TOO_SHORT: Final = "is shorter than its manifest says; publish or copy it again"
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

Headers = Mapping[str, str]
Body = bytes | IO[bytes]


def stall_seconds() -> float:
    given = os.environ.get(STALL_VARIABLE, "") or str(STALL_SECONDS)
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise StartError(SETTINGS_INVALID, f"{STALL_VARIABLE} {given!r} is no number of seconds above 0; correct it")
    return seconds


class Http:
    """Connections of one transfer. `secret`: headers for the host of `home`, and for no other, whoever names it."""

    def __init__(self, home: str, secret: Headers | None = None) -> None:
        self._home = _origin(home)
        self.secret: Headers = secret or {}
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=stall_seconds())
        self._direct = urllib3.PoolManager(timeout=timeout, retries=False)
        self._timeout = timeout
        self._proxies: dict[str, urllib3.ProxyManager] = {}

    def read(self, url: str, start: int = 0, headers: Headers | None = None) -> Iterator[bytes]:
        """The body from byte `start` on, in blocks."""
        ranged = {"Range": f"bytes={start}-"} if start else {}
        with self.open("GET", url, {"Accept-Encoding": "identity", **ranged, **(headers or {})}) as response:
            raise_for_status(response, url)
            skip = start if response.status == 200 else 0  # it knows no ranges: what is had already is let go by
            for block in _blocks(response, url):
                if len(block) > skip:
                    yield block[skip:]
                skip = max(0, skip - len(block))

    @contextmanager
    def open(
        self, method: str, url: str, headers: Headers | None = None, body: Body | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """One answer, its body unread; redirects are followed."""
        if not self._may_ask(url):
            raise StartError(
                ARTIFACT_INVALID, f"{shown(url)}, named by the store, is in the clear; let it name https:// addresses"
            )
        response, hops, at = self._ask(method, url, headers, body), 0, url
        try:
            while response.status in (301, 302, 303, 307, 308) and (place := response.headers.get("Location")):
                at, hops = urljoin(at, place), hops + 1
                if hops > REDIRECTS or not self._may_ask(at):
                    raise StartError(ARTIFACT_INVALID, f"{shown(url)} redirects to {shown(at)}, which is not followed")
                response.close()
                response = self._ask(method, at, headers, body)
            yield response
        finally:
            response.close()

    def _may_ask(self, url: str) -> bool:
        return _origin(url)[0] == "https" or self._home[0] != "https"

    def _ask(self, method: str, url: str, headers: Headers | None, body: Body | None) -> urllib3.BaseHTTPResponse:
        secret = self.secret if _origin(url) == self._home else {}
        with _translated(url):
            return self._pool(url).request(
                method,
                url,
                headers={**(headers or {}), **secret},
                body=body,
                redirect=False,
                preload_content=False,
            )

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if not proxy or proxy_bypass(parts.hostname or ""):
            return self._direct
        if proxy not in self._proxies:
            headers = urllib3.make_headers(proxy_basic_auth=_login(proxy))
            self._proxies[proxy] = urllib3.ProxyManager(
                proxy, proxy_headers=headers, timeout=self._timeout, retries=False
            )
        return self._proxies[proxy]


def _login(url: str) -> str | None:
    """`name:password` of a URL that has them."""
    parts = urlsplit(url)
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _blocks(response: urllib3.BaseHTTPResponse, url: str) -> Iterator[bytes]:
    """The body as it comes in; Interrupted if it ends before its announced length."""
    had, announced = 0, response.headers.get("Content-Length", "")
    while True:
        with _translated(url):
            block = response.read1(BLOCK, decode_content=False)
        if not block:
            break
        had += len(block)
        yield block
    if announced.isdigit() and had < int(announced):
        raise Interrupted(f"{shown(url)} ended after {had} of {announced} bytes")


def raise_for_status(response: urllib3.BaseHTTPResponse, url: str) -> None:
    """Nothing for 2xx; else what the answer means."""
    status, where = response.status, shown(url)
    if 200 <= status < 300:
        return
    if status in (401, 403):
        raise StartError(
            ARTIFACT_DENIED, f"{where} answers {status}; name credentials that may read it, in artifact.authRef"
        )
    if status in (404, 410):
        raise StartError(ARTIFACT_NOT_FOUND, f"{where} answers {status}; check artifact.uri")
    if status in PASSING:
        wanted = response.headers.get("Retry-After", "")
        raise Interrupted(f"{where} answers {status}", float(wanted) if wanted.isdigit() else 0.0)
    if status == 416:
        raise StartError(ARTIFACT_DIGEST_MISMATCH, f"{where} {TOO_SHORT}")
    raise StartError(ARTIFACT_UNREACHABLE, f"{where} answers {status}, which says nothing of an artifact")


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.SSLError as fault:
        raise _unsafe(shown(url), fault) from None
    except urllib3.exceptions.HTTPError as fault:
        raise Interrupted(f"{shown(url)}: {_said(fault)}") from None


def _unsafe(where: str, fault: urllib3.exceptions.SSLError) -> Exception:
    """A wrong certificate is final; a server that restarts in a handshake, or a bad record, is not."""
    cause = next((each for each in (*fault.args, fault.__cause__) if isinstance(each, ssl.SSLError)), None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return StartError(ARTIFACT_DENIED, f"{where} is not who it should be: {fault}")
    if cause is not None and cause.reason == "WRONG_VERSION_NUMBER":
        return StartError(ARTIFACT_UNREACHABLE, f"{where} does not speak TLS; check the port in artifact.uri")
    return Interrupted(f"{where}: {_said(fault)}")


def _said(fault: BaseException) -> str:
    return str(fault).rpartition(": ")[2] or type(fault).__name__


def shown(url: str) -> str:
    """The URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

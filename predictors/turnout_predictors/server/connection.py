"""HTTP/1.1 on one connection: bytes become exchanges, replies become bytes. Knows nothing of models.

An asyncio.Protocol over httptools, because a framework between them costs more than the rest of a small
request. One exchange at a time; pipelined requests wait. Errors are answered and the connection survives
them, unless its framing is broken.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import httptools

from turnout_predictors.errors import BeyondLimit, InvalidInput, RequestError

from .exchange import Application, Exchange, Headers, Reply
from .settings import ServerSettings

MAX_PIPELINED: Final = 16
JOIN_BELOW: Final = 32 << 10  # copying this many bytes costs less than a second write
SMALL: Final = 4 << 10  # bytes of a body's part
_STATUS_LINE: Final = {int(s): b"HTTP/1.1 %d %s\r\ncontent-type: " % (s, s.phrase.encode()) for s in HTTPStatus}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """`peers` holds every open connection; `left` is told when one is gone."""

    def __init__(
        self, app: Application, peers: set[Connection], left: Callable[[], None], settings: ServerSettings
    ) -> None:
        self._app = app
        self._peers = peers
        self._left = left
        self._head_limit = settings.max_head_bytes
        self._body_limit = settings.max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._headers: Headers = {}
        self._target = b""
        self._head_size = 0
        self._parts: list[bytes | bytearray] = []
        self._size = 0
        self._unread = 0  # bytes since the parser last told anything whole: what it may be holding
        self._is_reading = False  # a request has begun to arrive
        self._reading: Exchange | None = None  # its head is read
        self._exchange: Exchange | None = None  # it is being answered
        self._waiting: deque[tuple[Exchange, bool]] = deque()  # pipelined behind it
        self._keep_alive = True  # after the exchange that is being answered
        self._is_paused = False
        self._unsent = 0  # bytes, when `sweep` last looked at a client that does not read
        self._stuck_since = 0.0
        self._is_full = False  # too much is waiting to read on
        self._is_ended = False  # nothing more is read; the last answer waits or is sent
        self._is_advancing = False
        self.since = time.monotonic()

    # -- asyncio ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream, as every TCP server's
        self._peers.add(self)

    def data_received(self, data: bytes) -> None:
        if self._is_ended:
            return
        if self._unread > self._head_limit:
            return self._break(self._too_large("its head or trailers are"))
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if b"upgrade" in self._headers:
                self._decline(data[upgrade.args[0] :])
            else:
                self._break(_unreadable("nothing is tunnelled here"))
        except httptools.HttpParserError as fault:
            cause = fault.__context__
            self._break(cause if isinstance(cause, RequestError) else _unreadable(str(cause or fault)))

    def _decline(self, rest: bytes) -> None:
        """An offer to speak something else (Java's client makes one for HTTP/2) is declined by reading the request
        as if it had made none; the parser would take its body for the other protocol.
        """
        method = self._parser.get_method()
        self._parser = httptools.HttpRequestParser(self)
        kept = [(name, value) for name, value in self._headers.items() if name not in (b"upgrade", b"connection")]
        lines = [b"%s %s HTTP/1.1" % (method, self._target), *(b"%s: %s" % header for header in kept)]
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def connection_lost(self, _: Exception | None) -> None:
        self._peers.discard(self)
        self._drop_waiting()
        if self._exchange is not None:
            self._exchange.is_lost = True
            self._app.lost(self._exchange)
            self._exchange = None
        self._left()

    def pause_writing(self) -> None:
        self._is_paused = True
        self._unsent, self._stuck_since = self._transport.get_write_buffer_size(), time.monotonic()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._advance()

    # -- httptools -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers, self._target, self._parts = {}, b"", []
        self._size = self._head_size = 0
        self._is_reading = True
        self.since = time.monotonic()

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is None:  # a trailer comes too late to say who asks and how
            self._headers[name.lower()] = value
        self._grow(len(name) + len(value))

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._head_limit:
            raise self._too_large("its head is")

    def _too_large(self, what: str) -> BeyondLimit:
        message = f"the request cannot be read: {what} larger than {self._head_limit} bytes"
        return BeyondLimit("max_head_bytes", message, code="invalid_input")

    def on_headers_complete(self) -> None:
        self._unread = 0
        if self._is_ended or self._parser.should_upgrade():
            return  # `_decline` comes next, or `_break`
        headers = self._headers
        method = self._parser.get_method().decode("ascii")
        self._reading = exchange = Exchange(method, self._target, headers, time.perf_counter(), self._send)
        self._app.opened(exchange)
        if int(headers.get(b"content-length") or 0) > self._body_limit:
            self._refuse_body(exchange)
            if b"expect" in headers:  # it waits to be told, and sends no body then
                self._end(exchange)
        elif b"expect" in headers and self._exchange is None:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        if self._reading is None:
            return  # it was answered without
        self._size += len(body)
        if self._size <= self._body_limit:
            self._keep(body)
            return
        fault = self._refuse_body(self._reading)
        if self._size > 8 * self._body_limit:
            raise fault

    def _keep(self, body: bytes) -> None:
        """Small parts grow together: an object for each would be many times what a dripping client sent."""
        if len(body) >= SMALL or not self._parts:
            self._parts.append(body)
        elif type(last := self._parts[-1]) is bytearray:
            last += body
        else:
            self._parts.append(bytearray(body))

    def _refuse_body(self, exchange: Exchange) -> BeyondLimit:
        """The rest is read and thrown away, so that the connection survives."""
        message = f"the body is larger than {self._body_limit} bytes; send fewer rows"
        exchange.refusal = fault = BeyondLimit("max_body_bytes", message)
        self._parts = []
        return fault

    def on_message_complete(self) -> None:
        exchange, self._reading = self._reading, None
        self._is_reading = False
        self._unread = 0
        if exchange is None:
            return
        parts = self._parts
        # Joined into a bytearray, of which binary tensors are writable views.
        exchange.body = parts[0] if len(parts) == 1 else bytearray().join(parts)
        self._waiting.append((exchange, self._parser.should_keep_alive()))
        kept = sum(len(waiting.body) for waiting, _ in self._waiting)
        if (len(self._waiting) > MAX_PIPELINED or kept > self._body_limit) and not self._is_full:
            self._is_full = True
            self._transport.pause_reading()
        self._advance()

    # -- exchanges -------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Hands over what waits while nothing is being answered. A loop, since answers may come at once."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._waiting and self._exchange is None and not self._is_paused:
                self._exchange, self._keep_alive = self._waiting.popleft()
                if self._is_full and len(self._waiting) < MAX_PIPELINED and not self._is_ended:
                    self._is_full = False
                    self._transport.resume_reading()
                self._app.read(self._exchange)
        finally:
            self._is_advancing = False

    def _send(self, exchange: Exchange, reply: Reply) -> None:
        if exchange.is_lost:
            return
        closes = not self._keep_alive or self._app.is_closing()
        size = sum(map(_size, reply.parts))
        head = [_STATUS_LINE[reply.status], reply.content_type, b"\r\ncontent-length: %d\r\n" % size]
        head += [b"%s: %s\r\n" % header for header in reply.headers]
        # HTTP/1.0 that asked to stay must be told that it may; HTTP/1.1 stays by itself.
        head.append(b"connection: close\r\n\r\n" if closes else self._stay(exchange))
        if exchange.method == "HEAD":
            self._transport.write(b"".join(head))
        elif size <= JOIN_BELOW:
            self._transport.write(b"".join([*head, *reply.parts]))
        else:
            self._transport.writelines([b"".join(head), *reply.parts])
        self.since = time.monotonic()
        self._exchange = None
        if closes:
            self._drop_waiting()
            self.close()
        else:
            self._advance()

    def _stay(self, exchange: Exchange) -> bytes:
        return b"connection: keep-alive\r\n\r\n" if b"connection" in exchange.headers else b"\r\n"

    def _break(self, fault: RequestError) -> None:
        """The framing is lost: one last answer, after those that are under way, and the end."""
        if self._is_ended:
            return
        exchange = self._reading or Exchange("GET", b"", self._headers, time.perf_counter(), self._send)
        if self._reading is None:
            self._app.opened(exchange)
        exchange.refusal = exchange.refusal or fault
        self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        """It is the last one, and what follows it is not read."""
        self._reading, self._is_reading = None, False
        self._is_ended = True
        self._transport.pause_reading()
        self._waiting.append((exchange, False))
        self._advance()

    def _drop_waiting(self) -> None:
        """Pipelined requests behind a last answer are the client's to send again."""
        for exchange in (self._reading, *(waiting for waiting, _ in self._waiting)):
            if exchange is not None:
                exchange.is_lost = True
                self._app.lost(exchange)
        self._waiting.clear()
        self._reading = None

    # -- the end ---------------------------------------------------------------------------------------------

    def is_idle(self) -> bool:
        """Nothing is being read past its head, and nothing answered."""
        return self._reading is None and self._exchange is None and not self._waiting

    def close(self) -> None:
        self._is_ended = True
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def sweep(self, now: float, idle_seconds: float, head_seconds: float, read_seconds: float) -> None:
        """Ends what has been idle for too long, and who does not finish sending a head or a request."""
        if self._is_paused:
            self._abort_if_stuck(now, idle_seconds)
        if self._exchange is not None or self._waiting or self._is_ended:
            return
        if not self._is_reading:
            if now - self.since > idle_seconds:
                self.close()
        elif self._reading is None and now - self.since > head_seconds:
            self._break(_unreadable(f"its head did not arrive within {head_seconds:g} s"))
        elif now - self.since > read_seconds:
            self._break(_unreadable(f"it did not arrive within {read_seconds:g} s"))

    def _abort_if_stuck(self, now: float, idle_seconds: float) -> None:
        """A client that reads none of its answer would hold it for ever; one that reads slowly is let be."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent, self._stuck_since = unsent, now
        elif now - self._stuck_since > idle_seconds:
            self.abort()


def _unreadable(why: str) -> InvalidInput:
    return InvalidInput(f"the request cannot be read: {why}")


def _size(part: bytes | memoryview) -> int:
    return part.nbytes if isinstance(part, memoryview) else len(part)

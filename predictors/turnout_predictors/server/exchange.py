"""One request and its answer, apart from the connection that carries them and the model that makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from turnout_predictors.errors import RequestError
from turnout_predictors.telemetry.traces import Trace

JSON: Final = b"application/json"
Header = tuple[bytes, bytes]
Headers = dict[bytes, bytes]


class Reply(NamedTuple):
    """`parts` are the body; large ones are sent as they are, without being joined."""

    status: int
    parts: tuple[bytes | memoryview, ...]
    headers: tuple[Header, ...] = ()
    content_type: bytes = JSON


class Exchange:
    """Made when the head is read; `body` comes later. Header names are in lower case.

    `send` is called once, now or later; once `is_lost` it does nothing. `pending` is what to cancel when the
    client goes away. `refusal`: what is wrong with its framing, or a limit that it breaks. `is_repeat`: a
    gateway that is trusted sent it before, to another version.
    """

    __slots__ = (
        "begun",
        "body",
        "headers",
        "is_lost",
        "is_repeat",
        "method",
        "pending",
        "refusal",
        "route",
        "send",
        "start",
        "target",
        "trace",
    )

    def __init__(
        self, method: str, target: bytes, headers: Headers, begun: float, send: Callable[[Exchange, Reply], None]
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.begun = begun
        self.send = send
        self.body: bytes | bytearray = b""
        self.refusal: RequestError | None = None
        self.route = ""
        self.start = ""
        self.pending: asyncio.Future[Any] | None = None
        self.trace: Trace | None = None
        self.is_lost = False
        self.is_repeat = False


class Application(Protocol):
    """What a connection talks to. All calls are made on the event loop and return at once."""

    def opened(self, exchange: Exchange) -> None:
        """The head is read."""

    def read(self, exchange: Exchange) -> None:
        """The body is read too, or refused: answer, now or later."""

    def lost(self, exchange: Exchange) -> None:
        """The client went away before the answer."""

    def is_closing(self) -> bool:
        """Clients are to be told to go elsewhere."""

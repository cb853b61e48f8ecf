"""The port: accepts connections, ends those that idle or dawdle, and closes so that nothing accepted is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from .connection import Connection
from .exchange import Application
from .settings import ServerSettings

SWEEP_SECONDS: Final = 2.0
BACKLOG: Final = 2048


class Listener:
    """One listening socket and its connections."""

    def __init__(self, app: Application, settings: ServerSettings, read_seconds: float) -> None:
        self._app = app
        self._settings = settings
        self._read_seconds = read_seconds
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    async def open(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
        self._socket = listener
        self._sweeper = loop.call_later(SWEEP_SECONDS, self._sweep, loop)

    def _connection(self) -> Connection:
        return Connection(self._app, self._connections, self._left, self._settings)

    def _left(self) -> None:
        if not self._connections:
            self._emptied.set()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        head_seconds = min(self._settings.head_seconds, self._read_seconds)
        for connection in tuple(self._connections):
            connection.sweep(now, self._settings.idle_seconds, head_seconds, self._read_seconds)
        self._sweeper = loop.call_later(SWEEP_SECONDS, self._sweep, loop)

    async def stop_listening(self) -> None:
        """New connections are refused; those that are open go on.

        Those that the kernel has accepted in our name are taken in first: with the port it would reset them.
        """
        server, listening = self._server, self._socket
        if server is None or listening is None:
            return
        self._server = self._socket = None
        waiting = list(islice(_accepted(listening), BACKLOG))
        server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._connection, connection)

    async def close(self, seconds: float) -> None:
        """Ends idle connections at once and the others with their answers; after `seconds` whoever is left."""
        await self.stop_listening()
        for connection in tuple(self._connections):
            if connection.is_idle():
                connection.close()
        if self._connections:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)
        for connection in tuple(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()


def _accepted(listening: socket.socket) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):  # nobody waits any more
        while True:
            yield listening.accept()[0]

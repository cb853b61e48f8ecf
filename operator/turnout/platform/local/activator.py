"""Who answers for a revision without a ready pod: it holds the request, wakes the revision and passes it on.

It works on bytes, one connection after the other: Envoy opens one for each request that waits. Nothing is
parsed; only a refusal is written as HTTP.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

from turnout.platform.local.ports import LOOPBACK

MOST_HELD = 1000
CHUNK = 64 << 10


class AsleepError(Exception):
    """The revision did not wake; the sentence is for the caller."""


class Activator:
    """One listening port of one revision. `wake` returns the port of a ready pod, or raises `AsleepError`."""

    def __init__(self, wake: Callable[[], Awaitable[int]]) -> None:
        self._wake = wake
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self.held = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(CHUNK)
        if not first:
            return
        try:
            port = await self._hold()
            up_reader, up_writer = await asyncio.open_connection(LOOPBACK, port)
        except (AsleepError, OSError) as fault:
            writer.write(refusal(str(fault)))
            await writer.drain()
            return
        up_writer.write(first)
        try:
            await _splice(reader, writer, up_reader, up_writer)
        finally:
            up_writer.close()

    async def _hold(self) -> int:
        if self.held >= MOST_HELD:
            raise AsleepError(f"{MOST_HELD} requests wait for this version already")
        self.held += 1
        try:
            return await self._wake()
        finally:
            self.held -= 1


async def _splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
) -> None:
    """Carry both directions until one side is done."""
    ways = {asyncio.create_task(_pump(reader, up_writer)), asyncio.create_task(_pump(up_reader, writer))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()


def refusal(sentence: str) -> bytes:
    """A whole HTTP response: try again in a second."""
    body = json.dumps({"error": sentence, "code": "not_ready"}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body

"""The small change of ASGI: bodies in, replies out, headers that matter. Knows nothing of models."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import orjson

from turnout_predictors.errors import RequestError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Final = b"application/json"
_WANTED: Final = frozenset(
    {
        b"content-length",
        b"content-encoding",
        b"inference-header-content-length",
        b"x-request-deadline-ms",
        b"x-request-id",
        b"x-turnout-attempt",
    }
)
CLOSE: Final[Header] = (b"connection", b"close")


class Disconnected(Exception):  # noqa: N818 - no error of anybody's
    """The client went away; there is nobody to answer."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers this server reads."""
    return {name: value for name, value in scope["headers"] if name in _WANTED}


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The whole body; RequestError if it is longer than `limit` bytes, before it is kept."""
    declared = headers.get(b"content-length", b"0")
    if len(declared) > 19 or int(declared) > limit:
        raise too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message["body"]
    if not message.get("more_body", False):
        return body if len(body) <= limit else _refuse(limit)
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message["body"])
        size += len(message["body"])
        if size > limit:
            raise too_large(limit)
    return b"".join(parts)


def too_large(limit: int) -> RequestError:
    return RequestError("too_large", f"the body is larger than {limit} bytes; send fewer rows per request")


def _refuse(limit: int) -> bytes:
    raise too_large(limit)


async def reply(send: Send, status: int, body: bytes, headers: list[Header], content_type: bytes = JSON) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def error_body(fault: RequestError, headers: dict[bytes, bytes]) -> bytes:
    """`{"error", "code", "request_id", "field"?}`."""
    given = headers.get(b"x-request-id")
    document = {
        "error": fault.message,
        "code": fault.code,
        "request_id": given.decode("latin-1") if given else uuid.uuid4().hex,
    }
    if fault.field is not None:
        document["field"] = fault.field
    return orjson.dumps(document)


def error_headers(fault: RequestError) -> list[Header]:
    return [] if fault.retry_after is None else [(b"retry-after", b"%d" % fault.retry_after)]

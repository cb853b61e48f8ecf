"""What of an exchange the payload log gets: references here on the event loop, bytes later on the log's own thread."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any, Final

from turnout_predictors.errors import ENTRYPOINT_INVALID, SETTINGS_INVALID, StartError
from turnout_predictors.telemetry.cloud_events import attributes_of, sink_for
from turnout_predictors.telemetry.payloads import Body, Payload, PayloadLog, Redact

from .compression import decompress
from .exchange import Exchange, Reply
from .settings import ServerSettings

LONGEST_HEADER: Final = 256  # of what a caller may put into an event's attributes
_FRAME: Final = b"inference-header-content-length"
_JSON, _OCTETS = "application/json", "application/octet-stream"


def open_log(settings: ServerSettings, identity: tuple[str, str, str]) -> PayloadLog | None:
    """The payload log of this process, if there is to be one. StartError for one that cannot be."""
    if not settings.payload_log:
        return None
    try:
        sink = sink_for(settings.payload_log)
    except ValueError as fault:
        raise StartError(SETTINGS_INVALID, f"settings.server.payload_log: {fault}") from None
    return PayloadLog(
        sink,
        attributes_of(*identity),
        share=settings.payload_share,
        queue_bytes=settings.payload_queue_bytes,
        redact=_hook(settings.payload_redact) if settings.payload_redact else None,
    )


def _hook(entrypoint: str) -> Redact:
    from turnout_predictors.runtimes.custom import resolve

    found: Any = resolve(entrypoint)
    if not callable(found):
        raise StartError(ENTRYPOINT_INVALID, f"settings.server.payload_redact {entrypoint!r} is no function")
    hook: Redact = found
    return hook


def offer(log: PayloadLog, exchange: Exchange, reply: Reply, tenant: str, limit: int) -> None:
    """Offers the exchange, if it is in the sample. `limit`: bytes of a body when it is unpacked."""
    given = exchange.headers.get(b"x-request-id", b"")[:LONGEST_HEADER]
    if not log.wants(given):
        return
    size = len(exchange.body) + sum(len(part) for part in reply.parts)
    attributes = {"tenant": tenant} if tenant else {}
    if traceparent := exchange.headers.get(b"traceparent"):
        attributes["traceparent"] = traceparent[:LONGEST_HEADER].decode("latin-1")
    identifier = given.decode("latin-1") or uuid.uuid4().hex
    log.offer(Payload(identifier, reply.status, size, partial(_bodies, exchange, reply, limit), attributes))


def _bodies(exchange: Exchange, reply: Reply, limit: int) -> tuple[Body, Body]:
    encoding, framed = exchange.headers.get(b"content-encoding", b"identity").lower(), exchange.headers.get(_FRAME)
    data = bytes(exchange.body)
    if data and encoding != b"identity":
        data = decompress(data, encoding, limit)
    sent = dict(reply.headers).get(_FRAME)
    return _body(data, framed), _body(b"".join(reply.parts), sent)


def _body(data: bytes, framed: bytes | None) -> Body:
    return Body(data, _JSON) if framed is None else Body(data, _OCTETS, framed.decode("latin-1")[:LONGEST_HEADER])

"""What of a call the payload log gets: its messages, as protobuf's own JSON, made on the log's thread."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToJson

from turnout_predictors.errors import RequestError
from turnout_predictors.server.logged import LONGEST_HEADER
from turnout_predictors.telemetry.payloads import Body, Payload, PayloadLog

_JSON: Final = "application/json"


def offer(log: PayloadLog, asked: Any, answer: Any, given: Mapping[Any, Any], tenant: str) -> None:
    """Offers the call, if it is in the sample. `answer`: the message, or the fault that it got instead."""
    request_id = str(given.get("x-request-id", ""))[:LONGEST_HEADER]
    if asked is None or not log.wants(request_id.encode()):
        return
    attributes = {"tenant": tenant} if tenant else {}
    if traceparent := str(given.get("traceparent", ""))[:LONGEST_HEADER]:
        attributes["traceparent"] = traceparent
    fault = answer if isinstance(answer, RequestError) else None
    size = asked.ByteSize() + (answer.ByteSize() if fault is None else 0)
    status = 200 if fault is None else fault.status
    log.offer(Payload(request_id or uuid.uuid4().hex, status, size, partial(_bodies, asked, answer), attributes))


def _bodies(asked: Any, answer: Any) -> tuple[Body, Body]:
    return _body(asked), _body(answer)


def _body(message: Any) -> Body:
    if isinstance(message, RequestError):
        return Body(orjson.dumps({"error": message.message, "code": message.code}), _JSON)
    return Body(MessageToJson(message, preserving_proto_field_name=True, indent=None).encode(), _JSON)

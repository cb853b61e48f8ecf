"""The replies that are the same everywhere: documents, probes, and errors as `{"error", "code", "request_id"}`."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from turnout_predictors.errors import RequestError

from .exchange import Exchange, Header, Reply


def document(content: Any, status: int = 200) -> Reply:
    return Reply(status, (orjson.dumps(content),))


def refusal(fault: RequestError, exchange: Exchange) -> Reply:
    """The sentence, its code, and the field where there is one; the id is the caller's, else made here."""
    given = exchange.headers.get(b"x-request-id")
    content = {
        "error": fault.message,
        "code": fault.code,
        "request_id": given.decode("latin-1") if given else uuid.uuid4().hex,
    }
    if fault.field is not None:
        content["field"] = fault.field
    headers: tuple[Header, ...] = ()
    if fault.retry_after is not None:
        headers = ((b"retry-after", b"%d" % fault.retry_after),)
    if fault.allowed:
        headers = (*headers, (b"allow", ", ".join(fault.allowed).encode()))
    return Reply(fault.status, (orjson.dumps(content),), headers)

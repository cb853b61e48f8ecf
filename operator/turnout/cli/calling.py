"""One HTTP call to a model, whose answer is JSON or becomes a sentence."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from turnout.cli.command import UserError

Json = dict[str, Any]


@dataclass(frozen=True)
class Address:
    """Where a model is called. `via`: the gateway's host:port, where the URL's own name leads nowhere from here."""

    url: str
    model: str
    via: str = ""

    def path(self, rest: str = "") -> str:
        return f"{urlsplit(self.url).path.rstrip('/')}/v2/models/{quote(self.model, safe='')}{rest}"


class RefusedError(UserError):
    """The model's own word."""


def call(address: Address, rest: str, timeout: float, body: Json | None = None) -> Json:
    """The answer; `UserError` in the server's own words, or why there is none."""
    parts = urlsplit(address.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{address.url!r} is no address; it must be such as http://host:8080")
    host, port = _there(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout)
    headers = {"Host": parts.netloc, "Content-Type": "application/json"}
    try:
        connection.request("POST" if body is not None else "GET", address.path(rest), _dumped(body), headers)
        answer = connection.getresponse()
        return _read(answer.status, answer.read(), address)
    except TimeoutError:
        raise UserError(f"{address.url} did not answer within {timeout:g} s; give it more with --timeout") from None
    except (OSError, http.client.HTTPException) as fault:
        hint = "" if address.via else "; from outside of a cluster, name its gateway with --via HOST:PORT"
        raise UserError(f"{address.url} cannot be called ({fault}){hint}") from None
    finally:
        connection.close()


def _there(address: Address) -> tuple[str, int | None]:
    """Host and port that are connected to."""
    via = urlsplit(f"//{address.via}")
    try:
        host, port = urlsplit(address.url).hostname or "", urlsplit(address.url).port
        if address.via:
            return via.hostname or "", via.port or port
    except ValueError as fault:
        raise UserError(f"{address.via or address.url!r} is no address: {fault}") from None
    # Every *.localhost is this machine, whether or not its resolver knows (RFC 6761).
    return "127.0.0.1" if host.endswith(".localhost") else host, port


def _dumped(body: Json | None) -> bytes | None:
    return None if body is None else json.dumps(body).encode()


def _read(status: int, raw: bytes, address: Address) -> Json:
    try:
        document = json.loads(raw)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UserError(f"{address.url} answered {status}, and not as a model does; is it the right address?")
    if status >= 400:
        field = f" (at {document['field']})" if document.get("field") else ""
        raise RefusedError(f"{address.model} answered {status}: {document.get('error', 'no reason')}{field}")
    return document

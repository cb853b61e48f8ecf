"""Requests and answers as CloudEvents, of the types and with the attributes that KServe's own logger gives them, and
where they go: lines of a file, or POSTs.

Everything here may block and may raise: only the thread of the payload log comes here.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote, urlsplit

REQUEST: Final = "org.kubeflow.serving.inference.request"
RESPONSE: Final = "org.kubeflow.serving.inference.response"
JSON: Final = "application/json"
SEND_SECONDS: Final = 5.0
_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PLAIN: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "").replace('"', "")


@dataclass(frozen=True, slots=True)
class Event:
    """`attributes` are CloudEvents' own and its extensions, `data` of `content_type`."""

    attributes: Mapping[str, str]
    data: bytes
    content_type: str

    def line(self) -> bytes:
        """As one line of JSON; data that is no JSON travels as base64."""
        document: dict[str, Any] = {**self.attributes, "datacontenttype": self.content_type}
        if self.content_type == JSON and (content := _json(self.data)) is not None:
            document["data"] = content
        else:
            document["data_base64"] = base64.b64encode(self.data).decode()
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"

    def headers(self) -> dict[str, str]:
        """Of a POST whose body is the data: the binary mode of CloudEvents over HTTP."""
        named = {f"ce-{name}": quote(value, safe=_PLAIN) for name, value in self.attributes.items()}
        return {**named, "content-type": self.content_type}


def _json(data: bytes) -> object:
    """None where it is none, or says nothing."""
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found


def attributes_of(
    model: str, version: str, revision: str, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The attributes that are the same for every event of this process."""
    given = os.environ if environment is None else environment
    namespace = given.get("POD_NAMESPACE", "")
    if not namespace and _NAMESPACE.is_file():
        namespace = _NAMESPACE.read_text("utf-8").strip()
    known = {
        "specversion": "1.0",
        "source": f"/v2/models/{quote(model)}/versions/{quote(version)}",
        "inferenceservicename": given.get("INFERENCE_SERVICE_NAME", model),
        "namespace": namespace,
        "component": "predictor",
        "modelversion": version,
        "revision": revision,
    }
    return {name: value for name, value in known.items() if value}


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Sink(Protocol):
    def send(self, events: Sequence[Event]) -> int:
        """How many arrived: the first ones. OSError if none did."""

    def close(self) -> None: ...


def sink_for(address: str) -> Sink:
    """ValueError for an address that is neither a file's nor one of HTTP."""
    parts = urlsplit(address)
    if parts.scheme == "file" and parts.path and not parts.netloc:
        return FileSink(Path(unquote(parts.path)))
    if parts.scheme in ("http", "https") and parts.hostname:
        return HttpSink(address)
    raise ValueError(f"{address!r} is neither file:///path nor an address of http or https")


class FileSink:
    """Appends lines, and opens the file anew for each batch: who rotates it need not tell us."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, events: Sequence[Event]) -> int:
        with self._path.open("ab") as file:
            file.write(b"".join(event.line() for event in events))
        return len(events)

    def close(self) -> None:
        """Nothing is open."""


class HttpSink:
    """One client with one connection; nothing is sent twice."""

    def __init__(self, address: str) -> None:
        import urllib3

        self._address = address
        self._pool = urllib3.PoolManager(1, maxsize=1, retries=False, timeout=SEND_SECONDS)

    def send(self, events: Sequence[Event]) -> int:
        import urllib3

        sent = 0
        for event in events:
            try:
                answer = self._pool.request("POST", self._address, body=event.data, headers=event.headers())
            except urllib3.exceptions.HTTPError as fault:
                if not sent:
                    raise OSError(f"{type(fault).__name__}: {fault}") from None
                return sent
            if answer.status >= 300:
                if not sent:
                    raise OSError(f"it answered {answer.status}")
                return sent
            sent += 1
        return sent

    def close(self) -> None:
        self._pool.clear()

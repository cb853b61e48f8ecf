"""The payload log: some of the requests and their answers, for who wants to look at them later. Off unless asked for.

It is never in the way: the event loop takes a sample and puts references into a queue bounded in bytes; a thread of its
own does all else. What finds no room is dropped and counted, and so is what cannot be sent; a request notices neither.
"""

from __future__ import annotations

import logging
import random
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple

from .cloud_events import JSON, REQUEST, RESPONSE, Event, Sink, moment

log = logging.getLogger(__name__)

RESULTS: Final = ("written", "dropped", "failed", "withheld")
BATCH: Final = 64  # payloads that are sent together
Redact = Callable[[bytes, str], bytes | None]


class Body(NamedTuple):
    """`json_bytes`: how many of the data are JSON where binary tensors follow."""

    data: bytes
    content_type: str
    json_bytes: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """One answered request. `read` gives its body and its answer's, on the log's thread; `size`: of both."""

    id: str
    status: int
    size: int
    read: Callable[[], tuple[Body, Body]]
    attributes: Mapping[str, str] = field(default_factory=dict)
    moment: float = field(default_factory=time.time)


class PayloadLog:
    """`redact` gets the data of each event and its content type, and gives what may be written; None: nothing."""

    def __init__(
        self,
        sink: Sink,
        identity: Mapping[str, str],
        *,
        share: float = 1.0,
        queue_bytes: int = 16 << 20,
        redact: Redact | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sink = sink
        self._identity = identity
        self._share = share
        self._queue_bytes = queue_bytes
        self._redact = redact
        self._chance = chance
        self._queue: SimpleQueue[Payload | None] = SimpleQueue()
        self._taken_in = self._sent_away = 0  # bytes; the loop writes the one, the thread the other
        self._has_failed = False
        self.results = dict.fromkeys(RESULTS, 0)  # `dropped` is written by the loop, the others by the thread
        self._thread = Thread(target=self._run, name="payloads", daemon=True)
        self._thread.start()

    def wants(self, request_id: bytes) -> bool:
        """Whether this request is in the sample; by its id where it has one, so that every version takes the same."""
        if self._share >= 1.0:
            return True
        drawn = zlib.crc32(request_id) / 2**32 if request_id else self._chance()
        return drawn < self._share

    def offer(self, payload: Payload) -> None:
        """Never waits and never raises."""
        if self._taken_in - self._sent_away + payload.size > self._queue_bytes:
            self.results["dropped"] += 2
            return
        self._taken_in += payload.size
        self._queue.put(payload)

    def close(self, seconds: float) -> None:
        """Sends what is queued, in that time at most. Blocks."""
        self._queue.put(None)
        self._thread.join(seconds)

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            while len(batch) < BATCH and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except Empty:
                    break
            is_open = batch[-1] is not None
            payloads = [payload for payload in batch if payload is not None]
            self._send([event for payload in payloads for event in self._events(payload)])
            self._sent_away += sum(payload.size for payload in payloads)
        self._sink.close()

    def _events(self, payload: Payload) -> list[Event]:
        try:
            bodies = payload.read()
            found = [self._event(payload, kind, body) for kind, body in zip((REQUEST, RESPONSE), bodies, strict=True)]
        except Exception as fault:  # the hook is foreign code; what it raised on is not written as it was
            self.results["failed"] += 2
            self._tell("one cannot be made ready to be written", fault)
            return []
        events = [event for event in found if event is not None]
        self.results["withheld"] += len(found) - len(events)
        return events

    def _event(self, payload: Payload, kind: str, body: Body) -> Event | None:
        data = body.data if self._redact is None else self._redact(body.data, body.content_type)
        if data is None:
            return None
        own = {"id": payload.id, "type": kind, "time": moment(payload.moment), "statuscode": str(payload.status)}
        if body.json_bytes:
            own["jsonbytes"] = body.json_bytes
        return Event({**self._identity, **own, **payload.attributes}, data, body.content_type)

    def _send(self, events: list[Event]) -> None:
        if not events:
            return
        sent = 0
        try:
            sent = self._sink.send(events)
        except OSError as fault:
            self._tell("they cannot be written", fault)
        self.results["written"] += sent
        self.results["failed"] += len(events) - sent
        self._has_failed = sent < len(events)

    def _tell(self, what: str, fault: Exception) -> None:
        """Once, until something is written again."""
        if not self._has_failed:
            log.error("payload log: %s: %s: %s", what, type(fault).__name__, fault)
        self._has_failed = True


def without_data(data: bytes, content_type: str) -> bytes | None:
    """A `redact` that leaves names, shapes and types of the tensors, and takes away what they hold."""
    import orjson

    if content_type != JSON:
        return None
    document = orjson.loads(data)
    if not isinstance(document, dict):
        return None
    kept = {name: document[name] for name in ("id", "model_name", "model_version", "error", "code") if name in document}
    for side in ("inputs", "outputs"):
        tensors = document.get(side)
        if isinstance(tensors, list):
            kept[side] = [_described(tensor) for tensor in tensors if isinstance(tensor, dict)]
    return orjson.dumps(kept)


def _described(tensor: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tensor[name] for name in ("name", "shape", "datatype") if name in tensor}

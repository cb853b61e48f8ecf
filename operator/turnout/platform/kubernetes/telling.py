"""Kubernetes Events: one for each happening, with a closed reason, on the ModelVersion it happened to. Best effort."""

import logging
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Protocol

from turnout.api.base import JsonObject
from turnout.platform.kubernetes.calls import Calls
from turnout.platform.kubernetes.resources import VERSIONS, Resource
from turnout.platform.protocol import Conflict, Refused, Unavailable
from turnout.rollout.plan import Event

EVENTS = Resource("", "v1", "events", "Event")
REMEMBERED = 2000  # happenings
QUIET = timedelta(minutes=5)  # a version that comes and goes all the time is told that often
LONGEST_MESSAGE = 1024  # the API server's own limit

log = logging.getLogger(__name__)


class Subject(Protocol):
    """Whom an Event is about: a ModelVersion, whether or not it can be read."""

    @property
    def name(self) -> str: ...

    @property
    def namespace(self) -> str: ...

    @property
    def uid(self) -> str: ...


class Teller:
    """Writes Events, the same one not again and again."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._told: OrderedDict[tuple[str, str, str], datetime] = OrderedDict()

    async def tell(self, version: Subject, event: Event, now: datetime) -> None:
        """`event` of `version`, unless the very same was told a moment ago."""
        happening = (version.uid, event.reason.value, event.message)
        told_at = self._told.get(happening)
        if told_at and now - told_at < QUIET:
            return
        try:
            await self._calls.create(EVENTS, version.namespace, _body(version, event, now))
        except (Conflict, Refused, Unavailable) as fault:
            log.warning("%s: event %s was not written: %s", version.name, event.reason, fault)
            return
        self._told[happening] = now
        self._told.move_to_end(happening)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


def _body(version: Subject, event: Event, now: datetime) -> JsonObject:
    moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{version.name}.{secrets.token_hex(8)}", "namespace": version.namespace},
        "involvedObject": {
            "apiVersion": VERSIONS.api_version,
            "kind": VERSIONS.kind,
            "name": version.name,
            "namespace": version.namespace,
            "uid": version.uid,
        },
        "reason": event.reason.value,
        "message": event.message[:LONGEST_MESSAGE],
        "type": "Warning" if event.warning else "Normal",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": "turnout"},
        "reportingComponent": "turnout.dev/operator",
        "reportingInstance": "turnout",
    }

"""The API server's audit log, read back: who asked what. Proves that an operator at rest writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One request: it came `at` a moment and had been answered at another."""

    at: datetime
    answered: datetime
    user: str
    agent: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    body: Any = None
    """What was sent, for writes to kinds of Turnout, KServe and Knative Serving; None for others."""

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    def __str__(self) -> str:
        kind = "/".join(part for part in (self.group, self.resource, self.subresource) if part)
        return f"{self.at:%H:%M:%S.%f} {self.user} {self.verb} {kind} {self.namespace}/{self.name} → {self.code}"


def parse(line: str) -> AuditEvent:
    """One line of the log (audit.k8s.io/v1, stage ResponseComplete)."""
    event = json.loads(line)
    target = event.get("objectRef", {})
    return AuditEvent(
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        answered=datetime.fromisoformat(event["stageTimestamp"]),
        user=event.get("user", {}).get("username", ""),
        agent=event.get("userAgent", ""),
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        body=event.get("requestObject"),
    )


class AuditLog:
    """Reads a log that is still being written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """A place in the log: pass it to `since` to see only what was asked after now."""
        return self._path.stat().st_size if self._path.exists() else 0

    def since(self, mark: int = 0) -> Iterator[AuditEvent]:
        """Everything logged after a mark, in the order of the answers."""
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(mark)
            for line in log:
                if line.endswith(b"\n"):  # the last may be half written
                    yield parse(line.decode())

    def writes(self, user: str, mark: int = 0, *, leases: bool = False) -> list[AuditEvent]:
        """The writes of a user (a part of its name is enough) after a mark; leases only if asked for."""
        return [
            event
            for event in self.since(mark)
            if event.is_write and user in event.user and (leases or event.resource != "leases")
        ]

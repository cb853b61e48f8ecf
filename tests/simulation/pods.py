"""Pods as a kubelet reports them: what becomes ready, ends by itself, or is taken away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.simulation.server import stamp
from turnout.rollout.rendering import CONTAINER

Raw = dict[str, Any]


@dataclass(frozen=True)
class SimulatedPod:
    """`turned`: when its Ready condition last changed. `ended`: the last end of its container, by itself."""

    name: str
    created_at: datetime
    turned: datetime
    ready: bool = False
    restarts: int = 0
    ended: Raw | None = None
    waits: str = ""  # why its container does not even start: ImagePullBackOff and its like
    leaving: datetime | None = None

    def becomes(self, ready: bool, now: datetime) -> SimulatedPod:
        return replace(self, ready=ready, turned=self.turned if ready is self.ready else now)

    def crashes(self, now: datetime, code: int, message: str) -> SimulatedPod:
        ended = {"exitCode": code, "message": message, "finishedAt": stamp(now)}
        identity = f"{self.name}-{self.restarts}"
        after = self.becomes(ready=False, now=now)
        return replace(after, restarts=self.restarts + 1, ended={**ended, "containerID": identity})

    def raw(self, labels: Raw) -> Raw:
        state: Raw = (
            {"waiting": {"reason": self.waits, "message": "back-off"}}
            if self.waits
            else {"running": {"startedAt": stamp(self.created_at)}}
        )
        last = {"terminated": self.ended} if self.ended else {}
        container = {"name": CONTAINER, "ready": self.ready, "restartCount": self.restarts}
        ready = {"type": "Ready", "status": str(self.ready), "lastTransitionTime": stamp(self.turned)}
        metadata: Raw = {"name": self.name, "namespace": "support", "labels": labels}
        if self.leaving:
            metadata["deletionTimestamp"] = stamp(self.leaving)
        return {
            "metadata": metadata,
            "status": {
                "phase": "Running",
                "startTime": stamp(self.created_at),
                "conditions": [ready],
                "containerStatuses": [{**container, "state": state, "lastState": last}],
            },
        }


@dataclass
class Behaviour:
    """How the processes of one version behave, whichever pods they are in."""

    start_seconds: float = 2.0
    called: bool = True  # by clients, as far as it has a share
    crashes: bool = False  # as soon as it would be ready, again and again
    hangs: bool = False  # never becomes ready
    waits: str = ""
    refused: str = ""  # no pod can be made at all: the reason that the Revision tells
    exit_code: int = 1
    message: str = "boom"
    pods: dict[str, SimulatedPod] = field(default_factory=dict)

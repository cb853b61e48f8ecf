"""The verbs an engine offers to the controller. `decide` asks for them; the engine carries them out.

Each verb is idempotent and returns when its write is accepted, not when it has taken effect: the effect is observed.
Whatever changes in the engine's world is told by marking the model's key dirty in the controller's queue.
"""

from collections.abc import Iterable
from typing import Protocol

from turnout.api.status import Status
from turnout.api.version import ModelVersion
from turnout.rollout.plan import Complaint, Deploy, Event, Own, PollRequest, ProbeRequest, Retire, RouteChange, Scale
from turnout.rollout.snapshot import ModelKey, Snapshot


class Conflict(Exception):  # noqa: N818 – what the world said, not a bug of ours
    """The object was changed since it was observed: look again, then decide again."""


class Unavailable(Exception):  # noqa: N818 – what the world said, not a bug of ours
    """The engine's world did not answer (outage, timeout, 5xx, webhook gone): try again, with back-off, for ever."""


class Refused(Exception):  # noqa: N818 – what the world said, not a bug of ours
    """A write was refused for good (admission, rights, validation); carries a sentence for the status."""


class Platform(Protocol):
    """One engine. Raises `Conflict`, `Unavailable` or `Refused`, nothing else, from its verbs."""

    def keys(self) -> Iterable[ModelKey]:
        """Every model that has a ModelVersion, a deployment or a Route of ours."""

    async def observe(self, key: ModelKey) -> Snapshot: ...

    async def route(self, key: ModelKey, change: RouteChange) -> None:
        """Write the whole split at once."""

    async def scale(self, key: ModelKey, scale: Scale) -> None: ...

    async def deploy(self, key: ModelKey, deploy: Deploy) -> None: ...

    async def retire(self, key: ModelKey, retire: Retire) -> None: ...

    async def own(self, key: ModelKey, own: Own) -> None: ...

    async def probe(self, key: ModelKey, request: ProbeRequest) -> None:
        """Begin it, or go on with it, in the background; its result is part of a later Snapshot."""

    async def poll(self, key: ModelKey, request: PollRequest) -> None:
        """Begin to read the counters in the background, or go on; the last Poll is part of a later Snapshot.

        It is answered in any case: with a Poll in trouble where the source does not.
        """

    async def record(self, key: ModelKey, version: ModelVersion, status: Status) -> None:
        """Persist a ModelVersion's whole status: of this very object, as it was observed."""

    async def complain(self, key: ModelKey, complaint: Complaint) -> None:
        """Tell a ModelVersion that cannot be read; one that does not take it is logged and left alone."""

    async def emit(self, key: ModelKey, event: Event) -> None:
        """Best effort: an event that cannot be written is logged and forgotten."""

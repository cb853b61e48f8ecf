"""What pods alone do not say: when a revision was last ready, and whether it is only now coming up from zero.

Both engines feed it what they see; it keeps no clock and does no I/O. After a restart of the process its memory is
empty, and the facts that the pods still carry (`were_ready`) stand in for it.
"""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Readiness:
    """`starting`: wants pods, had none, and has not been ready since; `since` then says since when it wants them.

    `ready_pods`: the names of those that were ready when one last was.
    """

    starting: bool
    ready_at: datetime | None
    since: datetime | None = None
    ready_pods: frozenset[str] = frozenset()


class ReadinessMemory:
    """Readiness by revision uid, from successive observations."""

    def __init__(self) -> None:
        self._seen: dict[str, Readiness] = {}

    def observe(
        self, uid: str, *, wanted: int, ready_pods: frozenset[str], were_ready: frozenset[str], now: datetime
    ) -> Readiness:
        """Take in one look at a revision. `were_ready`: the pods that still exist and have been ready before."""
        before = self._seen.get(uid)
        if ready_pods:
            after = Readiness(starting=False, ready_at=now, ready_pods=ready_pods)
        elif wanted == 0:
            after = Readiness(starting=True, ready_at=None)  # whatever comes next comes from zero
        elif before is None:
            seen_at = now if were_ready else None
            after = Readiness(not were_ready, ready_at=seen_at, since=now, ready_pods=were_ready)
        else:
            after = before if before.since else replace(before, since=now)
        self._seen[uid] = after
        return after

    def forget_all_but(self, uids: set[str]) -> None:
        """Drop what no longer exists, so that memory does not grow with history."""
        for uid in self._seen.keys() - uids:
            del self._seen[uid]

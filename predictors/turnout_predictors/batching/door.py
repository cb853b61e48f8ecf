"""Who may still come in: a bounded number of places, fairly between tenants.

A tenant may hold three times what is free. One alone fills three quarters, and however many there are, each newcomer
finds room, without anybody saying beforehand how many will come (dynamic thresholds: Choudhury and Hahne, 1998). Who
names no tenant may fill every place.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 3


def has_room(limit: int, held: int, own: int, more: int = 1) -> bool:
    """Whether `more` places may be taken by a tenant that has `own` of those `held`; 0 for who names none."""
    free = limit - held - more
    return free >= 0 and (own == 0 or own + more <= SHARE * free)


class Door:
    """Counts the requests inside, by tenant."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0
        self._of: dict[str, int] = {}

    def __len__(self) -> int:
        return self._inside

    def refusal(self, tenant: str) -> str:
        """Why nobody of this tenant comes in now; empty if one may."""
        own = self._of.get(tenant, 0) if tenant else 0
        if has_room(self._limit, self._inside, own):
            return ""
        if self._inside >= self._limit:
            return f"{self._inside} requests are waiting, the limit; try again"
        return f"{own} requests of your own are waiting, which is your share; try again"

    def enter(self, tenant: str) -> None:
        self._inside += 1
        self._of[tenant] = self._of.get(tenant, 0) + 1

    def leave(self, tenant: str) -> None:
        self._inside -= 1
        self._of[tenant] -= 1
        if not self._of[tenant]:
            del self._of[tenant]

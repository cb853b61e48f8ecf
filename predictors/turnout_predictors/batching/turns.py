"""Who goes next: pieces of work wait by tenant, and tenants take turns by the cost they have had.

Pure and without a clock. Within a tenant the oldest goes first; a tenant that was away starts where the others
are, so nobody saves up turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Piece:
    """Rows of one request that are computed together. `key` None: alone. `length`: of its longest row; `place`:
    which piece of its request it is; `since`: when it came.
    """

    job: Any
    work: Any
    key: Hashable
    tenant: str
    rows: int
    length: float
    since: float
    place: int = 0

    @property
    def cost(self) -> float:
        return self.rows * self.length

    @property
    def is_wanted(self) -> bool:
        return not self.job.future.done()


@dataclass(slots=True)
class _Tenant:
    had: float
    pieces: deque[Piece] = field(default_factory=deque)


class Turns:
    """All pieces that wait. `rows` and `cost` are their sums."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._reached = 0.0  # what the tenant served last had had
        self._emptied: dict[str, float] = {}  # what tenants had had whose last pieces this turn took
        self.rows = 0
        self.cost = 0.0

    def __len__(self) -> int:
        return sum(len(tenant.pieces) for tenant in self._tenants.values())

    def __iter__(self) -> Iterator[Piece]:
        for tenant in self._tenants.values():
            yield from tenant.pieces

    def rows_of(self, tenant: str) -> int:
        found = self._tenants.get(tenant)
        return sum(piece.rows for piece in found.pieces) if found else 0

    def push(self, piece: Piece) -> None:
        tenant = self._tenants.get(piece.tenant)
        if tenant is None:
            tenant = self._tenants[piece.tenant] = _Tenant(self._reached)
        tenant.pieces.append(piece)
        self.rows += piece.rows
        self.cost += piece.cost

    def put_back(self, pieces: list[Piece]) -> None:
        """What was popped last goes back to where it was, as if it had had no turn."""
        for piece in reversed(pieces):
            had = self._emptied.get(piece.tenant, self._reached + piece.cost)
            tenant = self._tenants.setdefault(piece.tenant, _Tenant(had))
            tenant.pieces.appendleft(piece)
            tenant.had -= piece.cost
            self.rows += piece.rows
            self.cost += piece.cost

    def pop(self, *, is_turn: bool = True) -> Piece | None:
        """The oldest piece that is still wanted, of the tenant that has had least.

        Without `is_turn` it is looked at to go along, and who comes anew starts no later for it.
        """
        if is_turn:
            self._emptied.clear()
        while self._tenants:
            name = min(self._tenants, key=self._had) if len(self._tenants) > 1 else next(iter(self._tenants))
            tenant = self._tenants[name]
            piece = tenant.pieces.popleft()
            self.rows -= piece.rows
            self.cost -= piece.cost
            if not tenant.pieces:
                del self._tenants[name]
            if piece.is_wanted:
                if is_turn:
                    self._reached = tenant.had
                tenant.had += piece.cost
                if not tenant.pieces:
                    self._emptied[name] = tenant.had
                return piece
        return None

    def _had(self, name: str) -> float:
        return self._tenants[name].had

    def purge(self) -> None:
        """Forgets what nobody waits for any more."""
        kept = [piece for piece in self if piece.is_wanted]
        had = {name: tenant.had for name, tenant in self._tenants.items()}
        self._tenants.clear()
        self.rows, self.cost = 0, 0.0
        for piece in kept:
            self.push(piece)
        for name, tenant in self._tenants.items():
            tenant.had = had[name]

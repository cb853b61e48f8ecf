"""How much one forward takes, how long it is expected to take, and which of the waiting pieces share it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .turns import Piece, Turns

LOOK_AHEAD: Final = 8  # batches


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one forward: rows, and rows times the longest of them. What is larger alone is split."""

    rows: int = 1024
    padded: float = float("inf")

    def has_room(self, rows: int, length: float) -> bool:
        return rows <= self.rows and rows * length <= self.padded


def choose(turns: Turns, budget: Budget, *, by_length: bool) -> list[Piece]:
    """The pieces of the next forward; the first is the one whose turn it is, so none is overtaken for ever.

    `by_length`: of those with the same key, the ones of most similar length, so that little padding is computed.
    """
    first = turns.pop()
    if first is None or first.key is None:
        return [] if first is None else [first]
    chosen, aside, like = [first], [], []
    seen, rows, length = first.rows, first.rows, first.length
    while seen < LOOK_AHEAD * budget.rows and rows < budget.rows and (piece := turns.pop(is_turn=False)) is not None:
        seen += piece.rows
        if piece.key != first.key:
            aside.append(piece)
        elif by_length:
            like.append(piece)
        elif budget.has_room(rows + piece.rows, 1):
            chosen.append(piece)
            rows += piece.rows
        else:
            aside.append(piece)
            break
    order = {id(piece): at for at, piece in enumerate([*aside, *like])} if like else {}
    for piece in sorted(like, key=lambda other: abs(other.length - first.length)):
        if budget.has_room(rows + piece.rows, max(length, piece.length)):
            chosen.append(piece)
            rows, length = rows + piece.rows, max(length, piece.length)
        else:
            aside.append(piece)
    turns.put_back(sorted(aside, key=lambda piece: order[id(piece)]) if like else aside)
    return chosen


class Fit:
    """Seconds of a forward as a·cost + b, by least squares that forget. Says nothing before it has seen enough."""

    ENOUGH: Final = 32
    _KEEP: Final = 0.98

    def __init__(self) -> None:
        self._seen = 0
        self._n = self._x = self._y = self._xx = self._xy = 0.0

    def observe(self, cost: float, seconds: float) -> None:
        self._seen += 1
        keep = self._KEEP
        self._n = self._n * keep + 1
        self._x = self._x * keep + cost
        self._y = self._y * keep + seconds
        self._xx = self._xx * keep + cost * cost
        self._xy = self._xy * keep + cost * seconds

    def seconds(self, cost: float, forwards: float) -> float:
        """What `cost` in so many forwards is expected to take; 0 while nothing is known."""
        if self._seen < self.ENOUGH:
            return 0.0
        spread = self._n * self._xx - self._x * self._x
        slope = (self._n * self._xy - self._x * self._y) / spread if spread > 1e-9 * self._n * self._xx else 0.0
        slope = max(0.0, slope)
        fixed = max(0.0, (self._y - slope * self._x) / self._n)
        return slope * cost + fixed * forwards

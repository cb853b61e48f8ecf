"""Rows that were computed a moment ago: an equal one of another request takes their outputs and costs no forward.

A request takes the rows of every forward that ended after it had come (they were in flight together). Where the version
says so, rows are kept for longer, within some bytes and seconds. The model thread alone comes here.

A row's key is a digest of all that its outputs depend on (the row, the compute settings, the outputs wanted) and of
nothing else: neither who asks, nor ids, headers or post settings.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from .engine import Array, Outputs, Work, as_array
from .merging import Layout, taken

FLIGHT_BYTES: Final = 8 << 20  # of rows that may be in flight with a request; what is beyond is computed twice
ENTRY_BYTES: Final = 512  # of what is around a row's arrays
_DIGEST_BYTES: Final = 16


@dataclass(slots=True)
class Told:
    """How many rows were computed, taken from a forward in flight, and taken from what was kept."""

    miss: int = 0
    shared: int = 0
    hit: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    outputs: Outputs  # arrays of one row
    size: int
    ended: float


@dataclass(slots=True)
class Known:
    """`kept_bytes` 0: nothing is kept beyond its flight, and only texts are compared."""

    kept_bytes: int = 0
    kept_seconds: float = 0.0
    clock: Callable[[], float] = time.perf_counter
    size: int = 0
    _rows: OrderedDict[bytes, _Row] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._rows)

    def compares(self, work: Work) -> bool:
        """Numbers cost more to compare than they save, unless somebody wants them kept."""
        return self.kept_bytes > 0 or all(array.ndim == 1 and array.dtype.kind == "O" for array in work.inputs.values())

    def compute(
        self, work: Work, layout: Layout, since: Sequence[float], forward: Callable[[Work], Outputs]
    ) -> tuple[Outputs, Told]:
        """The outputs of all rows, by a `forward` of those that nobody knows. `since`: when each row was asked for."""
        keys = row_keys(work, layout)
        asked: dict[bytes, float] = {}
        for key, moment in zip(keys, since, strict=True):
            asked[key] = min(moment, asked.get(key, moment))
        told = Told()
        found = {key: row for key, moment in asked.items() if (row := self._find(key, moment, told)) is not None}
        told.shared += len(keys) - len(asked)
        if len({frozenset(row.outputs) for row in found.values()}) > 1:  # optional outputs: there for some rows
            found, told = {}, Told(shared=len(keys) - len(asked))
        missing = [key for key in asked if key not in found]
        told.miss = len(missing)
        if len(missing) == len(keys):
            outputs = forward(work)
            self._keep(keys, outputs)
            return outputs, told
        fresh: Outputs = {}
        if missing:
            first = {key: at for at, key in reversed(list(enumerate(keys)))}
            fresh = forward(taken(work, layout, np.array([first[key] for key in missing])))
            self._keep(missing, fresh)
        if found and missing and frozenset(fresh) != frozenset(next(iter(found.values())).outputs):
            return forward(work), Told(miss=len(keys))
        place = {key: at for at, key in enumerate([*missing, *found])}
        return _assembled(fresh, [row.outputs for row in found.values()], [place[key] for key in keys]), told

    def _find(self, key: bytes, since: float, told: Told) -> _Row | None:
        row = self._rows.get(key)
        if row is None:
            return None
        if row.ended >= since:
            told.shared += 1
        elif self.kept_bytes and self.clock() - row.ended <= self.kept_seconds:
            told.hit += 1
        else:
            return None
        self._rows.move_to_end(key)
        return row

    def _keep(self, keys: Iterable[bytes], outputs: Outputs) -> None:
        """Copies: a view would hold the whole forward."""
        ended = self.clock()
        arrays = {name: as_array(array) for name, array in outputs.items()}
        for at, key in enumerate(keys):
            row = {name: array[at : at + 1].copy() for name, array in arrays.items()}
            size = ENTRY_BYTES + sum(_size(array) for array in row.values())
            before = self._rows.pop(key, None)
            self.size += size - (before.size if before is not None else 0)
            self._rows[key] = _Row(row, size, ended)
        while self.size > (self.kept_bytes or FLIGHT_BYTES):
            self.size -= self._rows.popitem(last=False)[1].size


def _size(array: Array) -> int:
    return array.nbytes if array.dtype.kind != "O" else sum(len(value) for value in array.reshape(-1).tolist())


def _assembled(fresh: Outputs, found: list[Outputs], index: list[int]) -> Outputs:
    parts = [fresh, *found] if fresh else found
    return {name: np.concatenate([as_array(part[name]) for part in parts])[index] for name in parts[0]}


def row_keys(work: Work, layout: Layout) -> list[bytes]:
    seed = hashlib.blake2b(repr(layout.key(work)).encode(), digest_size=_DIGEST_BYTES)
    columns = [_cells(array) for _, array in sorted(work.inputs.items())]
    keys = []
    for row in zip(*columns, strict=True):
        digest = seed.copy()
        for cell in row:
            digest.update(cell)
        keys.append(digest.digest())
    return keys


def _cells(array: Array) -> list[bytes]:
    """The bytes of each row, of which no two rows that differ have the same."""
    if array.dtype.kind != "O":
        return [row.tobytes() for row in array]
    flat = array.reshape(len(array), -1).tolist()
    return [b"".join(_framed(value) for value in row) for row in flat]


def _framed(value: Any) -> bytes:
    kind, raw = (b"b", value) if isinstance(value, bytes) else (b"t", str(value).encode("utf-8", "surrogatepass"))
    return kind + len(raw).to_bytes(8, "little") + raw

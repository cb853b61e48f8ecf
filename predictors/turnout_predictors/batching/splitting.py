"""A request becomes the pieces that forwards take: whole, or cut where the budget ends, rows of like length together.

Pure. What rows cost is the model's own word, and is checked like every other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from turnout_predictors.errors import ModelError

from .budget import Budget
from .engine import Array, Outputs, Work
from .merging import Layout, rows_of, taken
from .turns import Piece

if TYPE_CHECKING:
    import asyncio


@dataclass(slots=True, eq=False)
class Job:
    """A request; `parts` where it was split, `order` where its rows were sorted."""

    work: Work
    future: asyncio.Future[Outputs]
    since: float
    rows: int = 1
    parts: list[Outputs | None] = field(default_factory=lambda: [None])
    order: Array | None = None
    left: int = 1


def checked_lengths(given: Any, rows: int) -> Array:
    """What the model says its rows cost, at least 1 each. ModelError if it is no number a row."""
    lengths = np.asarray(given, np.float64)
    if lengths.shape != (rows,) or not np.isfinite(lengths).all():
        raise ModelError(f"lengths() gave {list(lengths.shape)} for {rows} rows; it must be a finite number for each")
    return np.maximum(lengths, 1.0)


def split(job: Job, layout: Layout, budget: Budget, lengths: Array | None) -> list[Piece]:
    """The request's pieces, none above the budget unless a single row is."""
    work, rows, key = job.work, job.rows, layout.key(job.work)
    longest = 1.0 if lengths is None or not rows else float(lengths.max())
    if budget.has_room(rows, longest) or rows <= 1:
        return [Piece(job, work, key, work.tenant, rows, longest, job.since)]
    if lengths is not None:
        job.order = order = np.argsort(-lengths, kind="stable")
        work, lengths = taken(work, layout, order), lengths[order]
    pieces: list[Piece] = []
    at = 0
    while at < rows:
        length = 1.0 if lengths is None else float(lengths[at])
        size = max(1, int(min(budget.rows, budget.padded / length, rows - at)))
        part = taken(work, layout, slice(at, at + size))
        pieces.append(Piece(job, part, key, work.tenant, rows_of(part), length, job.since, len(pieces)))
        at += size
    job.parts, job.left = [None] * len(pieces), len(pieces)
    return pieces

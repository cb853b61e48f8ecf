"""reference/outputs.json: how a model's outputs were distributed when it was published, over bins fixed there.

Drift is a difference of counts, so both sides must count over the same bins: they travel with the artifact and never
move. At most twenty bins an output; what an output is counted by follows from its type and shape:

    class     BOOL, integers and texts of few values: the value; the last bin is every other value
    argmax    scores [N, K] of few columns: the column of the greatest
    value     other numbers [N]: between the deciles of the published rows
    length    other texts [N]: their length in characters, between its deciles
    distance  vectors [N, D]: their distance to the centroid of the published rows, between its deciles

An output of another shape is not counted. NaN has no bin.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from turnout_predictors.errors import ARTIFACT_INVALID, StartError

FILE: Final = "reference/outputs.json"
MAX_BINS: Final = 20
LEAST_ROWS: Final = 50  # deciles of fewer rows are noise
_DECILES: Final = np.arange(0.1, 1.0, 0.1)

Array = NDArray[Any]
Kind = Literal["class", "argmax", "value", "length", "distance"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One output's bins and the published rows' counts in them.

    `edges`: upper bounds, inclusive, one fewer than bins. `classes`: the values of the first bins.
    """

    output: str
    kind: Kind
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    centroid: tuple[float, ...] = ()

    @property
    def bins(self) -> int:
        return len(self.counts)

    def count(self, rows: Array) -> NDArray[np.int64]:
        """How many of the rows fall into each bin. Rows of another shape than the published count nowhere."""
        if self.kind == "class":
            return self._by_class(rows)
        if self.kind == "argmax":
            fits = rows.ndim == 2 and rows.shape[1] == self.bins and rows.size
            columns = np.argmax(rows, axis=1) if fits else np.empty(0, np.intp)
            return np.bincount(columns, minlength=self.bins)
        measured = _measure(self.kind, rows, np.asarray(self.centroid))
        places = np.searchsorted(np.asarray(self.edges), measured[~np.isnan(measured)], side="left")
        return np.bincount(places, minlength=self.bins)

    def _by_class(self, rows: Array) -> NDArray[np.int64]:
        places = {value: at for at, value in enumerate(self.classes)}
        others = len(self.classes)
        values, times = np.unique(rows.astype(str), return_counts=True)
        counts = np.zeros(self.bins, np.int64)
        for value, number in zip(values.tolist(), times.tolist(), strict=True):
            counts[places.get(value, others)] += number
        return counts

    def to_json(self) -> dict[str, object]:
        known = {"edges": self.edges, "classes": self.classes, "centroid": self.centroid}
        return {
            "output": self.output,
            "kind": self.kind,
            **{name: list(values) for name, values in known.items() if values},
            "counts": list(self.counts),
        }


def reference_of(output: str, rows: Array) -> Reference | None:
    """The bins that suit an output, from rows of it; None where nothing would be said by counting it.

    ValueError for fewer than `LEAST_ROWS` rows.
    """
    if len(rows) < LEAST_ROWS:
        raise ValueError(f"a reference needs at least {LEAST_ROWS} rows, output {output} has {len(rows)}")
    if rows.ndim == 1 and rows.dtype.kind in "biuOUST":
        values = np.unique(rows.astype(str))
        if rows.dtype.kind == "b":
            values = np.array(["False", "True"])
        if len(values) < MAX_BINS:
            return _counted(Reference(output, "class", (0,) * (len(values) + 1), classes=tuple(values.tolist())), rows)
    if rows.ndim == 2 and 2 <= rows.shape[1] <= MAX_BINS and rows.dtype.kind == "f":
        return _counted(Reference(output, "argmax", (0,) * rows.shape[1]), rows)
    kind = _measured_kind(rows)
    if kind is None:
        return None
    centroid = np.nanmean(rows, axis=0) if kind == "distance" else np.empty(0)
    measured = _measure(kind, rows, centroid)
    edges = np.unique(np.nanquantile(measured, _DECILES)) if not np.isnan(measured).all() else np.empty(0)
    shape = Reference(
        output, kind, (0,) * (len(edges) + 1), tuple(edges.tolist()), centroid=tuple(np.atleast_1d(centroid).tolist())
    )
    return _counted(shape, rows)


def _counted(shape: Reference, rows: Array) -> Reference:
    counts = tuple(shape.count(rows).tolist())
    return Reference(shape.output, shape.kind, counts, shape.edges, shape.classes, shape.centroid)


def _measured_kind(rows: Array) -> Kind | None:
    if rows.ndim == 1:
        return "length" if rows.dtype.kind in "OUST" else "value"
    return "distance" if rows.ndim == 2 and rows.shape[1] > MAX_BINS and rows.dtype.kind == "f" else None


def _measure(kind: Kind, rows: Array, centroid: Array) -> Array:
    """One number a row; none where the rows are not of the published form."""
    if kind == "length":
        return np.fromiter(map(len, rows), np.float64, len(rows)) if rows.ndim == 1 else np.empty(0)
    if kind == "distance":
        fits = rows.ndim == 2 and rows.shape[1:] == centroid.shape
        return np.linalg.norm(rows.astype(np.float64) - centroid, axis=1) if fits else np.empty(0)
    return rows.astype(np.float64) if rows.ndim == 1 else np.empty(0)


def references_of(outputs: Mapping[str, Array]) -> tuple[Reference, ...]:
    """The references of every output that has one."""
    found = (reference_of(name, np.asarray(rows)) for name, rows in outputs.items())
    return tuple(reference for reference in found if reference is not None)


def document_of(references: Iterable[Reference]) -> dict[str, object]:
    return {"schema": 1, "outputs": [reference.to_json() for reference in references]}


def read_references(folder: Path) -> tuple[Reference, ...]:
    """The artifact's references; none if it was published without. StartError where they make no sense."""
    path = folder / FILE
    if not path.is_file():
        return ()
    try:
        return tuple(_read(item) for item in json.loads(path.read_bytes())["outputs"])
    except (ValueError, KeyError, TypeError) as fault:
        raise StartError(ARTIFACT_INVALID, f"{path} is no reference ({fault}); publish it again") from None


def _read(item: Mapping[str, Any]) -> Reference:
    reference = Reference(
        output=str(item["output"]),
        kind=item["kind"],
        counts=tuple(int(count) for count in item["counts"]),
        edges=tuple(float(edge) for edge in item.get("edges", ())),
        classes=tuple(str(value) for value in item.get("classes", ())),
        centroid=tuple(float(value) for value in item.get("centroid", ())),
    )
    expected = {"class": len(reference.classes) + 1, "argmax": reference.bins}.get(
        reference.kind, len(reference.edges) + 1
    )
    if item["kind"] not in ("class", "argmax", "value", "length", "distance"):
        raise ValueError(f"kind {item['kind']!r} of output {reference.output}")
    if not 1 <= reference.bins == expected <= MAX_BINS or list(reference.edges) != sorted(set(reference.edges)):
        raise ValueError(f"output {reference.output}: its bins and counts do not fit")
    return reference

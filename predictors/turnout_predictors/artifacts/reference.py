"""reference/outputs.json: how a model's outputs were distributed when it was published, over bins fixed there.

Drift is a difference of counts, so both sides must count over the same bins: they travel with the artifact and never
move. Two versions can be compared only where their bins are the same, which `Reference.name` tells: flags, small
integers and numbers within 0 to 1 have fixed ones, others those of the version before if publishing is told of it
(`like`). At most twenty bins an output; what an output is counted by follows from its type and shape:

    class     BOOL, integers and texts of few values: the value; the last bin is every other value
    argmax    scores [N, K] of few columns: the column of the greatest
    value     other numbers [N]: within 0 to 1 between fixed edges, else between the deciles of the published rows
    length    other texts [N]: their length in characters, between its deciles
    distance  vectors [N, D]: their distance to the centroid of the published rows, between its deciles

An output of another shape is not counted. NaN has no bin.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from turnout_predictors.errors import ARTIFACT_INVALID, StartError

FILE: Final = "reference/outputs.json"
MAX_BINS: Final = 20
LEAST_ROWS: Final = 50  # deciles of fewer rows are noise
_DECILES: Final = np.arange(0.1, 1.0, 0.1)
# scores and risks: fine at both ends, where calibrated ones of rare events lie
_SHARES: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995),
)

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

    @property
    def name(self) -> str:
        """Of the bins: equal where the same rows would fall into the same bins."""
        meaning = (self.kind, self.bins, self.edges, self.classes, self.centroid)
        return f"{crc32(json.dumps(meaning).encode()):08x}"

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
        rows = rows if rows.dtype.kind in "biu" else rows.astype(str)
        values, times = np.unique(rows, return_counts=True)
        counts = np.zeros(self.bins, np.int64)
        for value, number in zip(values.astype(str).tolist(), times.tolist(), strict=True):
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
        values = _classes(rows)
        if len(values) < MAX_BINS:
            return _counted(Reference(output, "class", (0,) * (len(values) + 1), classes=tuple(values.tolist())), rows)
    if rows.ndim == 2 and 2 <= rows.shape[1] <= MAX_BINS and rows.dtype.kind == "f":
        return _counted(Reference(output, "argmax", (0,) * rows.shape[1]), rows)
    kind = _measured_kind(rows)
    if kind is None:
        return None
    centroid = np.nanmean(rows, axis=0) if kind == "distance" else np.empty(0)
    edges = _edges(kind, _measure(kind, rows, centroid))
    shape = Reference(output, kind, (0,) * (len(edges) + 1), edges, centroid=tuple(np.atleast_1d(centroid).tolist()))
    return _counted(shape, rows)


def _classes(rows: Array) -> Array:
    """The values; of flags and small integers all that there could be: no version's bins hang on its answers."""
    if rows.dtype.kind == "b":
        return np.array(["False", "True"])
    if rows.dtype.kind in "iu" and rows.min() >= 0 and rows.max() < MAX_BINS - 1:
        return np.arange(MAX_BINS - 1).astype(str)
    return np.unique(rows.astype(str))


def _counted(shape: Reference, rows: Array) -> Reference:
    return replace(shape, counts=tuple(shape.count(rows).tolist()))


def _edges(kind: Kind, measured: Array) -> tuple[float, ...]:
    known = measured[~np.isnan(measured)]
    if not known.size:
        return ()
    if kind == "value" and known.dtype.kind == "f" and known.min() >= 0 and 0 < known.max() <= 1:
        return _SHARES
    return tuple(np.unique(np.quantile(known, _DECILES)).tolist())


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


def references_of(outputs: Mapping[str, Array], like: Iterable[Reference] = ()) -> tuple[Reference, ...]:
    """The references of every output that has one; over the bins of `like`, where that knows the output."""
    former = {reference.output: reference for reference in like}
    found = (_reference_like(former.get(name), name, np.asarray(rows)) for name, rows in outputs.items())
    return tuple(reference for reference in found if reference is not None)


def _reference_like(former: Reference | None, output: str, rows: Array) -> Reference | None:
    if former is None:
        return reference_of(output, rows)
    if len(rows) < LEAST_ROWS:
        raise ValueError(f"a reference needs at least {LEAST_ROWS} rows, output {output} has {len(rows)}")
    reference = _counted(former, rows)
    if not sum(reference.counts):
        raise ValueError(
            f"output {output} has another form than in the former version: its bins do not fit; leave like= out"
        )
    return reference


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

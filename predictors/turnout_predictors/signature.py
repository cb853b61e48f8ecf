"""A model's contract: its tensors by name, type and shape. Frozen; written to and read from signature.json.

A dimension is a number, or a name: equal names mean equal sizes within one call (`N` in, `N` out), and what
V2 metadata shows as -1. This module checks declarations; requests are checked in `server.requests`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .datatypes import DATATYPES

Dimension = int | str
Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor. `text`: BYTES that are UTF-8 and reach the model as str; `missing`: null means NaN."""

    name: str
    datatype: str
    shape: tuple[Dimension, ...]
    text: bool = False
    optional: bool = False
    missing: bool = False

    def to_json(self) -> dict[str, object]:
        flags = {name: True for name in ("text", "optional", "missing") if getattr(self, name)}
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape), **flags}

    def metadata(self) -> dict[str, object]:
        """As V2 metadata shows it: names become -1."""
        shape = [size if isinstance(size, int) else -1 for size in self.shape]
        return {"name": self.name, "datatype": self.datatype, "shape": shape}


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs in declared order, labels of outputs, and the names of vector spaces."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    embedding_space: str = ""

    def to_json(self) -> dict[str, object]:
        extra: dict[str, object] = {}
        if self.labels:
            extra["labels"] = {name: list(values) for name, values in self.labels.items()}
        if self.embedding_space:
            extra["embedding_space"] = self.embedding_space
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
            **extra,
        }


def signature_from_json(document: object) -> Signature:
    """Reads signature.json. ValueError names the place that is wrong."""
    if not isinstance(document, dict):
        raise ValueError("signature is not an object")
    labels = document.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(values, list) for values in labels.values()):
        raise ValueError("labels is not an object of lists")
    return Signature(
        inputs=_specs(document.get("inputs"), "inputs"),
        outputs=_specs(document.get("outputs"), "outputs"),
        labels=MappingProxyType({name: tuple(map(str, values)) for name, values in labels.items()}),
        embedding_space=str(document.get("embedding_space", "")),
    )


def _specs(value: object, where: str) -> tuple[TensorSpec, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{where} is not a list of at least one tensor")
    specs = tuple(_spec(item, f"{where}[{index}]") for index, item in enumerate(value))
    names = [spec.name for spec in specs]
    if len(set(names)) != len(names):
        raise ValueError(f"{where} names a tensor twice")
    return specs


def _spec(item: object, where: str) -> TensorSpec:
    if not isinstance(item, dict):
        raise ValueError(f"{where} is not an object")
    name, datatype, shape = item.get("name"), item.get("datatype"), item.get("shape")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}.name is not a string")
    if datatype not in DATATYPES:
        raise ValueError(f"{where}.datatype {datatype!r} is none of {', '.join(DATATYPES)}")
    if not isinstance(shape, list):
        raise ValueError(f"{where}.shape is not a list")
    sizes = tuple(_dimension(size, axis, f"{where}.shape[{axis}]") for axis, size in enumerate(shape))
    flags = {flag: item.get(flag) is True for flag in ("text", "optional", "missing")}
    return TensorSpec(name, str(datatype), sizes, **flags)


def _dimension(size: object, axis: int, where: str) -> Dimension:
    if size == -1:
        return "N" if axis == 0 else f"{where}"  # an unnamed variable size; only the first one is the batch
    if isinstance(size, str) and size:
        return size
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    raise ValueError(f"{where} is neither a size, nor -1, nor a name")

"""How a predictor declares its tensors: typed attributes with named dimensions.

    class Inputs(Tensors):
        text: Text = dims("N")
        language: Text | None = dims("N")        # optional

The annotations are ordinary array types, so a type checker reads `batch.text` as an array. (The shorter
`Text["N"]` of the first design is an undefined name to every checker.)
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Union, dataclass_transform

import numpy as np
from numpy.typing import NDArray

from .signature import Dimension, TensorSpec


@dataclass(frozen=True, slots=True)
class Wire:
    """How an annotated array travels."""

    datatype: str
    text: bool = False


BOOL = Annotated[NDArray[np.bool_], Wire("BOOL")]
UINT8 = Annotated[NDArray[np.uint8], Wire("UINT8")]
UINT16 = Annotated[NDArray[np.uint16], Wire("UINT16")]
UINT32 = Annotated[NDArray[np.uint32], Wire("UINT32")]
UINT64 = Annotated[NDArray[np.uint64], Wire("UINT64")]
INT8 = Annotated[NDArray[np.int8], Wire("INT8")]
INT16 = Annotated[NDArray[np.int16], Wire("INT16")]
INT32 = Annotated[NDArray[np.int32], Wire("INT32")]
INT64 = Annotated[NDArray[np.int64], Wire("INT64")]
FP16 = Annotated[NDArray[np.float16], Wire("FP16")]
FP32 = Annotated[NDArray[np.float32], Wire("FP32")]
FP64 = Annotated[NDArray[np.float64], Wire("FP64")]
BYTES = Annotated[NDArray[np.object_], Wire("BYTES")]  # elements are bytes
Text = Annotated[NDArray[np.object_], Wire("BYTES", text=True)]  # elements are str


@dataclass(frozen=True, slots=True)
class Dims:
    """The value that stands in a declaration; never seen on an instance."""

    sizes: tuple[Dimension, ...]
    missing: bool


def dims(*sizes: Dimension, missing: bool = False) -> Any:
    """Declares a tensor's shape: numbers, or names for sizes that vary. `missing`: null in JSON means NaN."""
    return Dims(sizes, missing)


@dataclass_transform(kw_only_default=True, field_specifiers=(dims,))
class Tensors:
    """A set of named arrays. Optional ones that were not given are None."""

    _specs: ClassVar[tuple[TensorSpec, ...] | None] = None

    def __init__(self, **arrays: object) -> None:
        for spec in self.specs():
            setattr(self, spec.name, arrays.pop(spec.name, None))
        if arrays:
            raise TypeError(f"{type(self).__qualname__} declares no tensor named {', '.join(arrays)}")

    @classmethod
    def specs(cls) -> tuple[TensorSpec, ...]:
        """The declarations, compiled once per class. TypeError names what cannot be understood."""
        if "_specs" not in cls.__dict__ or cls._specs is None:
            hints = typing.get_type_hints(cls, include_extras=True)
            cls._specs = tuple(
                _compile(cls, name, hint)
                for name, hint in hints.items()
                if not name.startswith("_") and typing.get_origin(hint) is not ClassVar
            )
        return cls._specs

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The arrays that are there, by name, in declared order."""
        values = ((spec.name, getattr(self, spec.name)) for spec in self.specs())
        return {name: value for name, value in values if value is not None}


def _compile(owner: type[Tensors], name: str, hint: object) -> TensorSpec:
    where = f"{owner.__qualname__}.{name}"
    optional = False
    if typing.get_origin(hint) in (Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        optional = len(members) < len(typing.get_args(hint))
        hint = members[0] if len(members) == 1 else None
    wires = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Wire)]
    declared = getattr(owner, name, None)
    if not wires or not isinstance(declared, Dims):
        raise TypeError(f"{where} must be declared like `{name}: FP32 = dims('N')`")
    return TensorSpec(
        name, wires[0].datatype, declared.sizes, wires[0].text, optional=optional, missing=declared.missing
    )

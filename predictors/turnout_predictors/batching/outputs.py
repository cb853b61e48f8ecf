"""What a model returned is held against its signature before anybody sees it."""

from __future__ import annotations

from collections.abc import Mapping

from turnout_predictors.datatypes import DATATYPES
from turnout_predictors.errors import ModelError
from turnout_predictors.signature import Signature, TensorSpec

from .engine import Array, Outputs, as_array


def checked(
    signature: Signature, wanted: tuple[str, ...], bound: Mapping[str, int], outputs: Outputs
) -> dict[str, Array]:
    """The wanted outputs in declared order, in their declared types and shapes; ModelError if they lie.

    `bound`: sizes that the inputs gave to names of the signature.
    """
    dims = dict(bound)
    kept: dict[str, Array] = {}
    for spec in signature.outputs:
        if spec.name not in wanted:
            continue
        if spec.name not in outputs:
            if spec.optional:
                continue
            raise ModelError(f"output {spec.name!r} is missing; the model returned {', '.join(outputs) or 'none'}")
        array = as_array(outputs[spec.name])
        _check_shape(spec, array, dims)
        kept[spec.name] = _cast(spec, array)
    return kept


def _check_shape(spec: TensorSpec, array: Array, dims: dict[str, int]) -> None:
    fits = len(spec.shape) == array.ndim and all(
        size == (declared if isinstance(declared, int) else dims.setdefault(declared, size))
        for declared, size in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        bound = {name: size for name, size in dims.items() if name in spec.shape}
        raise ModelError(
            f"output {spec.name!r} has shape {list(array.shape)}, declared {list(spec.shape)} with {bound}"
        )


def _cast(spec: TensorSpec, array: Array) -> Array:
    datatype = DATATYPES[spec.datatype]
    if array.dtype == datatype.dtype:
        return array
    if (array.dtype.kind in "OUST") != (datatype.kind == "bytes"):
        raise ModelError(f"output {spec.name!r} has type {array.dtype}, declared {spec.datatype}")
    return array.astype(datatype.dtype)

"""Which requests may share a forward, how they are joined for it, and how its outputs are parted again.

Pure. Rows may be merged where the signature says that they are rows: the first dimension of every input and of
every output has one name, and no other dimension has it. Whatever else a forward depends on is in the key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from turnout_predictors.signature import Signature

from .engine import Array, Outputs, Work


@dataclass(frozen=True, slots=True)
class Layout:
    """How one model's rows lie. `rows`: the name of their dimension."""

    rows: str
    has_optional: bool
    has_open_sizes: bool
    base: Any
    compute_key: Callable[[Any], Hashable]

    def key(self, work: Work) -> Hashable:
        """Equal keys may share a forward: same outputs, compute settings, inputs present, sizes of a row."""
        settings = None if work.settings is self.base else self.compute_key(work.settings)
        if not (self.has_optional or self.has_open_sizes):
            return (settings, work.outputs)
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(work.inputs.items()))
        return (settings, work.outputs, shapes)


def layout_of(signature: Signature | None, settings: Any, *, whole: bool, keeps_post: bool) -> Layout | None:
    """None: requests to this model are never merged. `keeps_post`: post settings reach the forward too."""
    if signature is None or whole:
        return None
    specs = (*signature.inputs, *signature.outputs)
    firsts = {spec.shape[0] if spec.shape else 0 for spec in specs}
    name = firsts.pop()
    if firsts or not isinstance(name, str) or any(name in spec.shape[1:] for spec in specs):
        return None
    inner = [size for spec in signature.inputs for size in spec.shape[1:]]
    bound = {size for spec in signature.inputs if not spec.optional for size in spec.shape[1:]}
    if any(size not in bound for spec in signature.outputs for size in spec.shape[1:] if isinstance(size, str)):
        return None  # the model chooses it, by the longest row perhaps: neighbours would show
    return Layout(
        name,
        any(spec.optional for spec in signature.inputs),
        any(isinstance(size, str) for size in inner),
        settings,
        _compute_key(settings, keeps_post),
    )


def _compute_key(settings: Any, keeps_post: bool) -> Callable[[Any], Hashable]:
    if settings is None:
        return lambda _: None
    from turnout_predictors.settings import when

    kind = type(settings)
    parting = ("compute", "post") if keeps_post else ("compute",)
    names = [name for name in kind.model_fields if when(kind, name) in parting]
    base = tuple(repr(getattr(settings, name)) for name in names)

    def key(given: Any) -> Hashable:
        values = tuple(repr(getattr(given, name)) for name in names)
        return None if values == base else values  # said or not, the version's own values are the same

    return key


def rows_of(work: Work) -> int:
    return len(next(iter(work.inputs.values())))


def taken(work: Work, layout: Layout, rows: slice | Array) -> Work:
    """Some rows of a request, as a request of its own."""
    inputs = {name: array[rows] for name, array in work.inputs.items()}
    return _with(work, inputs, {**work.dims, layout.rows: len(next(iter(inputs.values())))})


def join(works: Sequence[Work], layout: Layout) -> Work:
    """Requests of one key as one; a single one as it is."""
    first = works[0]
    if len(works) == 1:
        return first
    inputs = {name: np.concatenate([work.inputs[name] for work in works]) for name in first.inputs}
    return _with(first, inputs, {**first.dims, layout.rows: len(next(iter(inputs.values())))})


def _with(work: Work, inputs: Mapping[str, Array], dims: Mapping[str, int]) -> Work:
    return Work(inputs, work.outputs, work.deadline, work.settings, dims)


def part(outputs: Outputs, sizes: Sequence[int]) -> list[Outputs]:
    """Views of the outputs, `sizes` rows each."""
    if len(sizes) == 1:
        return [outputs]
    parts: list[Outputs] = []
    at = 0
    for size in sizes:
        parts.append({name: array[at : at + size] for name, array in outputs.items()})
        at += size
    return parts


def rejoin(parts: Sequence[Outputs], order: Array | None) -> Outputs:
    """The outputs of a request that was split. `order`: the rows' places before they were sorted by length."""
    names = dict.fromkeys(name for part in parts for name in part)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in names}
    if order is None:
        return whole
    back = np.argsort(order)
    return {name: array[back] for name, array in whole.items()}

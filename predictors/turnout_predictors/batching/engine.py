"""The one seam between the protocols and the models: a request goes in, its output arrays come out.

Everything above it (HTTP, gRPC, façades, offline) makes `Work`; everything below it (runtimes) answers
`Work`. It knows nothing of JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from turnout_predictors.signature import Signature

if TYPE_CHECKING:
    from .thread import ModelThread

Array = NDArray[Any]
Outputs = Mapping[str, Array]
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True, frozen=True)
class Work:
    """One checked request. `deadline` is in the event loop's time; `dims` binds the signature's names to
    sizes.
    """

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    deadline: float
    settings: Any = None
    dims: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    headers: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    tenant: str = ""


class Model(Protocol):
    """A loaded model whose forward runs on the model thread, with rows of several requests if they are rows.

    Optional attributes: `whole` (requests are never merged or split), `lengths(work)` (the cost of each row, in
    tokens or the like), `budget_padded` (the most of rows x longest in a forward), `finish(outputs, settings)`
    (applies post settings to one request's rows, so that they part no batch), `nondeterministic` (equal rows are
    computed each for itself).
    """

    @property
    def signature(self) -> Signature | None:
        """None: the model declares nothing, and every well-formed tensor reaches it."""

    @property
    def platform(self) -> str: ...

    @property
    def settings(self) -> Any:
        """The version's own settings, a `turnout_predictors.Settings` or None."""

    def forward(self, work: Work) -> Outputs:
        """The outputs named in `work.outputs`; more are ignored. Runs alone, never twice at once."""


class AsyncModel(Protocol):
    """A loaded model that waits for something else; its synchronous steps go to the thread by
    `thread.submit`.
    """

    @property
    def signature(self) -> Signature | None: ...

    @property
    def platform(self) -> str: ...

    @property
    def settings(self) -> Any: ...

    async def infer(self, work: Work, thread: ModelThread) -> Outputs: ...


class Engine(Protocol):
    """Takes work at once or refuses it at once (Overloaded); the future ends by `work.deadline`."""

    def submit(self, work: Work) -> asyncio.Future[Outputs]: ...

    def is_hung(self) -> bool:
        """A forward has been running for longer than any request may take."""

    def pending(self) -> int:
        """Requests accepted and not yet answered."""

    def queued(self) -> int:
        """Rows that wait for a forward."""


def as_array(value: Any) -> Array:
    """What models return (lists, scalars, other array types) as a C-contiguous array."""
    return np.asarray(value, order="C")

"""Processes of one virtual loop that can be stopped as by SIGSTOP: nothing of a stopped one runs, not even its timers.

The world goes on meanwhile, and its clock too. Whoever belongs to a process is told by the context it was begun in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any

from tests.virtual import VirtualLoop


class Gate:
    """What a process's callbacks go through; while it is shut they wait, in their order."""

    def __init__(self) -> None:
        self.is_shut = False
        self.waiting: deque[Turn] = deque()
        self.context = Context()
        self.context.run(_GATE.set, self)

    def shut(self) -> None:
        """SIGSTOP."""
        self.is_shut = True

    def open(self) -> None:
        """SIGCONT: what was due meanwhile is due now."""
        self.is_shut = False
        while self.waiting:
            self.waiting.popleft().again()


_GATE: ContextVar[Gate | None] = ContextVar("gate", default=None)


class Turn:
    """One callback of a process."""

    handle: asyncio.Handle

    def __init__(
        self, loop: StoppableLoop, gate: Gate, call: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        self._loop = loop
        self._gate = gate
        self._call = call
        self._arguments = arguments

    def __call__(self) -> None:
        if self._gate.is_shut:
            self._gate.waiting.append(self)
        elif not self.handle.cancelled():  # while it waited
            self._call(*self._arguments)

    def again(self) -> None:
        self._loop.call_plainly(self, self._gate.context)


class StoppableLoop(VirtualLoop):
    """Callbacks begun in a gate's context run when that is open."""

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = copy_context() if context is None else context  # an empty one counts as False
        gate = context.get(_GATE)
        if gate is None:
            return super().call_soon(callback, *args, context=context)
        turn = Turn(self, gate, callback, args)
        turn.handle = super().call_soon(turn, context=context)
        return turn.handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context  # an empty one counts as False
        gate = context.get(_GATE)
        if gate is None:
            return super().call_at(when, callback, *args, context=context)
        turn = Turn(self, gate, callback, args)
        timer = super().call_at(when, turn, context=context)
        turn.handle = timer
        return timer

    def call_plainly(self, turn: Turn, context: Context) -> None:
        super().call_soon(turn, context=context)

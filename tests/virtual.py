"""A clock that jumps to the next timer as soon as nothing else is left to do: an hour passes in no time."""

import asyncio
import selectors

STANDSTILL = 500
"""Turns without a wait after which time moves by itself: a timer due within the clock's resolution fires early, and who
then asks the clock for the rest of a nanosecond would ask for ever. Real clocks move on.
"""
NUDGE = 1e-6


class _Jump(selectors.SelectSelector):
    """A selector that never waits: the time it would have waited is added to the loop's clock."""

    passed = 0.0
    _turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen: every task waits and no timer is set")
        self._turns = 0 if timeout > 0 else self._turns + 1
        self.passed += timeout if self._turns < STANDSTILL else NUDGE
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on that clock; its time begins at 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.passed

"""A clock that jumps to the next timer as soon as nothing else is left to do: an hour passes in no time."""

import asyncio
import selectors


class _Jump(selectors.SelectSelector):
    """A selector that never waits: the time it would have waited is added to the loop's clock."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen: every task waits and no timer is set")
        self.passed += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on that clock; its time begins at 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.passed

"""A terminal on which the tree is redrawn in place while lines of news scroll by above it.

Each frame is one write between the marks of a synchronized update, so that nothing flickers. Where the stream
is no terminal there is no tree: only the lines, which a log keeps as they are.
"""

import shutil
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
BEGIN_FRAME, END_FRAME = "\x1b[?2026h", "\x1b[?2026l"  # terminals that do not know the mode ignore it
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"  # a wrapped line would be two lines for the cursor
CLEAR_LINE, CLEAR_BELOW = "\x1b[K", "\x1b[J"


def terminal_size() -> tuple[int, int]:
    """Columns and lines."""
    size = shutil.get_terminal_size((80, 24))
    return size.columns, size.lines


class Screen:
    """Where a person watches. Use it as a context: the cursor comes back however the watching ends."""

    def __init__(self, stream: TextIO, *, size: Callable[[], tuple[int, int]] = terminal_size, more: str = "…") -> None:
        self.stream = stream
        self.is_live = stream.isatty()
        self._size = size
        self._more = more
        self._drawn: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        if self.is_live:
            self._write(HIDE_CURSOR)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_live:
            self._write(SHOW_CURSOR)

    @property
    def width(self) -> int:
        """Columns to draw in; 80 where there is no terminal."""
        return self._size()[0] if self.is_live else 80

    def show(self, text: str) -> None:
        """Draw this in place of what was shown before."""
        if not self.is_live:
            return
        lines = self._fitting(text.splitlines())
        if lines != self._drawn:
            self._write(self._frame((), lines))
            self._drawn = lines

    def say(self, text: str) -> None:
        """A line, or several, that stay."""
        if self.is_live:
            self._write(self._frame(tuple(text.splitlines()) or ("",), self._drawn))
        else:
            self._write(text + "\n")

    def _fitting(self, lines: list[str]) -> tuple[str, ...]:
        room = self._size()[1] - 1
        if len(lines) <= room:
            return tuple(lines)
        return (*lines[: room - 1], f"{self._more} {len(lines) - room + 1} more lines")

    def _frame(self, news: tuple[str, ...], lines: tuple[str, ...]) -> str:
        """Over the old frame: the news, then the new frame, then nothing."""
        up = f"\x1b[{len(self._drawn)}A" if self._drawn else ""
        said = "".join(f"{WRAP}{line}{CLEAR_LINE}\n" for line in news)
        drawn = "".join(f"{line}{CLEAR_LINE}\n" for line in lines)
        return f"{BEGIN_FRAME}{up}\r{said}{NO_WRAP}{drawn}{CLEAR_BELOW}{WRAP}{END_FRAME}"

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

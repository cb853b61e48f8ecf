"""Colours and characters of the terminal, and what to fall back to where it has neither."""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

RESET = "\x1b[0m"


class Ink(StrEnum):
    """SGR sequences; only colours that every theme defines, so that light and dark ones can be read."""

    PLAIN = ""
    BOLD = "\x1b[1m"
    DIM = "\x1b[2m"
    GREEN = "\x1b[32m"
    YELLOW = "\x1b[33m"
    RED = "\x1b[31m"
    BLUE = "\x1b[34m"
    CYAN = "\x1b[36m"
    BOLD_RED = "\x1b[1;31m"
    BOLD_GREEN = "\x1b[1;32m"

    def paint(self, text: str) -> str:
        """The text in this ink, spaces around it left alone."""
        bare = text.strip()
        if not self or not bare:
            return text
        start = text.index(bare)
        return f"{text[:start]}{self.value}{bare}{RESET}{text[start + len(bare) :]}"


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Every character beyond letters that a view draws with. `eighths`: a cell filled by 0/8 .. 8/8. `ramp`: heights,
    the lowest first. `is_fine`: there are characters of eight dots to draw a curve with.
    """

    branch: str
    last: str
    trunk: str
    eighths: str
    track: str
    serving: str
    active: str
    waiting: str
    failed: str
    resting: str
    arrow: str
    dot: str
    dash: str
    more: str
    ramp: str
    axis: str
    dashes: str
    is_fine: bool

    def bar(self, percent: int, width: int) -> tuple[str, str]:
        """A bar of `width` cells: its filled part and the track behind; any share above 0 is visible."""
        steps = len(self.eighths) - 1
        filled = round(percent / 100 * width * steps)
        if percent > 0:
            filled = max(filled, 1)
        whole, part = divmod(filled, steps)
        full = self.eighths[-1] * whole + (self.eighths[part] if part else "")
        return full, self.track * (width - len(full))


UNICODE = Glyphs(
    branch="├─ ",
    last="└─ ",
    trunk="│  ",
    eighths=" ▏▎▍▌▋▊▉█",
    track="░",
    serving="●",
    active="◐",
    waiting="‖",
    failed="✗",
    resting="○",
    arrow="→",
    dot=" · ",
    dash="–",
    more="…",
    ramp="▁▂▃▄▅▆▇█",
    axis="┤",
    dashes="╌",
    is_fine=True,
)
ASCII = Glyphs(
    branch="|- ",
    last="`- ",
    trunk="|  ",
    eighths=" #",
    track=".",
    serving="*",
    active=">",
    waiting="=",
    failed="x",
    resting="o",
    arrow=">",
    dot=", ",
    dash="-",
    more="...",
    ramp="_.-:=+*#",
    axis="|",
    dashes="-",
    is_fine=False,
)


def glyphs_for(stream: TextIO) -> Glyphs:
    """Unicode where the stream's encoding can carry it."""
    try:
        "".join((UNICODE.eighths, UNICODE.branch, UNICODE.failed)).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def has_colour(stream: TextIO) -> bool:
    """Colour only on a terminal that has it, and never against NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

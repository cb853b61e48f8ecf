"""Evidence over time in characters: a curve of several lines, or one line of heights. Both on a logarithmic scale.

Between two moments evidence stands: it changes with a poll and not before.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import log

from turnout.view.ink import Glyphs

Points = Sequence[tuple[float, float]]
"""(seconds, logarithm of evidence), in order of time."""
BOTTOM = log(0.1)
"""Less evidence than a tenth is drawn as a tenth."""
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Braille's dots by column, from above."""


def sampled(points: Points, columns: int) -> list[float]:
    """The value at the end of each column."""
    if not points:
        return []
    start, end = points[0][0], points[-1][0]
    times = [at for at, _ in points]
    moments = [start + (end - start) * (column + 1) / columns for column in range(columns)]
    return [points[max(0, bisect_right(times, at + 1e-6) - 1)][1] for at in moments]


def spark(points: Points, top: float, width: int, glyphs: Glyphs) -> str:
    """One line of heights between a tenth and `top`; nothing without points."""
    steps = len(glyphs.ramp) - 1
    parts = [_part(value, top) for value in sampled(points, width)]
    return "".join(glyphs.ramp[round(part * steps)] for part in parts)


def _part(value: float, top: float) -> float:
    return max(0.0, min(1.0, (value - BOTTOM) / (top - BOTTOM)))


def plot(points: Points, top: float, width: int, height: int, glyphs: Glyphs) -> list[str]:
    """Lines of `width` characters, the highest first; the first is where the evidence is a verdict."""
    across, down = (2, 4) if glyphs.is_fine else (1, 1)
    values = sampled(points, width * across)
    rows = [round((1 - _part(value, top)) * (height * down - 1)) for value in values]
    canvas = [[0] * width for _ in range(height)]
    before = rows[0] if rows else 0
    for column, row in enumerate(rows):
        low, high = sorted((before, row))
        for dot in range(low, high + 1):
            canvas[dot // down][column // across] |= DOTS[column % across][dot % down]
        before = row
    return ["".join(_cell(dots, glyphs) for dots in line) for line in canvas]


def _cell(dots: int, glyphs: Glyphs) -> str:
    if not dots:
        return " "
    return chr(0x2800 + dots) if glyphs.is_fine else "*"


def row_of(value: float, top: float, height: int) -> int:
    """The line on which a value lies."""
    return round((1 - _part(value, top)) * (height - 1))

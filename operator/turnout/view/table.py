"""Rows under heads, as kubectl draws them: columns as wide as their widest cell, three spaces between."""

from collections.abc import Sequence

GAP = "   "


def render_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines without trailing spaces; the last column is as long as it wants to be."""
    lines = [tuple(heads), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    drawn = (GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in drawn)

"""Evidence over time as inline SVG, on a logarithmic scale: a line for each bet, one for all together, and the goal.

Steps, not slopes: evidence changes with a poll and stands in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from math import exp, floor, log

from turnout.view.account import Moved, amount
from turnout.view.chart import LEFT, RIGHT, SERIES, WIDTH, Span
from turnout.view.curve import BOTTOM, Points

HEIGHT, TOP, AXIS, SHARES = 210, 26, 24, 18
BINS = 120
"""Height of the bars of answers."""


@dataclass(frozen=True, slots=True)
class Line:
    """One course. `kind`: its class, which is its colour."""

    name: str
    kind: str
    points: Points


@dataclass(frozen=True, slots=True)
class Scale:
    """From evidence to a place on the page; a little room above the goal."""

    goal: float

    @property
    def most(self) -> float:
        return self.goal * 1.25

    def y(self, value: float) -> float:
        part = (min(self.most, max(BOTTOM, value)) - BOTTOM) / (self.most - BOTTOM)
        return round(TOP + HEIGHT * (1 - part), 1)

    @property
    def ticks(self) -> Iterator[float]:
        """Powers of ten below the goal, as logarithms."""
        return (power * log(10) for power in range(-1, floor(self.most / log(10)) + 1))


def kind_of(index: int) -> str:
    """The colour of the bet of that index."""
    return f"s{index + 1}" if index < SERIES else "s0"


def draw_evidence(
    lines: Sequence[Line], goal: float, began: datetime, shares: Sequence[tuple[float, int]], *, words: str, proof: bool
) -> str:
    """The whole as one `<svg>`. `words` stand at the goal, `proof`: it is a good one. `shares`: (seconds, percent)."""
    end = max((line.points[-1][0] for line in lines if line.points), default=0.0)
    span, scale = Span(0.0, max(1.0, end)), Scale(goal)
    mood = " proof" if proof else ""
    y = scale.y(goal)
    bottom = TOP + HEIGHT
    body = "\n".join(
        (
            *_grid(scale),
            *_shares(shares, span, bottom),
            f'<line class="goal{mood}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>',
            f'<text class="mark{mood}" x="{LEFT + 6}" y="{y - 6}">{amount(goal)}: {escape(words)}</text>',
            *(_line(line, span, scale) for line in lines if line.points),
            *_times(span, began, bottom + SHARES),
        )
    )
    last = "; ".join(f"{line.name} {amount(line.points[-1][1])}" for line in lines if line.points)
    label = escape(f"Evidence over time; {amount(goal)} is a verdict. At the end: {last}")
    return f'<svg viewBox="0 0 {WIDTH} {bottom + SHARES + AXIS}" role="img" aria-label="{label}">\n{body}\n</svg>'


def _grid(scale: Scale) -> Iterator[str]:
    for value in scale.ticks:
        y = scale.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="tick y" x="{LEFT - 8}" y="{y + 4}">{exp(value):.3g}</text>'


def _line(line: Line, span: Span, scale: Scale) -> str:
    (first, value), *rest = line.points
    path = [f"M{span.x(first)} {scale.y(value)}", *(f"H{span.x(at)}V{scale.y(value)}" for at, value in rest)]
    title = f"{line.name}: {amount(line.points[-1][1])} at the end"
    return f'<path class="curve {line.kind}" d="{"".join(path)}"><title>{escape(title)}</title></path>'


def _shares(shares: Sequence[tuple[float, int]], span: Span, y: float) -> Iterator[str]:
    """Where the candidate's share changed; labels that would overlap are left out."""
    before, free = -1, 0.0
    for at, percent in shares:
        x = span.x(at)
        if percent != before and x >= free:
            yield f'<line class="share" x1="{x}" x2="{x}" y1="{TOP}" y2="{y + SHARES}"/>'
            yield f'<text class="tick" x="{x + 4}" y="{y + 14}">{percent} % of the traffic</text>'
            free = x + 110
        before = percent


def _times(span: Span, began: datetime, y: float) -> Iterator[str]:
    for at in span.ticks:
        moment = began + timedelta(seconds=at)
        yield f'<text class="tick x" x="{span.x(at)}" y="{y + 15:g}">{moment:%H:%M:%S}</text>'


def draw_answers(moved: Moved) -> str:
    """Both sides' shares by bin, in pairs."""
    sides = [[count / max(1, sum(side)) for count in side] for side in (moved.canary, moved.stable)]
    most = max(max(side, default=0.0) for side in sides) or 1.0
    bins = max(len(moved.canary), 1)
    step = (WIDTH - LEFT - RIGHT) / bins
    body = [f'<text class="title" x="{LEFT}" y="14">share of the answers in each bin</text>']
    for part in (0.0, 0.5, 1.0):
        y = round(TOP + BINS * (1 - part), 1)
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        body.append(f'<text class="tick y" x="{LEFT - 8}" y="{y + 4}">{most * part:.0%}</text>')
    for at in range(bins):
        for kind, offset, side in (("s1", 0.1, sides[0]), ("s0", 0.5, sides[1])):
            tall = round(BINS * side[at] / most, 1)
            x, width = round(LEFT + (at + offset) * step, 1), round(step * 0.38, 1)
            body.append(
                f'<rect class="{kind}" x="{x}" y="{TOP + BINS - tall}" width="{width}" height="{tall}">'
                f"<title>bin {at}: {side[at]:.1%}</title></rect>"
            )
        body.append(f'<text class="tick x" x="{LEFT + (at + 0.5) * step:.1f}" y="{TOP + BINS + 17}">{at}</text>')
    drawn = "\n".join(body)
    return f'<svg viewBox="0 0 {WIDTH} {TOP + BINS + AXIS}" role="img" aria-label="Answers by bin">\n{drawn}\n</svg>'

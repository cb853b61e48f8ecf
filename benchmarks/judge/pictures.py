"""Two pictures as SVG: how rules trade false rollbacks for time, and what evidence looks like as it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import exp, log10, sqrt

import numpy as np

from benchmarks.judge.traffic import POLL_SECONDS, Cell, simulate
from benchmarks.judge.twin import combined, wealth
from benchmarks.report import Row
from turnout.api.analysis import Assumption

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 380, 70, 50
STYLE = """<style>text{font:13px sans-serif;fill:#444}.a{stroke:#999;fill:none}.o{fill:#888}.u{fill:#c2410c}
.g{stroke:#2563eb;fill:none;opacity:.8}.b{stroke:#c2410c;fill:none;opacity:.8}.t{stroke:#444;stroke-dasharray:5 4}
@media(prefers-color-scheme:dark){text{fill:#ccc}.t{stroke:#ccc}.g{stroke:#60a5fa}.b{stroke:#fb923c}.u{fill:#fb923c}}</style>"""
OURS = ("independent", "clustered (default)", "pod bursts")
SECONDS = 660
LEVELS = {-2: "0.01", -1: "0.1", 0: "1", 1: "10", 2: "100"}


def svg(title: str, body: Sequence[str]) -> str:
    frame = f'<path class="a" d="M{LEFT} 20V{HEIGHT - BOTTOM}H{WIDTH - 20}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", STYLE, frame, *body, "</svg>"]) + "\n"


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def trade(rows: Sequence[Row]) -> str:
    """Worst false-rollback rate over the nulls, beside the median time to find a sixfold error rate at 20 rps."""
    key = next(iter(rows[0]))
    nulls = [row for row in rows if str(row[key]).startswith("null")]
    sixfold = next(row for row in rows if row[key] == "0.5 to 3 %")
    rules = [name for name in rows[0] if name not in {key, "oracle"}]
    body, heights = [*_trade_axes()], list[tuple[float, float]]()
    for rule in rules:
        worst = max(float(str(row[rule]).split(" / ")[0]) for row in nulls)
        share, _, median = str(sixfold[rule]).partition(" / ")
        y = _down(float(median)) if median else _down(SECONDS)
        x = _along(worst)
        kind = "u" if rule in OURS else "o"
        words = rule if median else f"{rule} (finds {share} %)"
        left = x > WIDTH * 0.7
        body.append(f'<circle class="{kind}" cx="{x:.0f}" cy="{y:.0f}" r="5"/>')
        height = _free(x, y + 4, heights)
        heights.append((x, height))
        body.append(text(x - 9 if left else x + 9, height, words, "end" if left else "start"))
    return svg("False rollbacks and time to find, by rule", body)


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> float:
    """A height for words beside a point, above or below where others stand there already."""
    heights = (y, y - 15, y + 15, y + 30)
    return next((each for each in heights if all(abs(x - at) > 170 or abs(each - up) >= 14 for at, up in taken)), y)


def _along(percent: float) -> float:
    return LEFT + 12 + (WIDTH - LEFT - 50) * sqrt(percent / 100)


def _down(seconds: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 30) * seconds / SECONDS


def _trade_axes() -> list[str]:
    marks = [text(_along(each), HEIGHT - BOTTOM + 18, f"{each} %", "middle") for each in (0, 1, 5, 20, 50, 100)]
    marks += [text(LEFT - 8, _down(each) + 4, f"{each} s", "end") for each in (0, 150, 300, 450, 600)]
    one = _along(1)
    marks.append(f'<path class="t" d="M{one:.0f} 20V{HEIGHT - BOTTOM}"/>')
    marks.append(
        text(WIDTH - 20, HEIGHT - 10, "false rollbacks of an equal candidate, worst of five kinds of traffic", "end")
    )
    return marks


def growth() -> str:
    """The evidence of harm in eight attempts of an equal candidate and eight of one that fails six times as often."""
    body = []
    for kind, ratio in (("g", 1.0), ("b", 6.0)):
        logs = combined(wealth(simulate(Cell(20, 0.1, 0.005, ratio=ratio), 8, seed=12), Assumption.CLUSTERED_ERRORS))
        for run in logs:
            found = int(np.argmax(run >= np.log(100))) if (run >= np.log(100)).any() else len(run) - 1
            points = [_point(poll + 1, float(value)) for poll, value in enumerate(run[: found + 1])]
            body.append(f'<polyline class="{kind}" points="{_point(0, 0.0)} {" ".join(points)}"/>')
    level = _point(0, float(np.log(100))).split(",")[1]
    body.append(f'<path class="t" d="M{LEFT} {level}H{WIDTH - 20}"/>')
    body += [_named(power, words) for power, words in LEVELS.items()]
    for seconds in range(0, 601, 120):
        x = float(_point(seconds / POLL_SECONDS, 0.0).split(",")[0])
        body.append(text(x, HEIGHT - BOTTOM + 18, f"{seconds} s", "middle"))
    return svg("Evidence of harm over ten minutes", body)


def _named(power: int, words: str) -> str:
    x, y = (float(each) for each in _point(0, power * float(np.log(10))).split(","))
    return text(x - 6, y + 4, words, "end")


def _point(poll: float, value: float) -> str:
    low, high = -2.4, 2.4
    tens = min(high, max(low, log10(exp(value))))
    x = LEFT + (WIDTH - LEFT - 30) * poll * POLL_SECONDS / 600
    y = 20 + (HEIGHT - BOTTOM - 20) * (high - tens) / (high - low)
    return f"{x:.0f},{y:.0f}"


def all_of(tables: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """File names and contents."""
    beside = next(rows for title, rows in tables.items() if title.startswith("Beside others, 1 pod"))
    return {"judge-trade.svg": trade(beside), "judge-evidence.svg": growth()}

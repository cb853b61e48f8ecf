"""One model's story as inline SVG: shares stacked over time, answers and errors per second below.

Colours are classes, which the page's style sheet fills in for light, dark and print.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from turnout.view.story import Mark, MarkKind, ModelStory, Sample

WIDTH, LEFT, RIGHT = 940, 58, 14
PIN_ROW, SHARES, RATES, ERRORS, GAP, AXIS = 22, 150, 84, 44, 30, 24
SERIES = 6  # colours that can be told apart; later versions share a grey
SIGNS = {
    MarkKind.DEPLOYED: "new",
    MarkKind.STEPPED: "step",
    MarkKind.PROMOTED: "good",
    MarkKind.CRASHED: "bad",
    MarkKind.ROLLED_BACK: "bad",
    MarkKind.JUDGED: "bad",
    MarkKind.FAILED: "bad",
    MarkKind.SLEPT: "rest",
    MarkKind.WOKE: "new",
}


def series_class(model: ModelStory, version: int) -> str:
    """A version keeps its colour everywhere on the page."""
    index = model.versions.index(version)
    return f"s{index + 1}" if index < SERIES else "s0"


def nice_ceiling(value: float) -> float:
    """The least of 1, 2, 5, 10, 20 ... that is not below `value`."""
    if value <= 1:
        return 1
    unit = float(10 ** floor(log10(value)))
    return next(unit * step for step in (1, 2, 5, 10) if unit * step >= value)


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of time that a chart shows, in seconds, and how it lies on the page."""

    start: float
    end: float

    def x(self, at: float) -> float:
        part = (at - self.start) / (self.end - self.start)
        return round(LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT), 1)

    @property
    def bin(self) -> float:
        """Seconds over which counts become rates: 1 s, and finer close up."""
        return 1.0 if self.end - self.start > 20 else 0.25

    @property
    def bins(self) -> tuple[float, ...]:
        """Where each bin begins."""
        return tuple(self.start + n * self.bin for n in range(ceil((self.end - self.start) / self.bin)))

    @property
    def ticks(self) -> tuple[float, ...]:
        step = max(nice_ceiling((self.end - self.start) / 10), 0.5 if self.end - self.start < 8 else 1)
        first = ceil(self.start / step)
        return tuple(n * step for n in range(first, floor(self.end / step) + 1))


@dataclass(frozen=True, slots=True)
class Panel:
    """A strip with a y axis from 0 to `top`. Lengths in user units, y downwards."""

    y: float
    height: float
    top: float

    def at(self, value: float) -> float:
        return round(self.y + self.height * (1 - min(value, self.top) / self.top), 1)


@dataclass(frozen=True, slots=True)
class Pin:
    """A mark with its number and its place; pins that would overlap stand in another row."""

    number: int
    mark: Mark
    x: float
    row: int


def draw(model: ModelStory, start: float, end: float, *, name: str) -> str:
    """The whole chart as one `<svg>`. `name` is an id for the hover script."""
    span = Span(start, end)
    pins = _place(model.marks, span)
    rows = max((pin.row for pin in pins), default=0) + 1
    shares = Panel(rows * PIN_ROW + GAP, SHARES, 100)
    rates = Panel(shares.y + SHARES + GAP, RATES, _greatest_rate(model, span))
    errors = Panel(rates.y + RATES + GAP, ERRORS, _greatest_error_rate(model, span))
    height = errors.y + ERRORS + AXIS
    body = "\n".join(
        (
            *_grid(shares, "share of the traffic", " %"),
            *_shares(model, span, shares),
            *_veil(model, span, shares),
            *_grid(rates, "answers per second", ""),
            *_rates(model, span, rates),
            *_grid(errors, "errors per second, as counted", ""),
            *_errors(model, span, errors),
            *_time_axis(span, errors.y + ERRORS),
            *_pins(pins, shares.y, errors.y + ERRORS),
            f'<line class="cross" y1="{shares.y}" y2="{errors.y + ERRORS}" visibility="hidden"/>',
        )
    )
    data = f'data-start="{start:g}" data-end="{end:g}" data-left="{LEFT}" data-right="{RIGHT}"'
    return (
        f'<svg id="{name}" viewBox="0 0 {WIDTH} {height:g}" role="img" {data} '
        f'aria-label="{escape(_label(model))}">\n{body}\n</svg>'
    )


def _label(model: ModelStory) -> str:
    happened = "; ".join(f"{mark.at:.0f} s: {_words(mark)}" for mark in model.marks)
    return f"Share of the traffic of each version of {model.model} over time. {happened}"


def _words(mark: Mark) -> str:
    return f"version {mark.version} {mark.text}"


def _place(marks: tuple[Mark, ...], span: Span) -> tuple[Pin, ...]:
    """Number the marks as the table below does, and keep neighbours apart."""
    pins: list[Pin] = []
    for number, mark in enumerate(marks, start=1):
        if span.start <= mark.at <= span.end:
            x = span.x(mark.at)
            taken = {pin.row for pin in pins if x - pin.x < PIN_ROW}
            pins.append(Pin(number, mark, x, min(set(range(len(taken) + 1)) - taken)))
    return tuple(pins)


def _pins(pins: tuple[Pin, ...], top: float, bottom: float) -> Iterator[str]:
    """Each pin with a hair line through every panel and the sentence as its tooltip."""
    rows = max((pin.row for pin in pins), default=0)
    for pin in pins:
        kind, y = SIGNS[pin.mark.kind], (rows - pin.row) * PIN_ROW + 12
        yield f'<line class="hair {kind}" x1="{pin.x}" x2="{pin.x}" y1="{y + 9}" y2="{bottom:g}"/>'
    for pin in pins:
        kind, y = SIGNS[pin.mark.kind], (rows - pin.row) * PIN_ROW + 12
        yield (
            f'<g class="pin {kind}"><title>{pin.mark.at:.2f} s · {escape(_words(pin.mark))}</title>'
            f'<circle cx="{pin.x}" cy="{y}" r="9"/><text x="{pin.x}" y="{y + 3.5}">{pin.number}</text></g>'
        )


def _grid(panel: Panel, title: str, unit: str) -> Iterator[str]:
    yield f'<text class="title" x="{LEFT}" y="{panel.y - 8:g}">{title}</text>'
    for part in (0, 0.5, 1) if panel.height > 60 else (0, 1):
        y, value = panel.at(panel.top * part), panel.top * part
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="tick y" x="{LEFT - 8}" y="{y + 4}">{value:g}{unit}</text>'


def _time_axis(span: Span, y: float) -> Iterator[str]:
    for at in span.ticks:
        yield f'<text class="tick x" x="{span.x(at)}" y="{y + 17:g}">{at:g} s</text>'


def _changes(model: ModelStory, span: Span) -> list[Sample]:
    """The samples at which a share changes, with one at each end of the span."""
    inside = [sample for sample in model.samples if span.start < sample.at < span.end]
    kept = [model.sample_at(span.start)]
    for sample in inside:
        if dict(sample.shares) != dict(kept[-1].shares):
            kept.append(sample)
    return kept


def _shares(model: ModelStory, span: Span, panel: Panel) -> Iterator[str]:
    """Steps, not slopes: a share changes at once."""
    samples = _changes(model, span)
    edges = [*(span.x(max(sample.at, span.start)) for sample in samples), span.x(span.end)]
    base = [0] * len(samples)
    naps = list(_naps(model, span))
    for version in model.versions:
        tops = [low + sample.shares.get(version, 0) for low, sample in zip(base, samples, strict=True)]
        if tops != base:
            outline = _steps(edges, [panel.at(top) for top in tops], [panel.at(low) for low in base])
            yield f'<path class="area {series_class(model, version)}" d="{outline}"/>'
        label = _roomiest(edges, base, tops)
        if label and not any(left < label[0] < right for left, right in naps):
            x, y = label[0], panel.at(label[1]) + 4
            yield f'<text class="inside" x="{x:.1f}" y="{y:.1f}">version {version}</text>'
        base = tops


def _naps(model: ModelStory, span: Span) -> Iterator[tuple[float, float]]:
    """From where to where no process of the model ran."""
    bounds = [mark for mark in model.marks if mark.kind in (MarkKind.SLEPT, MarkKind.WOKE)]
    ends = [*(mark.at for mark in bounds[1:]), span.end]
    for mark, end in zip(bounds, ends, strict=False):
        if mark.kind is MarkKind.SLEPT:
            yield span.x(mark.at), span.x(end)


def _veil(model: ModelStory, span: Span, panel: Panel) -> Iterator[str]:
    """Over the time in which a share of the traffic is a share of nothing."""
    for left, right in _naps(model, span):
        width = round(right - left, 1)
        if width:
            yield f'<rect class="nap" x="{left}" y="{panel.y}" width="{width}" height="{panel.height}"/>'
            if width > 120:
                x, y = left + width / 2, panel.y + panel.height / 2 + 4
                yield f'<text class="napping" x="{x:.1f}" y="{y:g}">asleep, no process</text>'


def _steps(edges: list[float], tops: list[float], lows: list[float]) -> str:
    """The outline of every stretch in which the layer has a height."""
    parts: list[tuple[float, float, float, float]] = []
    for left, right, top, low in zip(edges, edges[1:], tops, lows, strict=False):
        if parts and parts[-1][1:] == (left, top, low):
            parts[-1] = (parts[-1][0], right, top, low)
        elif top != low:
            parts.append((left, right, top, low))
    return "".join(f"M{left} {low}V{top}H{right}V{low}Z" for left, right, top, low in parts)


def _roomiest(edges: list[float], lows: list[int], tops: list[int]) -> tuple[float, float] | None:
    """The middle of the layer's largest rectangle, if a label has room there."""
    spaces = [
        (right - left, (left + right) / 2, (low + top) / 2)
        for left, right, low, top in zip(edges, edges[1:], lows, tops, strict=False)
        if top - low >= 20 and right - left >= 62
    ]
    return max(spaces)[1:] if spaces else None


def _greatest_rate(model: ModelStory, span: Span) -> float:
    totals = (model.rate(lambda sample: sum(sample.requests.values()), at, at + span.bin) for at in span.bins)
    return nice_ceiling(max(totals, default=1))


def _greatest_error_rate(model: ModelStory, span: Span) -> float:
    totals = (
        model.rate(lambda sample: sum(sample.errors.values()) + sample.failed, at, at + span.bin) for at in span.bins
    )
    return nice_ceiling(max(totals, default=1))


def _columns(model: ModelStory, span: Span, version: int) -> Iterator[tuple[float, float, float]]:
    """Answers per second of one version: (left, right, rate) of every bin."""
    for at in span.bins:
        rate = model.rate(lambda sample: sample.requests.get(version, 0), at, at + span.bin)
        yield span.x(at), span.x(at + span.bin), rate


def _rates(model: ModelStory, span: Span, panel: Panel) -> Iterator[str]:
    base = [0.0] * len(span.bins)
    for version in model.versions:
        columns = tuple(_columns(model, span, version))
        tops = [low + rate for low, (_, _, rate) in zip(base, columns, strict=True)]
        if tops != base:
            edges = [columns[0][0], *(right for _, right, _ in columns)]
            outline = _steps(edges, [panel.at(top) for top in tops], [panel.at(low) for low in base])
            yield f'<path class="rate {series_class(model, version)}" d="{outline}"/>'
        base = tops


def _errors(model: ModelStory, span: Span, panel: Panel) -> Iterator[str]:
    """Errors that were repeated elsewhere in a mild colour, those that reached a caller in red above them."""
    any_error = False
    for at in span.bins:
        bars = (
            ("repeated", model.rate(lambda sample: sum(sample.errors.values()), at, at + span.bin)),
            ("failed", model.rate(lambda sample: sample.failed, at, at + span.bin)),
        )
        base = 0.0
        for kind, rate in bars:
            if rate:
                any_error = True
                x, y = span.x(at), panel.at(base + rate)
                width = max(2, span.x(at + span.bin) - x - 1)
                tall, words = panel.at(base) - y, f"{at:g} s · {rate:g} per second {kind}"
                yield (
                    f'<rect class="{kind}" x="{x}" y="{y}" width="{width:.1f}" height="{tall:.1f}">'
                    f"<title>{words}</title></rect>"
                )
                base += rate
    if not any_error:
        yield f'<text class="none" x="{LEFT + 10}" y="{panel.y + panel.height / 2 + 4:g}">none</text>'

"""A forecast as text: which way a version goes, its stages as a table, what it says beyond that."""

from collections.abc import Iterator
from datetime import timedelta

from turnout.api.scalars import Duration
from turnout.rollout.forecast import Forecast
from turnout.view.ink import Glyphs
from turnout.view.table import render_table

HEADS = ("STEP", "FROM", "SHARE", "PODS", "STABLE", "WHAT")


def render_forecast(forecast: Forecast, glyphs: Glyphs) -> str:
    """One version; lines as long as they need to be."""
    version = forecast.version
    lines = [f"{version.name}, version {version.version} of {version.model}, {forecast.way}"]
    lines += [f"  {glyphs.failed} {refusal}" for refusal in forecast.refusals]
    if forecast.stages:
        lines += ["", *(f"  {line}" for line in _table(forecast, glyphs).splitlines()), ""]
        lines += [f"  {_end(forecast)}"]
    lines += [f"  {glyphs.waiting} {note}" for note in forecast.notes]
    return "\n".join(lines)


def _table(forecast: Forecast, glyphs: Glyphs) -> str:
    return render_table(HEADS, list(_rows(forecast, glyphs)))


def _rows(forecast: Forecast, glyphs: Glyphs) -> Iterator[tuple[str, ...]]:
    """Times are the earliest: what can be known beforehand."""
    start = timedelta()
    for stage in forecast.stages:
        share, stable = f"{stage.percent} %", str(stage.stable_pods or glyphs.dash)
        yield stage.label or glyphs.dash, f"+{_length(start)}", share, str(stage.pods), stable, stage.what
        start += stage.shortest


def _end(forecast: Forecast) -> str:
    shortest, longest = forecast.shortest, forecast.longest
    ends = (
        f"ends after {_length(shortest)}" if longest == shortest else f"ends after {_length(shortest)} at the earliest"
    )
    if longest is None:
        ends += ", and not before somebody or something lets it go on"
    elif longest != shortest:
        ends += f", {_length(longest)} at the latest unless it is Held"
    return f"{ends}; the time that pods and warmup take comes on top"


def _length(length: timedelta) -> str:
    return Duration.of(timedelta(seconds=round(length.total_seconds())))

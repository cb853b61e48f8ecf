"""What a preflight finds: one line of fact for each thing that is needed, and below what is wrong the way out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from turnout.view.ink import Glyphs, Ink


class Level(StrEnum):
    """Fine; works, but; wrong; could not be looked at."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `way_out`: what to do, where something is to be done."""

    level: Level
    what: str
    fact: str
    way_out: str = ""


INKS = {Level.FINE: Ink.GREEN, Level.NOTE: Ink.YELLOW, Level.WRONG: Ink.RED, Level.UNKNOWN: Ink.YELLOW}


def render_findings(findings: Iterable[Finding], glyphs: Glyphs, *, colour: bool = False) -> str:
    return "\n".join(line for finding in findings for line in _lines(finding, glyphs, colour))


def _lines(finding: Finding, glyphs: Glyphs, colour: bool) -> Iterator[str]:
    signs = {
        Level.FINE: glyphs.serving,
        Level.NOTE: glyphs.waiting,
        Level.WRONG: glyphs.failed,
        Level.UNKNOWN: "?",
    }
    sign = signs[finding.level]
    yield f"{INKS[finding.level].paint(sign) if colour else sign} {finding.what}: {finding.fact}"
    if finding.way_out:
        yield f"    {finding.way_out}"

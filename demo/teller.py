"""Tells the story on a terminal: chapters and marks as lines that stay, the tree below them.

Lines are broken between words, at the terminal's width or at 100 columns; a log keeps them whole.
"""

import textwrap
from pathlib import Path

from turnout.view.ink import Ink, glyphs_for, has_colour
from turnout.view.live import Screen
from turnout.view.story import Mark, MarkKind
from turnout.view.text import render_text
from turnout.view.tree import Tree

WIDEST = 100
INKS = {
    MarkKind.PROMOTED: Ink.GREEN,
    MarkKind.CRASHED: Ink.RED,
    MarkKind.ROLLED_BACK: Ink.RED,
    MarkKind.JUDGED: Ink.RED,
    MarkKind.FAILED: Ink.RED,
    MarkKind.SLEPT: Ink.DIM,
}


class Teller:
    """Lines and trees onto a screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._colour = has_colour(screen.stream)
        self._glyphs = glyphs_for(screen.stream)

    @property
    def width(self) -> int:
        return min(self._screen.width, WIDEST)

    def chapter(self, text: str) -> None:
        self._screen.say("\n" + "\n".join(self._ink(Ink.BOLD, line) for line in self._lines(text)))

    def mark(self, model: str, mark: Mark) -> None:
        lines = self._lines(f"{mark.at:7.2f} s  {model} v{mark.version}  {mark.text}", indent=11)
        self._screen.say("\n".join(self._ink(INKS.get(mark.kind, Ink.PLAIN), line) for line in lines))

    def tree(self, tree: Tree) -> None:
        if self._screen.is_live:
            text = render_text(tree, width=self.width, colour=self._colour, glyphs=self._glyphs)
            self._screen.show(f"\n{text}")

    def _lines(self, text: str, indent: int = 0) -> list[str]:
        return wrapped(text, self.width, indent) if self._screen.is_live else [text]

    def _ink(self, ink: Ink, text: str) -> str:
        return ink.paint(text) if self._colour else text


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Lines of whole words, the later ones indented; a word that is longer than a line, such as a path, stays whole."""
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def shown(path: Path) -> Path:
    """As short as it can be written from here."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path

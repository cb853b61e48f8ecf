"""Tells the story on a terminal: chapters and marks as lines that stay, the tree below them."""

from pathlib import Path

from turnout.view.ink import Ink, glyphs_for, has_colour
from turnout.view.live import Screen
from turnout.view.story import Mark, MarkKind
from turnout.view.text import render_text
from turnout.view.tree import Tree

INKS = {
    MarkKind.PROMOTED: Ink.GREEN,
    MarkKind.CRASHED: Ink.RED,
    MarkKind.ROLLED_BACK: Ink.RED,
    MarkKind.FAILED: Ink.RED,
    MarkKind.SLEPT: Ink.DIM,
}


class Teller:
    """Lines and trees onto a screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._colour = has_colour(screen.stream)
        self._glyphs = glyphs_for(screen.stream)

    def chapter(self, text: str) -> None:
        self._screen.say(f"\n{self._ink(Ink.BOLD, text)}")

    def mark(self, model: str, mark: Mark) -> None:
        line = f"{mark.at:7.2f} s  {model} v{mark.version}  {mark.text}"
        self._screen.say(self._ink(INKS.get(mark.kind, Ink.PLAIN), line))

    def tree(self, tree: Tree) -> None:
        if self._screen.is_live:
            text = render_text(tree, width=min(self._screen.width, 100), colour=self._colour, glyphs=self._glyphs)
            self._screen.show(f"\n{text}")

    def _ink(self, ink: Ink, text: str) -> str:
        return ink.paint(text) if self._colour else text


def shown(path: Path) -> Path:
    """As short as it can be written from here."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path

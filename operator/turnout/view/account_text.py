"""What the judge knows, on a terminal: a sentence, a table of bets, the evidence over time, what is still to prove.

Pure: the same account, width and glyphs give the same characters.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import exp, log

from turnout.api.moments import moment
from turnout.api.scalars import Duration
from turnout.judge.words import percent, spaced
from turnout.view.account import (
    Account,
    Asked,
    Bet,
    Count,
    Moved,
    Nearness,
    amount,
    bound_words,
    portion,
    published_words,
)
from turnout.view.curve import Points, plot, row_of, spark
from turnout.view.ink import UNICODE, Glyphs, Ink
from turnout.view.text import state_ink, state_sign

MIN_WIDTH = 64
HEIGHT = 7
LABEL = 7
"""Characters left of a curve."""
BAR = 16
HEADS = ("", "CANARY", "STABLE")
NARROW = 80
"""Below, names and bars are shorter."""


def render_account(
    account: Account, *, width: int = 80, colour: bool = False, glyphs: Glyphs = UNICODE, source: str = ""
) -> str:
    """The whole account, at most `width` characters wide from 64 on, lines without trailing spaces."""
    pen = _Pen(account, max(width, MIN_WIDTH), colour, glyphs)
    blocks = [pen.head(), pen.table(), pen.course(), pen.answers(), pen.wanting(), pen.foot(source)]
    return "\n\n".join("\n".join(line.rstrip() for line in block) for block in map(list, blocks) if block)


@dataclass(frozen=True, slots=True)
class _Pen:
    account: Account
    width: int
    colour: bool
    glyphs: Glyphs

    def ink(self, ink: Ink, text: str) -> str:
        return ink.paint(text) if self.colour else text

    def wrapped(self, text: str, ink: Ink = Ink.PLAIN) -> list[str]:
        return [self.ink(ink, line) for line in textwrap.wrap(text, self.width)]

    def head(self) -> Iterator[str]:
        account = self.account
        title = account.name if account.namespace in ("", "default") else f"{account.namespace}/{account.name}"
        standing = f"{state_sign(account.state, self.glyphs)} {account.state}"
        share = f"{self.glyphs.dot}{account.weight} %" if account.runs else ""
        attempt = f", attempt {account.attempt}" if account.attempt > 1 else ""
        what = f"version {account.version}{attempt}"
        yield f"{self.ink(Ink.BOLD, title)}  {what}  {self.ink(state_ink(account.state), standing)}{share}"
        is_worse = account.harm >= account.threshold
        yield from self.wrapped(account.sentence, Ink.BOLD_RED if is_worse else Ink.PLAIN)
        for note in account.notes:
            yield from self.wrapped(note, Ink.YELLOW)

    def table(self) -> list[str]:
        """A line for each bet: both sides, and its evidence with how it came about."""
        if not self.account.rows:
            return []
        rows = [
            (bet.name if self.width < NARROW else bet.bad, _side(bet.canary), _side(bet.stable))
            for bet in self.account.rows
        ]
        lines = [HEADS, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        drawn = ["  ".join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)) for line in lines]
        room = self.width - len(drawn[0]) - 2 - 8
        head = self.ink(Ink.DIM, f"{drawn[0]}  {'EVIDENCE OF HARM' if room >= 9 else '   HARM'}")
        return [
            head,
            *(f"{line}  {self._evidence(bet, room)}" for line, bet in zip(drawn[1:], self.account.rows, strict=True)),
        ]

    def _evidence(self, bet: Bet, room: int) -> str:
        course = [(float(moment.at), moment.metrics.get(bet.name, 0.0)) for moment in self.account.moments]
        line = (
            spark(course, self.account.threshold, max(0, min(24, room)), self.glyphs)
            if room >= 6 and len(course) > 1
            else ""
        )
        ink = Ink.RED if bet.evidence >= log(10) else Ink.DIM
        return f"{amount(bet.evidence):>7} {self.ink(ink, line)}"

    def course(self) -> list[str]:
        """All metrics together over time; the first line is where it is a verdict."""
        account = self.account
        points = [(float(moment.at), moment.harm) for moment in account.moments]
        if len(points) < 2:
            return []
        title = f"evidence of harm over time, all together; {amount(account.threshold)} is a rollback"
        return [self.ink(Ink.DIM, title), *self._curve(points), *self._times(points)]

    def _curve(self, points: Points) -> Iterator[str]:
        top, room = self.account.threshold, self.width - LABEL - 1
        ticks = {row_of(log(value), top, HEIGHT): f"{value:g}" for value in (0.1, 1, 10)}
        ticks[0] = f"{exp(top):.0f}"
        ink = Ink.RED if self.account.harm >= top else Ink.BLUE
        for row, line in enumerate(plot(points, top, room, HEIGHT, self.glyphs)):
            label = f"{ticks.get(row, ''):>{LABEL - 1}} {self.glyphs.axis if row in ticks else self.glyphs.trunk[0]}"
            drawn = line if row else "".join(self.glyphs.dashes if cell == " " else cell for cell in line)
            yield self.ink(Ink.DIM, label) + self.ink(ink, drawn)

    def _times(self, points: Points) -> Iterator[str]:
        """When it began and ended, and between them where the share changed."""
        began, room = self.account.began, self.width - LABEL - 1
        start, end = points[0][0], points[-1][0]
        shares = [" "] * room
        before = -1
        for mark in self.account.moments:
            at = round((mark.at - start) / max(1.0, end - start) * (room - 1))
            text = f"{mark.weight} %"
            if mark.weight != before and at + len(text) <= room and not "".join(shares[at : at + 6]).strip():
                shares[at : at + len(text)] = text
            before = mark.weight
        margin = " " * (LABEL + 1)
        yield self.ink(Ink.DIM, margin + "".join(shares))
        if began:
            first, last = (moment(began + timedelta(seconds=at), self.account.polled_at) for at in (start, end))
            yield self.ink(Ink.DIM, f"{margin}{first}{last:>{room - len(first)}}")

    def answers(self) -> list[str]:
        """How both sides' answers spread over the bins."""
        moved, published = self.account.moved, self.account.published
        lines = self.wrapped(published_words(published)) if published else []
        if moved is None:
            return lines
        if not sum(moved.canary) or not sum(moved.stable):
            missing = (
                "answers: none can be compared yet; both versions must be published with reference= and the same bins"
            )
            return [*self.wrapped(missing), *lines]
        return [*self.wrapped(_moved_words(moved)), *self._bins(moved), *lines]

    def _bins(self, moved: Moved) -> Iterator[str]:
        most = max(max(_shares(side)) for side in (moved.canary, moved.stable))
        for name, side in (("canary", moved.canary), ("stable", moved.stable)):
            heights = [round(part / most * (len(self.glyphs.ramp) - 1)) for part in _shares(side)]
            yield f"  {name}  {''.join(self.glyphs.ramp[height] * 2 for height in heights)}  of {spaced(sum(side))}"

    def wanting(self) -> list[str]:
        """How far it is from each verdict."""
        account = self.account
        ways = [("harm", portion(account.harm, account.threshold), _of(account.harm, account.threshold))]
        if account.runs:
            ways += [_proof(bet, log(1 / account.beta)) for bet in account.bets if bet.proof is not None]
            ways += [_nearness(each) for each in account.near]
        size = max(len(name) for name, _, _ in ways)
        lines = [self._way(name.ljust(size), part, words) for name, part, words in ways]
        lines += [bound_words(metric) for metric in account.custom]
        return [*lines, *(self._step(account.asked) if account.asked else ())]

    def _way(self, name: str, part: int, words: str) -> str:
        full, track = self.glyphs.bar(part, BAR if self.width >= NARROW else 2)
        return f"{name}  {full}{self.ink(Ink.DIM, track)}  {words}"

    def _step(self, asked: Asked) -> list[str]:
        ran, least, day = Duration.of(asked.ran), Duration.of(asked.shortest), self.account.polled_at
        ends = [
            f"passes at about {moment(asked.expected_at, day)} if it goes on like this" if asked.expected_at else "",
            f"judged until {moment(asked.deadline, day)} at the latest" if asked.deadline else "",
        ]
        facts = (
            f"step {asked.display}: {spaced(asked.requests)} of at least {spaced(asked.needed)} requests",
            f"{ran} of at least {least}",
            *filter(None, ends),
        )
        return self.wrapped("; ".join(facts))

    def foot(self, source: str) -> list[str]:
        finds = f"{self.account.finds[:1].upper()}{self.account.finds[1:]}." if self.account.finds else ""
        at = f"counted until {moment(self.account.polled_at)}" if self.account.polled_at else ""
        said = self.glyphs.dot.join(part for part in (at, source) if part)
        return [*self.wrapped(finds), *self.wrapped(said, Ink.DIM)]


def _side(count: Count) -> str:
    return f"{percent(count.rate)} of {spaced(count.requests)}" if count.requests else "none"


def _proof(bet: Bet, needed: float) -> tuple[str, int, str]:
    part = bet.proof or 0.0
    return bet.wanted, max(0, min(100, int(100 * part))), _of(part * needed, needed)


def _nearness(near: Nearness) -> tuple[str, int, str]:
    part = max(0, min(100, int(100 * near.proof)))
    return near.wanted, part, "proven" if near.proof >= 1 else f"{part} % there"


def _of(value: float, threshold: float) -> str:
    return f"evidence {amount(value)} of {amount(threshold)}"


def _moved_words(moved: Moved) -> str:
    surely = f"surely by more than {moved.at_least:.2f}" if moved.at_least > 0 else "which may be chance"
    return f"answers: moved by {moved.distance:.2f}, {surely}; tolerated: {moved.tolerance:g}. Their shares by bin:"


def _shares(side: Sequence[int]) -> list[float]:
    total = sum(side)
    return [count / total for count in side]

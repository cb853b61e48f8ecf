"""The tree as text: one line of facts for each version, and below it the reason in plain words.

Pure: the same tree, width and glyphs give the same characters, so a file can hold what a person reads.
"""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from turnout.api.reasons import FAILED_STATES, ROLLOUT_STATES, Role, State
from turnout.view.ink import UNICODE, Glyphs, Ink
from turnout.view.tree import Clients, ModelView, Tree, VersionView

BAR = 10
MIN_WIDTH = 64
QUIET_STATES = frozenset({State.Standby, State.Superseded, State.Archived, State.Retired, State.Rejected})
WAITING_STATES = frozenset({State.Queued, State.Paused, State.Held, State.RollingBack})
RED_STATES = FAILED_STATES | {State.Rejected}


@dataclass(frozen=True, slots=True)
class Column:
    """One fact of a version: its title, its width without the gap after it, and how it reads."""

    title: str
    width: int
    cell: Callable[[VersionView, Glyphs], str]
    ink: Callable[[VersionView], Ink]
    right: bool = False

    def fit(self, text: str) -> str:
        return text.rjust(self.width) if self.right else text.ljust(self.width)


def state_ink(state: State) -> Ink:
    """Green serves, blue moves, yellow waits, red has failed, dim rests."""
    if state is State.Live:
        return Ink.GREEN
    if state in RED_STATES:
        return Ink.RED
    if state in WAITING_STATES:
        return Ink.YELLOW
    return Ink.BLUE if state in ROLLOUT_STATES | {State.Pending} else Ink.DIM


def state_sign(state: State, glyphs: Glyphs) -> str:
    signs = {
        Ink.GREEN: glyphs.serving,
        Ink.RED: glyphs.failed,
        Ink.YELLOW: glyphs.waiting,
        Ink.BLUE: glyphs.active,
        Ink.DIM: glyphs.resting,
    }
    return signs[state_ink(state)]


def _plain(_: VersionView) -> Ink:
    return Ink.PLAIN


def _state(version: VersionView, glyphs: Glyphs) -> str:
    return f"{state_sign(version.state, glyphs)} {version.state}"


def _role(version: VersionView, glyphs: Glyphs) -> str:
    return glyphs.dash if version.role is Role.Unassigned else version.role


def _weight(version: VersionView, glyphs: Glyphs) -> str:
    moving = version.desired_weight != version.weight
    return f"{version.weight}{f'{glyphs.arrow}{version.desired_weight}' if moving else ''}%"


def _weight_ink(version: VersionView) -> Ink:
    return Ink.BOLD if version.weight or version.desired_weight else Ink.DIM


def _pods(version: VersionView, glyphs: Glyphs) -> str:
    if version.asleep:
        return "asleep"
    if version.ready == version.floor == 0 and version.state in QUIET_STATES | FAILED_STATES:
        return glyphs.dash
    return f"{version.ready}/{version.floor}"


def _requests(version: VersionView, glyphs: Glyphs) -> str:
    return f"{version.traffic.requests:,}" if version.traffic else glyphs.dash


def _errors(version: VersionView, glyphs: Glyphs) -> str:
    return f"{version.traffic.errors:,}" if version.traffic else glyphs.dash


def _errors_ink(version: VersionView) -> Ink:
    return Ink.BOLD_RED if version.traffic and version.traffic.errors else Ink.PLAIN


def _number(version: VersionView, _: Glyphs) -> str:
    return f"v{version.version}"


FACTS = (
    Column("STATE", 13, _state, lambda version: state_ink(version.state)),
    Column("ROLE", 9, _role, _plain),
    Column("SHARE", 8, _weight, _weight_ink, right=True),
    Column("STEP", 5, lambda version, glyphs: version.step or glyphs.dash, _plain, right=True),
    Column("PODS", 6, _pods, _plain, right=True),
)
COUNTS = (
    Column("REQUESTS", 8, _requests, _plain, right=True),
    Column("ERRORS", 6, _errors, _errors_ink, right=True),
)


def render_text(tree: Tree, *, width: int = 80, colour: bool = False, glyphs: Glyphs = UNICODE) -> str:
    """The whole tree, at most `width` characters wide from 64 on, lines without trailing spaces."""
    numbers = [len(_number(version, glyphs)) for model in tree.models for version in model.versions]
    pen = _Pen(max(width, MIN_WIDTH), colour, glyphs, tree.has_traffic, max((3, *numbers)))
    blocks = ["\n".join(pen.model(model)) for model in tree.models] or ["no ModelVersions here"]
    if tree.clients:
        blocks.append(pen.clients(tree.clients))
    if tree.problems:
        blocks.append("\n".join(pen.problem(problem) for problem in tree.problems))
    if tree.source:
        blocks.append("\n".join(pen.ink(Ink.DIM, line) for line in textwrap.wrap(tree.source, pen.width)))
    return "\n\n".join(blocks)


@dataclass(frozen=True, slots=True)
class _Pen:
    width: int
    colour: bool
    glyphs: Glyphs
    with_counts: bool
    number_width: int

    def ink(self, ink: Ink, text: str) -> str:
        return ink.paint(text) if self.colour else text

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that fit: on a narrow terminal the counts are left out."""
        return FACTS + COUNTS if self.with_counts and self.width >= 80 else FACTS

    @property
    def indent(self) -> int:
        return 3 + self.number_width + 1

    def model(self, model: ModelView) -> Iterator[str]:
        """Title and address, column titles, then each version."""
        title = self.ink(Ink.BOLD, model.title)
        yield f"{title}  {self.ink(Ink.CYAN, model.url)}".rstrip()
        heads = [self.ink(Ink.DIM, column.fit(column.title)) for column in self.columns]
        yield self._row("   ", "", heads, " " * self.bar_width)
        for index, version in enumerate(model.versions):
            yield from self.version(version, is_last=index == len(model.versions) - 1)

    def version(self, version: VersionView, *, is_last: bool) -> Iterator[str]:
        """The line of facts, then reason and message wrapped below it."""
        lead, trunk = (self.glyphs.last, "   ") if is_last else (self.glyphs.branch, self.glyphs.trunk)
        cells = [
            self.ink(column.ink(version), column.fit(column.cell(version, self.glyphs))) for column in self.columns
        ]
        full, track = self.glyphs.bar(version.weight, self.bar_width)
        bar = self.ink(state_ink(version.state), full) + self.ink(Ink.DIM, track)
        yield self._row(lead, _number(version, self.glyphs), cells, bar)
        for line in (*self.why(version), *self.gates(version), *self.notes(version)):
            yield f"{trunk}{' ' * (self.indent - 3)}{line}"

    @property
    def bar_width(self) -> int:
        """Long version numbers take their room from the bar."""
        return max(4, BAR + 3 - self.number_width)

    def _row(self, lead: str, number: str, cells: list[str], bar: str) -> str:
        state, role, *rest = cells
        name = self.ink(Ink.BOLD, number.ljust(self.number_width))
        return f"{lead}{name} {state} {role} {bar} {' '.join(rest)}".rstrip()

    def why(self, version: VersionView) -> Iterator[str]:
        """Reason and message, each line in its ink."""
        text = self.glyphs.dot.join(part for part in (version.reason, version.message) if part)
        for index, line in enumerate(textwrap.wrap(text, self.width - self.indent)):
            if index or not version.reason:
                yield self.ink(Ink.DIM, line)
            else:
                reason, rest = line[: len(version.reason)], line[len(version.reason) :]
                yield self.ink(state_ink(version.state), reason) + self.ink(Ink.DIM, rest)

    def gates(self, version: VersionView) -> Iterator[str]:
        """A line for each metric that is judged: its values on both sides, and how much speaks for what."""
        metrics = version.analysis.metrics if version.analysis else ()
        width = max((len(metric.name) for metric in metrics), default=0)
        for metric in metrics:
            values = f"{metric.canary or self.glyphs.dash} beside {metric.stable or self.glyphs.dash}"
            evidence = f"harm {metric.harm or self.glyphs.dash}, pass {metric.pass_ or self.glyphs.dash}"
            line = f"{metric.name.ljust(width)}  {values}{self.glyphs.dot}{evidence}"
            yield from (self.ink(Ink.DIM, part) for part in textwrap.wrap(line, self.width - self.indent))

    def notes(self, version: VersionView) -> Iterator[str]:
        lines = (line for note in version.notes for line in textwrap.wrap(note, self.width - self.indent))
        return (self.ink(Ink.YELLOW, line) for line in lines)

    def problem(self, problem: str) -> str:
        lines = textwrap.wrap(problem, self.width - 2) or [""]
        return "\n".join(self.ink(Ink.RED, line) for line in (f"{self.glyphs.failed} {lines[0]}", *lines[1:]))

    def clients(self, clients: Clients) -> str:
        failed = self.ink(Ink.BOLD_RED if clients.failed else Ink.BOLD_GREEN, f"{clients.failed:,} failed")
        return f"callers: {clients.requests:,} requests{self.glyphs.dot}{failed}"

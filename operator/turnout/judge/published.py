"""A candidate beside the rows it was published with: has the model changed its ways, or has the world moved?

Both sides are held against their own rows, over their own bins. Where stable has moved away from its rows too, callers
ask other things than at publishing, and a candidate is no worse for it; so this only ever pauses, and says which it is.
"""

from dataclasses import dataclass
from functools import cached_property

from turnout.api.analysis import Against
from turnout.judge import words
from turnout.judge.answers import counted, published
from turnout.judge.drift import Bins, distance, doubt, moved_at_least, part_of
from turnout.judge.memory import Memory
from turnout.judge.protocol import Poll
from turnout.judge.terms import Terms


@dataclass(frozen=True)
class Comparison:
    """One side's answers so far, and the rows of its publishing."""

    answers: Bins
    rows: Bins
    alpha: float

    @property
    def is_possible(self) -> bool:
        return bool(self.answers) and len(self.answers) == len(self.rows) and any(self.rows)

    @cached_property
    def distance(self) -> float:
        return distance(self.answers, self.rows) if self.is_possible else 0.0

    @cached_property
    def at_least(self) -> float:
        return moved_at_least(self.answers, self.rows, self.alpha) if self.is_possible else 0.0

    def at_most(self, beta: float) -> float:
        """From these very rows, not from what they were drawn of: few rows must not keep a candidate from passing."""
        served = sum(self.answers)
        return min(1.0, self.distance + doubt(served, len(self.answers), beta)) if served else 1.0


def is_due(terms: Terms, canary: Comparison, poll: Poll | None) -> bool:
    """The candidate has rows and counts its answers: that they are near can be proven, if not yet."""
    return canary.is_possible or bool(poll and any(canary.rows) and counted(terms.drift_output or "", poll.canary))


def comparisons(terms: Terms, memory: Memory, poll: Poll | None) -> tuple[Comparison, Comparison] | None:
    """The candidate's and stable's; None where nobody asked for them, or nothing was read."""
    if terms.drift_output is None or Against.REFERENCE not in terms.drift_from or poll is None:
        return None
    canary, stable = memory.answers
    alpha = terms.drift_alpha * part_of(memory.epoch)
    return (
        Comparison(canary, published(terms.drift_output, poll.canary), alpha),
        Comparison(stable, published(terms.drift_output, poll.stable), alpha),
    )


def has_left(terms: Terms, canary: Comparison) -> bool:
    """Surely further from the rows of its publishing than is tolerated."""
    return canary.at_least > terms.drift_tolerance


def left(terms: Terms, canary: Comparison, stable: Comparison) -> str:
    """In words, and whose doing it is."""
    moved = (
        f"the answers lie {canary.distance:.2f} from those at publishing, surely more than {canary.at_least:.2f} "
        f"(Kolmogorov-Smirnov; tolerance {terms.drift_tolerance:g}), in {words.spaced(sum(canary.answers))} answers"
    )
    return f"{moved}; {_whose(terms, stable)}"


def _whose(terms: Terms, stable: Comparison) -> str:
    if not stable.is_possible:
        return "stable has no rows of its publishing, so nothing tells the version from the world"
    if has_left(terms, stable):
        return (
            f"stable's lie {stable.distance:.2f} from its own: callers ask other things, not this version alone moved"
        )
    return f"stable's lie {stable.distance:.2f} from its own: this version answers otherwise, not the world"

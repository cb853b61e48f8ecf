"""What the judge said in this pass, and what of it counts: a dry run shows its findings and decides nothing."""

from dataclasses import dataclass

from turnout.judge.protocol import Finding, Outcome, Poll

SILENT = frozenset({Outcome.NO_DATA, Outcome.SOURCE_ERROR})
"""Outcomes without numbers: what was known before still holds."""


@dataclass(frozen=True, slots=True)
class Look:
    """`outcome` is what the engine acts upon; `poll` is absent where the judge reads nothing."""

    finding: Finding
    outcome: Outcome
    poll: Poll | None = None

    @property
    def is_taken_in(self) -> bool:
        """The poll had numbers: it is recorded, and never looked at again."""
        return self.poll is not None and self.finding.outcome not in SILENT

"""The one record by which several operators agree on who of them works: what it says, and where it is kept.

Who may take it, and until when its holder may write, is the election's business.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lease:
    """`epoch` grows with each taking. `renewed` is a text for people: nobody compares clocks by it, only texts."""

    holder: str
    seconds: int
    epoch: int
    acquired: str = ""
    renewed: str = ""
    version: str = ""  # of the record: a write onto another one is a conflict

    @property
    def said(self) -> tuple[str, int, int, str]:
        """What its holder wrote; anything else about the record may change without a sign of life."""
        return self.holder, self.seconds, self.epoch, self.renewed


class LeaseStore(Protocol):
    """Raises `Conflict`, `Unavailable` or `Refused`, nothing else."""

    async def read(self) -> Lease | None:
        """What is written now; None if nothing is."""

    async def write(self, lease: Lease, onto: Lease | None) -> Lease:
        """Write over exactly this record (None: there is none yet); the record as it was taken."""

"""A judge that breaks may cost time, never a rollback: its fault is one source that cannot be read, told and logged.

Else one poll that nobody foresaw would end every pass over its model, and with them abort and the readiness net.
"""

import logging
from dataclasses import dataclass

from turnout.api.reasons import Reason
from turnout.judge.protocol import Finding, Judge, Outcome, Question

log = logging.getLogger(__name__)
SHOWN = 200  # characters of a fault that are quoted


@dataclass(frozen=True)
class Guarded:
    """Asks `judge`; whatever that raises becomes a `SourceError`, and the poll counts as not looked at."""

    judge: Judge

    def look(self, question: Question) -> Finding:
        try:
            return self.judge.look(question)
        except Exception as fault:  # whatever it is, death and abort must go on
            log.exception("the judge broke off over a poll of %s", question.poll and question.poll.at)
            said = f"the judge could not read the numbers, see the operator's log: {type(fault).__name__}"
            return Finding(Outcome.SOURCE_ERROR, Reason.SourceError, f"{said}: {str(fault)[:SHOWN]}")

"""An engine without a source of evidence says so, instead of leaving a rollout in the dark."""

from __future__ import annotations

from datetime import UTC, datetime

from turnout.api.analysis import Analysis
from turnout.api.status import RevisionStatus
from turnout.platform.evidence import no_source
from turnout.rollout.plan import PollRequest

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def test_a_poll_without_a_source_is_in_trouble_for_the_very_revisions_that_were_asked_for() -> None:
    canary, stable = RevisionStatus(name="r-8", uid="8"), RevisionStatus(name="r-7", uid="7")
    poll = no_source(PollRequest("signals-8", AT, None, canary, stable, Analysis(), 10, AT))
    assert (poll.at, poll.canary_uid, poll.stable_uid, poll.weight) == (AT, "8", "7", 10)
    assert poll.trouble

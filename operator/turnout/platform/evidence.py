"""What an engine answers where it has no source of evidence: that it has none, so that nobody waits in the dark."""

from turnout.judge.protocol import Poll
from turnout.rollout.plan import PollRequest


def no_source(request: PollRequest) -> Poll:
    """A poll in trouble, for the newest moment that was asked for."""
    return Poll(
        at=request.at,
        canary_uid=request.canary.uid,
        stable_uid=request.stable.uid,
        weight=request.weight,
        weight_since=request.weight_since,
        trouble="this engine has no source of evidence",
    )

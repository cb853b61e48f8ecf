"""When an attempt that has failed is tried again by itself: counted, with back-off, and never after harm."""

from datetime import datetime, timedelta

from turnout.api.reasons import State
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=10)


def tries_again_at(version: ModelVersion, status: Status) -> datetime | None:
    """When a Failed attempt is tried again by itself: after 30 s, doubled each time up to ten minutes."""
    left = version.spec.rollout.retry_limit - status.retries
    if status.state is not State.Failed or left <= 0 or status.state_since is None:
        return None
    if version.spec.desired is not Desired.LIVE or version.spec.control.abort:
        return None
    return status.state_since + min(FIRST_WAIT * (1 << status.retries), LONGEST_WAIT)

"""What a metric has stopped: a fact of its own, whatever else holds or pauses the version meanwhile.

It stands until a person moves the rollout on, with a word given after it, or until the attempt ends. One that was
lifted is remembered, so that the same finding does not stop the same attempt twice.
"""

from collections.abc import Mapping
from datetime import datetime

from turnout.api.judgement import Stop
from turnout.api.reasons import Reason
from turnout.api.status import Status
from turnout.judge.protocol import Finding, Lifted

MOST = 16


def standing(status: Status) -> tuple[Stop, ...]:
    """Those that nobody has lifted, the oldest first."""
    return tuple(stop for stop in status.stops if stop.lifted_at is None)


def is_told(status: Status, finding: Finding) -> bool:
    """It stands already, and stops nothing anew."""
    return any((stop.reason, stop.metric) == (finding.reason, finding.metric) for stop in standing(status))


def added(status: Status, finding: Finding, weight: int, now: datetime) -> Status:
    """With what was found; of one metric the last finding alone is kept."""
    found = Stop(
        reason=finding.reason, metric=finding.metric, level=finding.level, message=finding.message, at=now,
        weight=weight,
    )  # fmt: skip
    others = (stop for stop in status.stops if (stop.reason, stop.metric) != (found.reason, found.metric))
    return status.model_copy(update={"stops": (*others, found)[-MOST:]})


def is_late(status: Status) -> bool:
    """Its deadline has stopped it: whoever lets it go on has not ended the step that runs."""
    return any(stop.reason is Reason.DeadlineExceeded for stop in standing(status))


def lifted(status: Status, now: datetime) -> Status:
    """A person has said go on: to all that stands."""
    if not standing(status):
        return status
    stops = (stop if stop.lifted_at else stop.model_copy(update={"lifted_at": now}) for stop in status.stops)
    return status.model_copy(update={"stops": tuple(stops)})


def let_pass(status: Status) -> Mapping[tuple[Reason, str], Lifted]:
    """What the judge is to know of it, by reason and metric."""
    return {
        (stop.reason, stop.metric): Lifted(stop.lifted_at, _number(stop.level))
        for stop in status.stops
        if stop.reason is not None and stop.lifted_at is not None
    }


def _number(level: str) -> float:
    """Of what cannot be read nothing was let pass."""
    try:
        return float(level)
    except ValueError:
        return 0.0

"""What to tell of a ModelVersion that cannot be read: that it is not acted upon, and why. What serves goes on."""

from collections.abc import Iterator
from datetime import datetime

from turnout.api.reasons import ConditionType, Reason
from turnout.api.status import Condition, ConditionStatus
from turnout.rollout.plan import Complaint
from turnout.rollout.snapshot import Snapshot, Unread

WAY_OUT = "write it as this operator knows it, or bring the operator and the CRD to the same release"


def complaints(snapshot: Snapshot) -> Iterator[Complaint]:
    """One for each that has not been told so yet: what its conditions say, they were told."""
    for unread in snapshot.unread:
        complaint = _complaint(unread, snapshot.now)
        if any(_before(unread, each.type) != each for each in complaint.conditions):
            yield complaint


def _complaint(unread: Unread, now: datetime) -> Complaint:
    """That it is Ready stays if it serves."""
    text = f"this operator cannot read it, so that what runs stays as it is: {unread.why}; {WAY_OUT}"[:2000]
    said = {ConditionType.Accepted: ConditionStatus.FALSE, ConditionType.Stalled: ConditionStatus.TRUE}
    ready = _before(unread, ConditionType.Ready)
    if ready is None or ready.status is not ConditionStatus.TRUE:
        said[ConditionType.Ready] = ConditionStatus.FALSE
    conditions = tuple(_condition(unread, kind, truth, text, now) for kind, truth in said.items())
    return Complaint(unread, text, conditions)


def _condition(unread: Unread, kind: ConditionType, truth: ConditionStatus, text: str, now: datetime) -> Condition:
    before = _before(unread, kind)
    return Condition(
        type=kind.value,
        status=truth,
        observed_generation=unread.generation,
        last_transition_time=before.last_transition_time if before and before.status is truth else now,
        reason=Reason.Invalid.value,
        message=text,
    )


def _before(unread: Unread, kind: str) -> Condition | None:
    return next((condition for condition in unread.conditions if condition.type == kind), None)

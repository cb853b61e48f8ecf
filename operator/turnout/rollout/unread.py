"""What to tell of a ModelVersion that cannot be read: that it is not acted upon, and why. What serves goes on."""

from collections.abc import Iterator
from datetime import datetime

from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.status import Condition, ConditionStatus, Status
from turnout.rollout.plan import Complaint
from turnout.rollout.snapshot import Snapshot, Unread

WAY_OUT = "write it as this operator knows it, or bring the operator and the CRD to the same release"


def complaints(snapshot: Snapshot) -> Iterator[Complaint]:
    """One for each that has not been told so yet."""
    for unread in snapshot.unread:
        status = _told(unread, snapshot.now)
        if status != unread.status:
            yield Complaint(unread, status)


def _told(unread: Unread, now: datetime) -> Status:
    """Its status with the reason in it; its state, and that it is Ready, stay if it serves."""
    before = unread.status
    text = f"this operator cannot read it, so that what runs stays as it is: {unread.why}; {WAY_OUT}"
    said = {ConditionType.Accepted: ConditionStatus.FALSE, ConditionType.Stalled: ConditionStatus.TRUE}
    ready = before.condition(ConditionType.Ready)
    if ready is None or ready.status is not ConditionStatus.TRUE:
        said[ConditionType.Ready] = ConditionStatus.FALSE
    drafts = {kind: _condition(unread, kind, truth, text, now) for kind, truth in said.items()}
    kept = tuple(each for each in before.conditions if each.type not in drafts)
    return before.model_copy(
        update={
            "state": before.state or State.Rejected,
            "reason": Reason.Invalid,
            "message": text[:2000],
            "conditions": _in_order(before, (*kept, *drafts.values())),
        }
    )


def _condition(unread: Unread, kind: ConditionType, truth: ConditionStatus, text: str, now: datetime) -> Condition:
    before = unread.status.condition(kind)
    return Condition(
        type=kind.value,
        status=truth,
        observed_generation=unread.generation,
        last_transition_time=before.last_transition_time if before and before.status is truth else now,
        reason=Reason.Invalid.value,
        message=text[:2000],
    )


def _in_order(before: Status, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """As they stood, so that what is told already is equal to what would be."""
    places = {each.type: place for place, each in enumerate(before.conditions)}
    return tuple(sorted(conditions, key=lambda each: places.get(each.type, len(places))))

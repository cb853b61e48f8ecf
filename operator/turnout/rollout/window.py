"""The rollback window: which formerly promoted versions are kept, and which of them with their pods.

Stable's own fields count for all of them; without a stable each version's own do.
"""

from turnout.api.reasons import State
from turnout.api.rollout import RollbackWindow
from turnout.api.status import EPOCH
from turnout.api.version import ModelVersion
from turnout.rollout.selection import Member, Selection


def window_of(selection: Selection, version: ModelVersion) -> RollbackWindow:
    keeper = selection.stable.version if selection.stable and selection.stable.version else version
    return keeper.spec.rollout.rollback_window


def in_window(member: Member, version: ModelVersion, selection: Selection) -> bool:
    """Among the last promoted that the window keeps, and not replaced too long ago.

    The last one stays as long as its pods are kept as the instant way back, however small the window is.
    """
    window, now = window_of(selection, version), selection.snapshot.now
    former = _former(selection)
    scale_down_at = member.status.scale_down_at
    if former[:1] == [member] and scale_down_at is not None and now < scale_down_at:
        return True
    left = member.status.replaced_at
    if left is not None and now - left >= window.max_age.delta:
        return False
    return member in former[: window.versions]


def is_kept_warm(member: Member, selection: Selection) -> bool:
    """Its pods stay for as long as the window keeps it."""
    version = member.version
    if version is None or member.state is not State.Standby or not member.status.promoted_at:
        return False
    return window_of(selection, version).keep_warm and in_window(member, version, selection)


def _former(selection: Selection) -> list[Member]:
    """Formerly promoted versions in Standby, the last replaced first."""
    former = [
        m
        for m in selection.members.values()
        if m is not selection.stable and m.status.promoted_at and m.state is State.Standby
    ]
    return sorted(former, key=lambda m: m.status.replaced_at or EPOCH, reverse=True)

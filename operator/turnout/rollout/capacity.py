"""How many ready pods a share needs, and how many pods each side is kept at.

R, the capacity, is what stable serves with when a step begins: nobody may carry its traffic with less.
"""

from datetime import datetime

from turnout.api.reasons import ROLLOUT_STATES, State
from turnout.api.version import ModelVersion
from turnout.rollout.floors import wanted_pods
from turnout.rollout.selection import Member, Selection
from turnout.rollout.snapshot import Autoscaling
from turnout.rollout.steps import first_weight, weight_of
from turnout.rollout.window import is_kept_warm

STABLE_KEEPS = (ROLLOUT_STATES - {State.Deploying, State.Shadowing}) | {State.Frozen}
"""States of a rollout during which stable is kept at capacity."""


def capacity(selection: Selection, candidate: ModelVersion) -> int:
    """R in pods: max(1, stable's floor, stable's ready pods), the last only if the candidate counts ready pods."""
    stable = selection.stable
    if stable is None:
        return max(1, wanted_pods(candidate.spec.scaling, selection.snapshot.now))
    ready = stable.ready_pods if candidate.spec.scaling.during_rollout.count_ready_pods else 0
    return max(1, own_floor(stable, selection.snapshot.now), ready)


def own_floor(member: Member, now: datetime) -> int:
    """The pods its owner wants now; of a ghost, those that its owner wanted last.

    That may be the floor of certain hours, which then stays for as long as the ghost does: the hours went with its
    ModelVersion, and who serves alone may have a pod too many, never one too few. Whoever minds deploys its successor.
    """
    if member.version:
        return wanted_pods(member.version.spec.scaling, now)
    return member.revision.autoscaling.own_pods if member.revision else 0


def needed(member: Member, percent: int) -> int:
    """Ready pods without which a version may not have `percent`: at most its own maxReplicas."""
    if member.version is None:
        return 1
    full = member.status.capacity or 1
    if percent >= 100:
        wanted = full
    else:
        wanted = max(member.version.spec.scaling.during_rollout.canary_min, -(-full * percent // 100))
    return min(wanted, member.version.spec.scaling.max_replicas)


def floor(selection: Selection, member: Member, now: datetime) -> int:
    """The pods a version is kept at now, whatever its traffic."""
    if member is selection.stable:
        return _stable_floor(selection, member, now)
    if member.state in {State.Deploying, State.Warming} and member.version:
        return needed(member, first_weight(member.status))
    if member.state in {State.Progressing, State.Paused, State.Held, State.Frozen}:
        return needed(member, max(weight_of(member.status), 1))
    if member.state is State.Promoting:
        return max(needed(member, 100), own_floor(member, now))
    return max(_leaving_floor(selection, member, now), _warm_floor(selection, member, now))


def _stable_floor(selection: Selection, stable: Member, now: datetime) -> int:
    rollouts = [m for m in selection.members.values() if m is not stable and m.state in STABLE_KEEPS]
    kept = max((m.status.capacity or 1 for m in rollouts), default=0)
    if stable.is_down:
        kept = max(kept, 1)  # it comes back with its pods, so it must go on trying
    ceiling = stable.version.spec.scaling.max_replicas if stable.version else kept
    return max(own_floor(stable, now), min(kept, ceiling))


def _leaving_floor(selection: Selection, member: Member, now: datetime) -> int:
    """Pods stay until scaleDownAt, as the instant way back or for a look at what went wrong; and for who may be met."""
    stays = member.status.scale_down_at is not None and now < member.status.scale_down_at
    if stays or member.state is State.RollingBack or member.observed_percent or selection.is_shifting:
        return member.revision.autoscaling.min_pods if member.revision else 0
    return 0


def _warm_floor(selection: Selection, member: Member, now: datetime) -> int:
    """Of a version that the window keeps warm: what stable is kept at, for it may have to take over at once."""
    if member.version is None or not is_kept_warm(member, selection):
        return 0
    stable = own_floor(selection.stable, now) if selection.stable else 0
    return min(max(1, stable, own_floor(member, now)), member.version.spec.scaling.max_replicas)


def autoscaling(selection: Selection, member: Member, now: datetime) -> Autoscaling | None:
    """Every knob as it should stand; None where nobody may say (a ghost that serves keeps its own)."""
    current = member.revision.autoscaling if member.revision else None
    if current is None:
        return None
    pods = floor(selection, member, now)
    if member.version is None:
        return Autoscaling(
            pods, max(current.max_pods, pods), current.retention, current.metric, current.target,
            current.latency_critical, current.own_pods,
        )  # fmt: skip
    scaling = member.version.spec.scaling
    return Autoscaling(
        min_pods=pods,
        max_pods=max(scaling.max_replicas, pods),
        retention=scaling.scale_to_zero_retention.delta,
        metric=scaling.target.metric.value,
        target=scaling.target.value,
        latency_critical=scaling.latency_critical,
        own_pods=own_floor(member, now),
    )


def may_have(selection: Selection, member: Member, percent: int) -> bool:
    """Both sides are at capacity for this split; stable need not be where it gets nothing."""
    if member.ready_pods < needed(member, percent):
        return False
    return percent >= 100 or is_stable_whole(selection, member)


def is_stable_whole(selection: Selection, member: Member) -> bool:
    """Stable, or who answers in its place, has the pods that it is kept at for this version's rollout."""
    stable = selection.stable
    if selection.stable_is_down and selection.fallbacks:
        stable = selection.fallbacks[0]
    return stable is None or stable.ready_pods >= min(member.status.capacity or 1, _ceiling(stable))


def _ceiling(stable: Member) -> int:
    return stable.version.spec.scaling.max_replicas if stable.version else stable.ready_pods or 1

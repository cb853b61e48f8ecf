"""What must hold for every plan, whatever happened before: the invariants of a rollout, checked from outside `decide`.

Each takes the world as it was observed and the plan that was made of it, and speaks its own sentence.
"""

from __future__ import annotations

from turnout.api.reasons import FAILED_STATES, State
from turnout.rollout.capacity import needed
from turnout.rollout.plan import Plan
from turnout.rollout.selection import TRAFFIC_STATES, Member, Selection, is_stable_state, select
from turnout.rollout.snapshot import Snapshot, Split

CONDEMNED = FAILED_STATES | {State.RollingBack}


class Invariants:
    """Checks each plan of one history; it remembers the steps that were reached."""

    def __init__(self) -> None:
        self.steps: dict[tuple[str, int], int] = {}

    def __call__(self, world: object, snapshot: Snapshot, plan: Plan) -> None:
        selection = select(snapshot)
        _sums_to_100(plan)
        _enters_only_with_its_pods(selection, plan)
        _dead_only_where_nothing_lives(selection, plan)
        _raises_are_planned(selection, plan)
        _one_stable(selection, plan)
        _deletes_nothing_that_serves(selection, plan)
        self._steps_rise(plan)
        _asks_to_look_again_later(snapshot, plan)

    def _steps_rise(self, plan: Plan) -> None:
        for name, status in plan.record.items():
            key = name, status.attempt
            if status.state is State.Deploying:
                self.steps.pop(key, None)  # looked at anew, from the start
            elif status.step is not None:
                assert status.step.index >= self.steps.get(key, 0), f"{name} goes back to step {status.step.index}"
                self.steps[key] = status.step.index


def _sums_to_100(plan: Plan) -> None:
    if plan.route is None:
        return
    percents = [share.percent for share in plan.route.split]
    assert sum(percents) == 100, f"{percents} do not sum to 100"
    assert all(1 <= percent <= 100 for percent in percents), f"{percents}"
    assert len({share.revision for share in plan.route.split}) == len(percents), "a revision twice in a split"


def _raised(selection: Selection, split: Split) -> list[tuple[Member, int]]:
    """Who would have more than is written or still observed of it."""
    by_revision = {m.revision_name: m for m in selection.members.values() if m.revision_name}
    shares = [(by_revision[share.revision], share.percent) for share in split]
    return [(m, percent) for m, percent in shares if percent > max(m.written_percent, m.observed_percent)]


def _is_able(member: Member) -> bool:
    """May serve and does: met by callers before, or promoted before, with a ready pod that a Route accepts."""
    revision = member.revision
    if revision is None or not revision.ready_pods or not revision.servable:
        return False
    return bool(member.observed_percent or member.status.promoted_at or member.state in TRAFFIC_STATES)


def _enters_only_with_its_pods(selection: Selection, plan: Plan) -> None:
    """A version that had no share gets one only servable and with a ready pod, unless nothing at all is ready."""
    if plan.route is None or not any(_is_able(m) for m in selection.members.values()):
        return
    for member, percent in _raised(selection, plan.route.split):
        if member.written_percent or member.observed_percent:
            continue
        able = member.revision is not None and member.revision.servable and member.ready_pods
        assert able, f"{member.name} enters the split at {percent} % without a ready pod"


def _dead_only_where_nothing_lives(selection: Selection, plan: Plan) -> None:
    route = selection.route
    written = plan.route.split if plan.route else route.written if route else ()
    dead = [m for m in selection.members.values() if m.death and any(s.revision == m.revision_name for s in written)]
    living = [m for m in selection.members.values() if _is_able(m) and not m.death]
    assert not (dead and living), f"{dead[0].name} is dead and in the split, {living[0].name} lives"


def _raises_are_planned(selection: Selection, plan: Plan) -> None:
    """Unless a death moves traffic: a raise needs the last split observed, capacity on both sides, and no verdict."""
    if plan.route is None or selection.stable is None or selection.stable.is_down:
        return
    stable = selection.stable
    moved_by_death = any(m.death and (m.observed_percent or m.written_percent) for m in selection.members.values())
    for member, percent in _raised(selection, plan.route.split):
        if member is stable or moved_by_death:
            continue
        assert member.state not in CONDEMNED, f"{member.name} is {member.state} and raised to {percent} %"
        assert selection.route is None or selection.route.in_sync, f"{member.name} is raised before the Route holds"
        assert member.ready_pods >= needed(member, percent), f"{member.name} is raised to {percent} % without capacity"
        if percent < 100:
            ceiling = stable.version.spec.scaling.max_replicas if stable.version else stable.ready_pods
            wanted = min(member.status.capacity or 1, ceiling)
            assert stable.ready_pods >= wanted, f"{member.name} is raised while {stable.name} lacks pods"


def _one_stable(selection: Selection, plan: Plan) -> None:
    after = {v.name: plan.record.get(v.name, v.status) for v in selection.snapshot.versions}
    stable = [name for name, status in after.items() if is_stable_state(status)]
    assert len(stable) <= 1, f"{stable} are stable at once"


def _deletes_nothing_that_serves(selection: Selection, plan: Plan) -> None:
    for retire in plan.retire:
        member = selection.members[retire.deployment.name]
        assert not member.observed_percent, f"{member.name} is deleted with {member.observed_percent} %"
        assert not member.written_percent, f"{member.name} is deleted while the Route names it"


def _asks_to_look_again_later(snapshot: Snapshot, plan: Plan) -> None:
    assert plan.again is None or plan.again > snapshot.now, "asks to look again in the past"

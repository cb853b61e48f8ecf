"""What must hold for every plan, whatever happened before: the invariants of a rollout, checked from outside `decide`.

Each takes the roles as they were observed and the plan that was made of them, and speaks its own sentence. Those that
need the memory of a whole history, or the truth behind a late watch, are in tests/simulation/ledger.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from turnout.api.analysis import Analysis, Unproven
from turnout.api.reasons import FAILED_STATES, Reason, State
from turnout.api.rollout import Verb
from turnout.api.status import Status
from turnout.judge.protocol import Judge, Outcome
from turnout.rollout.capacity import STABLE_KEEPS, needed
from turnout.rollout.decide import decide
from turnout.rollout.evidence import examine
from turnout.rollout.look import Look
from turnout.rollout.plan import Plan
from turnout.rollout.selection import TRAFFIC_STATES, Member, Selection, is_stable_state, select
from turnout.rollout.snapshot import Snapshot, Split

CONDEMNED = FAILED_STATES | {State.RollingBack}
LOOKED_AT_TWICE = 5
"""Every so many passes one is decided a second time: as often as a history can afford."""

Check = Callable[[Selection, Plan], None]


class Judged(Protocol):
    """A world with a judge."""

    @property
    def judge(self) -> Judge: ...


class Verdicts:
    """What failed begins no attempt and gets no word of its plan before a person's new token, or a counted retry."""

    def __init__(self) -> None:
        self._failed: dict[str, Status] = {}

    def see(self, name: str, uid: str, status: Status) -> None:
        """The recorded status of a version, each that there is, in their order."""
        if status.state is None:
            self.forget(uid)  # its record was taken away
        elif status.state in FAILED_STATES:
            self._failed[uid] = status
        elif uid in self._failed and _is_moved_on(self._failed[uid], status):
            self.forget(uid)
        elif uid in self._failed:
            blocked = status.hold is not None and status.hold.reason is Reason.RollbackBlocked
            rest, before = blocked or status.state in {State.RollingBack, State.Retired}, self._failed[uid]
            assert rest, f"{name} was {before.state} ({before.reason}) and is {status.state} unasked"

    def forget(self, uid: str) -> None:
        self._failed.pop(uid, None)


def _is_moved_on(failed: Status, status: Status) -> bool:
    before, after = failed.control, status.control
    asked = after.retry_token != before.retry_token and "retry" not in after.refused
    overruled = after.promote_token != before.promote_token and "promote" not in after.refused
    again = failed.state is State.Failed and status.retries > failed.retries
    return asked or again or (overruled and failed.state is State.Frozen)


class Invariants:
    """Checks each plan of one history; it remembers the `steps` that were reached, and verdicts, unless others do."""

    def __init__(self, *, steps: bool = True) -> None:
        self.steps: dict[tuple[str, int], int] | None = {} if steps else None
        self.passes = 0
        self.verdicts = Verdicts()

    def __call__(self, world: Judged, snapshot: Snapshot, plan: Plan) -> None:
        check_plan(snapshot, plan)
        check_judged(snapshot, plan, world.judge)
        if self.steps is not None:
            _steps_rise(self.steps, plan)
            for one in snapshot.versions:
                self.verdicts.see(one.name, one.uid, one.status)
        self.passes += 1
        if self.passes % LOOKED_AT_TWICE == 0:
            assert decide(snapshot, world.judge) == plan, "the same snapshot is decided otherwise"


def _steps_rise(reached: dict[tuple[str, int], int], plan: Plan) -> None:
    for name, status in plan.record.items():
        key = name, status.attempt
        if status.state is State.Deploying:
            reached.pop(key, None)  # looked at anew, from the start
        elif status.step is not None:
            assert status.step.index >= reached.get(key, 0), f"{name} goes back to step {status.step.index}"
            reached[key] = status.step.index


def check_plan(snapshot: Snapshot, plan: Plan) -> None:
    """Hold one plan against every invariant that needs no more than its snapshot."""
    selection = select(snapshot)
    for sentence, holds in CHECKS.items():
        try:
            holds(selection, plan)
        except AssertionError as fault:
            raise AssertionError(f"{sentence}: {fault}") from fault


def check_judged(snapshot: Snapshot, plan: Plan, judge: Judge) -> None:
    """No planned rise in a pass where a judge does not allow it, and none prepared: an analysis ends by its rules."""
    selection = select(snapshot)
    look = examine(selection, judge)
    candidate = selection.candidate
    if candidate is None or candidate.version is None:
        return
    if look is not None and look.outcome in {Outcome.HARM, Outcome.PAUSE}:
        raised = [percent for member, percent in _planned_raises(selection, plan) if member is candidate]
        assert not raised, f"{candidate.name} is raised to {raised} % while the judge says {look.outcome}"
    stopped = [stop for stop in candidate.status.stops if stop.lifted_at is None]
    for member, percent in _planned_raises(selection, plan):
        over = member is candidate and stopped and percent > min(stop.weight for stop in stopped)
        assert not over, f"{member.name} is stopped by {stopped[0].metric} and raised to {percent} %"
    before, after = candidate.status, plan.record.get(candidate.name)
    if after is not None and _leaves_an_analysis(before, after):
        allowed = _may_advance(candidate.version.spec.analysis, look)
        assert allowed, f"{candidate.name} leaves its analysis though the judge says {look and look.outcome}"


def _leaves_an_analysis(before: Status, after: Status) -> bool:
    """It goes on in its plan: not by a person's new word, and not out of it."""
    step, then = before.step, after.step
    if step is None or then is None or step.verb is not Verb.ANALYSIS or before.attempt != after.attempt:
        return False
    asked = before.control.promote_token != after.control.promote_token
    same = before.plan is not None and after.plan is not None and before.plan.hash == after.plan.hash
    return then.index > step.index and same and not asked


def _may_advance(analysis: Analysis, look: Look | None) -> bool:
    if look is None:
        return False
    policies = {
        Outcome.INCONCLUSIVE: analysis.on_inconclusive,
        Outcome.TOO_FEW_REQUESTS: analysis.on_too_few_requests,
        Outcome.NO_DATA: analysis.on_source_error,
        Outcome.SOURCE_ERROR: analysis.on_source_error,
    }
    by_policy = policies.get(look.outcome) is Unproven.ADVANCE and look.finding.may_advance
    return look.outcome is Outcome.PASS or by_policy


def _sums_to_100(selection: Selection, plan: Plan) -> None:
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


def _planned_raises(selection: Selection, plan: Plan) -> list[tuple[Member, int]]:
    """Those of others than stable, in a pass in which nobody's death moves traffic."""
    if plan.route is None or selection.stable is None or selection.stable.is_down:
        return []
    if any(m.death and (m.observed_percent or m.written_percent) for m in selection.members.values()):
        return []
    return [(m, percent) for m, percent in _raised(selection, plan.route.split) if m is not selection.stable]


def _is_able(member: Member) -> bool:
    """May serve and does: met by callers before, or promoted before, with a ready pod that a Route accepts."""
    revision = member.revision
    if revision is None or not revision.ready_pods or not revision.servable:
        return False
    met = any(attempt.max_weight for attempt in member.status.history)
    return bool(member.observed_percent or member.status.promoted_at or member.state in TRAFFIC_STATES or met)


def _enters_only_with_its_pods(selection: Selection, plan: Plan) -> None:
    """A version that had no share gets one only servable and with a ready pod, unless nothing at all is ready."""
    if plan.route is None or not any(_is_able(m) for m in selection.members.values()):
        return
    for member, percent in _raised(selection, plan.route.split):
        if member.written_percent or member.observed_percent:
            continue
        able = member.revision is not None and member.revision.servable and member.ready_pods
        assert able, f"{member.name} enters the split at {percent} % without a ready pod"


def _rises_at_capacity(selection: Selection, plan: Plan) -> None:
    """A planned rise needs the last split observed, and the pods of both sides; to put back is none, but for pods."""
    stable, route = selection.stable, selection.route
    for member, percent in _planned_raises(selection, plan):
        put_back = route is not None and route.foreign_edits and percent <= member.status.weight.desired
        holds = route is None or route.in_sync or put_back
        assert holds, f"{member.name} is raised before the Route holds"
        assert member.ready_pods >= needed(member, percent), f"{member.name} is raised to {percent} % without capacity"
        if percent < 100 and stable is not None:
            ceiling = stable.version.spec.scaling.max_replicas if stable.version else stable.ready_pods
            wanted = min(member.status.capacity or 1, ceiling)
            assert stable.ready_pods >= wanted, f"{member.name} is raised while {stable.name} lacks pods"


def _condemned_is_not_raised(selection: Selection, plan: Plan) -> None:
    for member, percent in _planned_raises(selection, plan):
        assert member.state not in CONDEMNED, f"{member.name} is {member.state} and raised to {percent} %"


def _stopped_by_person_is_not_raised(selection: Selection, plan: Plan) -> None:
    """Of a pause it gets back at most what it had when it began, once its pods are back."""
    for member, percent in _planned_raises(selection, plan):
        if member.version is None or member.state not in TRAFFIC_STATES:
            continue
        control, noted = member.version.spec.control, member.status.control
        asked = [wish for wish in ("paused", "abort") if getattr(control, wish) and wish not in noted.refused]
        had = max(member.status.weight.desired, (noted.paused_weight or 0) if control.paused else 0)
        assert not asked or percent <= had, f"{member.name} is raised to {percent} % though a person says {asked[0]}"


def _overdue_is_not_raised(selection: Selection, plan: Plan) -> None:
    """What a plan has passed, it may come back to with its pods; a person may let it go on, or put the deadline off."""
    for member, percent in _planned_raises(selection, plan):
        status, version = member.status, member.version
        if version is None or member.state not in TRAFFIC_STATES or status.promoted_at or not status.rollout_started_at:
            continue
        over = selection.snapshot.now - status.rollout_started_at >= version.spec.rollout.deadline.delta
        lifted = any(stop.reason is Reason.DeadlineExceeded and stop.lifted_at for stop in status.stops)
        passed = status.plan.steps[: status.step.index] if status.plan and status.step else ()
        had = max((status.weight.desired, *(step.set_weight or 0 for step in passed)))
        assert not over or lifted or percent <= had, f"{member.name} is raised to {percent} % over its deadline"


def _dead_only_where_nothing_lives(selection: Selection, plan: Plan) -> None:
    route = selection.route
    written = plan.route.split if plan.route else route.written if route else ()
    dead = [m for m in selection.members.values() if m.death and any(s.revision == m.revision_name for s in written)]
    living = [m for m in selection.members.values() if _is_able(m) and not m.death]
    assert not (dead and living), f"{dead[0].name} is dead and in the split, {living[0].name} lives"


def _one_stable(selection: Selection, plan: Plan) -> None:
    after = {v.name: plan.record.get(v.name, v.status) for v in selection.snapshot.versions}
    stable = [name for name, status in after.items() if is_stable_state(status)]
    assert len(stable) <= 1, f"{stable} are stable at once"


def _stable_is_kept(selection: Selection, plan: Plan) -> None:
    """Its floor is what the rollout found at the start of the step, as far as its own maximum goes."""
    stable, candidate = selection.stable, selection.candidate
    if stable is None or candidate is None or stable.revision is None or candidate.state not in STABLE_KEEPS:
        return
    asked = next((s.autoscaling for s in plan.scale if s.deployment is stable.deployment), stable.revision.autoscaling)
    ceiling = stable.version.spec.scaling.max_replicas if stable.version else asked.min_pods
    wanted = min(candidate.status.capacity or 1, ceiling)
    assert asked.min_pods >= wanted, f"{stable.name} is kept at {asked.min_pods} pods, not {wanted}"


def _deletes_nothing_that_serves(selection: Selection, plan: Plan) -> None:
    for retire in plan.retire:
        member = selection.members[retire.deployment.name]
        assert not member.observed_percent, f"{member.name} is deleted with {member.observed_percent} %"
        assert not member.written_percent, f"{member.name} is deleted while the Route names it"
        assert not selection.is_shifting, f"{member.name} is deleted while callers may still be sent to it"


def _asks_to_look_again_later(selection: Selection, plan: Plan) -> None:
    for look in (plan.again, plan.grace):
        assert look is None or look > selection.snapshot.now, "asks to look again in the past"


CHECKS: Mapping[str, Check] = {
    "percents sum to 100 in every Route write": _sums_to_100,
    "a version enters a split only Ready and with its pods": _enters_only_with_its_pods,
    "a planned rise waits for the last split and for both sides' capacity": _rises_at_capacity,
    "after a verdict no planned write raises it": _condemned_is_not_raised,
    "what a person pauses or aborts is not raised": _stopped_by_person_is_not_raised,
    "what is over its deadline is not raised": _overdue_is_not_raised,
    "a dead version is in no split while another lives": _dead_only_where_nothing_lives,
    "at most one stable per model": _one_stable,
    "stable is at capacity while a rollout runs": _stable_is_kept,
    "the operator deletes nothing with an observed share": _deletes_nothing_that_serves,
    "a timer lies in the future": _asks_to_look_again_later,
}
"""By the sentence of the invariant."""

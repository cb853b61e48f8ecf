"""What people on duty ask for in `spec.control`: what acts, what has no effect and why, each told once.

A token acts once: it is recorded in the same write as the transition it causes, whose effects come in the next pass.
Abort wins over promote; nothing here waves through pods that are missing or a split that is not observed.
"""

from collections.abc import Iterator

from turnout.api.control import PromoteMode
from turnout.api.reasons import ROLLOUT_STATES, EventReason, Reason, State
from turnout.api.status import SPENT, ControlStatus, Status, Verdict
from turnout.api.version import Desired, ModelVersion
from turnout.rollout.capacity import capacity
from turnout.rollout.plan import Event
from turnout.rollout.record import condemn, enter, go_on, promote, resume
from turnout.rollout.selection import ABORT, TAKEN_AWAY, WAITING, Member, Selection, is_stable_state
from turnout.rollout.steps import current_step
from turnout.rollout.stops import is_late, lifted, standing

PAUSED, PROMOTE, RETRY = "paused", "promote", "retry"
"""The other wishes of the control block, as `status.control.refused` names them."""


def is_paused(member: Member, version: ModelVersion) -> bool:
    """A person wants it to stay where it is, and has not been told before that this has no effect."""
    return version.spec.control.paused and PAUSED not in member.status.control.refused


def given(member: Member) -> int:
    """The share that it has by the operator's own last word, in percent: what a person stops gets no more."""
    return max(member.written_percent, member.status.weight.desired)


def abort(status: Status, selection: Selection) -> Status:
    now = selection.snapshot.now
    control = status.control.model_copy(update={"aborted_at": now})
    noted = status.model_copy(update={"control": control})
    return condemn(noted, State.Aborted, Reason.Aborted, "a person set control.abort", now)


def abort_of_a_wait(status: Status, selection: Selection) -> Status:
    """No attempt has begun, and none does without a new retry token."""
    now = selection.snapshot.now
    verdict = Verdict(outcome=State.Aborted, reason=Reason.Aborted, message="a person set control.abort", at=now)
    control = status.control.model_copy(update={"aborted_at": now})
    return enter(status, State.Aborted, Reason.Aborted, now, verdict=verdict, control=control)


def retried(member: Member, version: ModelVersion) -> Status | None:
    """The status with its retry token noted, if there is a new one that may act."""
    if not _is_new_retry(version, member.status) or why_not_retried(member, version):
        return None
    control = spend(member.status.control, RETRY, version.spec.control.retry_token)
    return member.status.model_copy(update={"control": _without(control, RETRY), "retries": 0})


def promoted_fully(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """Everything at once; before callers have met it, as soon as it is warmed up."""
    noted, now = _noted(member, version, PromoteMode.FULL), selection.snapshot.now
    if noted is None:
        return None
    if member.state in {State.Deploying, State.Warming}:
        return noted.model_copy(update={"control": noted.control.model_copy(update={"full_at": now})})
    return promote(lifted(noted, now), Reason.PromotedByPerson, capacity(selection, version), now)


def moved_on(member: Member, version: ModelVersion, selection: Selection) -> Status | None:
    """The next step, if a person ends this one; a setWeight that was stopped goes on and waits for its split.

    A step that its deadline has stopped goes on as well: an approval is not given by the way.
    """
    noted, now = _noted(member, version, PromoteMode.NEXT_STEP), selection.snapshot.now
    if noted is None or noted.step is None:
        return None
    step = current_step(noted)
    if step is None or step.set_weight is not None or is_late(noted):
        return resume(lifted(noted, now), now)
    return go_on(lifted(noted, now), noted.step.index + 1, capacity(selection, version), now)


def _noted(member: Member, version: ModelVersion, mode: PromoteMode) -> Status | None:
    asks = version.spec.control.promote.mode is mode and _is_new_promotion(version, member.status)
    if not asks or why_not_promoted(member, version):
        return None
    control = spend(member.status.control, PROMOTE, version.spec.control.promote.token)
    return member.status.model_copy(update={"control": _without(control, PROMOTE)})


def _is_new_promotion(version: ModelVersion, status: Status) -> bool:
    return _is_new(status.control, PROMOTE, version.spec.control.promote.token)


def _is_new_retry(version: ModelVersion, status: Status) -> bool:
    return _is_new(status.control, RETRY, version.spec.control.retry_token)


def _is_new(control: ControlStatus, wish: str, token: str) -> bool:
    last = control.promote_token if wish == PROMOTE else control.retry_token
    return token not in ("", last) and f"{wish} {token}" not in control.spent


def spend(control: ControlStatus, wish: str, token: str) -> ControlStatus:
    """The token acts, or has been told to have no effect; neither it nor those before it do so once more."""
    field = "promote_token" if wish == PROMOTE else "retry_token"
    last = getattr(control, field)
    spent = (*control.spent, f"{wish} {last}")[-SPENT:] if last else control.spent
    return control.model_copy(update={field: token, "spent": spent})


def why_not_retried(member: Member, version: ModelVersion) -> str:
    """Why a retry has no effect now; empty if it has."""
    if version.spec.control.abort:
        return "control.abort is true: set it to false, then give a new token"
    if version.spec.desired is not Desired.LIVE:
        return f"desired is {version.spec.desired}: set it to Live, then give a new token"
    has_failed = member.status.failed or member.held_for is Reason.RollbackBlocked
    return "" if has_failed else f"{_standing(member)}: only an attempt that has failed is retried"


def why_not_promoted(member: Member, version: ModelVersion) -> str:
    """Why a promotion has no effect now; empty if it has."""
    control = version.spec.control
    if control.abort:
        return "control.abort is true and wins over it"
    if is_paused(member, version):
        return "control.paused is true: set it to false, then give a new token"
    if (member.state not in ROLLOUT_STATES and member.state is not State.Frozen) or is_stable_state(member.status):
        return f"{_standing(member)}, in no rollout"
    if member.state is State.RollingBack:
        return "it is being rolled back"
    if member.held_for is Reason.RollbackBlocked and version.spec.desired is not Desired.LIVE:
        return f"desired is {version.spec.desired}: set it to Live, and it begins anew"
    return "" if control.promote.mode is PromoteMode.FULL else _why_not_moved_on(member, version)


def _why_not_moved_on(member: Member, version: ModelVersion) -> str:
    if member.state in {State.Deploying, State.Warming}:
        return "no caller has met it yet: NextStep ends a pause, an approval or an analysis"
    if member.state is State.Promoting:
        return "it is behind its last step"
    if member.state is State.Frozen:
        return "it is frozen: promote Full, abort, retry, or set desired to Standby or Retired"
    full = f"promote Full makes it the stable one: turnout promote {version.model} --full"
    if member.held_for is Reason.RollbackBlocked:
        return f"its rollout has ended, and it carries on because nothing else lives: {full}"
    if member.held_for is Reason.StableUnhealthy:
        return f"no step ends while the stable version is dead: {full}"
    if member.held_for in TAKEN_AWAY | {Reason.TooLittleCapacity}:
        return f"it is Held ({member.held_for}), and a person cannot wave that through"
    step, paused = current_step(member.status), member.state is State.Paused
    if (step is None or step.set_weight is not None) and not paused:
        return "its step waits until the weight is observed, and a person cannot wave that through"
    return ""


def _standing(member: Member) -> str:
    return f"it is {member.state}" if member.state else "nobody has looked at it yet"


def acknowledged(member: Member, version: ModelVersion, after: Status) -> Status:
    """Note every wish that can have no effect, so that it is told once and never acts later.

    One that only had to give way in this pass, to a death or to the end of a pause, is looked at again in the next. An
    abort that is left standing is a wish about what is to come, too: a version that no caller has met begins nothing.
    """
    wish, control = version.spec.control, after.control
    refused, noted = set(control.refused) & {PROMOTE, RETRY}, control
    if _is_new_promotion(version, after) and _why_refused(member, version, after):
        refused, noted = refused | {PROMOTE}, spend(noted, PROMOTE, wish.promote.token)
    if _is_new_retry(version, after) and why_not_retried(member, version):
        refused, noted = refused | {RETRY}, spend(noted, RETRY, wish.retry_token)
    is_to_act = after.state in WAITING and (ABORT not in control.refused or after.promoted_at is None)
    if wish.abort and not is_to_act and (control.aborted_at is None or ABORT in control.refused):
        refused.add(ABORT)
    if wish.paused and _has_nothing_to_pause(after):
        refused.add(PAUSED)
    noted = noted.model_copy(update={"refused": tuple(sorted(refused))})
    return after if noted == control else after.model_copy(update={"control": noted})


def _has_nothing_to_pause(status: Status) -> bool:
    """In no rollout, and none to come; a pause that was refused does not stop the way back of who was promoted."""
    if PAUSED in status.control.refused and status.promoted_at:
        return True
    runs = status.state in ROLLOUT_STATES and not is_stable_state(status)
    return not runs and status.state not in WAITING


def _why_refused(member: Member, version: ModelVersion, after: Status) -> str:
    """Who promotes must have seen what stops the rollout."""
    fresh = set(standing(after)) - set(member.status.stops)
    told = f"{next(iter(fresh)).message}: look at it, then give a new token" if fresh else ""
    return why_not_promoted(member, version) or told


def _without(control: ControlStatus, wish: str) -> ControlStatus:
    return control.model_copy(update={"refused": tuple(each for each in control.refused if each != wish)})


def told(member: Member, version: ModelVersion, after: Status, selection: Selection) -> Iterator[Event]:
    """One event for each wish that has been acted upon or refused in this pass."""
    before, now, wish = member.status.control, after.control, version.spec.control
    if now.promote_token != before.promote_token:
        name = f"control.promote {wish.promote.mode} with token {now.promote_token}"
        why = _why_refused(member, version, after) if PROMOTE in now.refused else ""
        yield _answer(version, name, why, f"{after.state}: {after.message}")
    if now.retry_token != before.retry_token:
        why = why_not_retried(member, version) if RETRY in now.refused else ""
        yield _answer(version, f"control.retryToken {now.retry_token}", why, f"attempt {after.attempt + 1} may begin")
    if now.aborted_at != before.aborted_at and now.aborted_at is not None:
        yield _answer(version, "control.abort", "", _what_an_abort_does(member, selection))
    for asked in sorted({ABORT, PAUSED} & set(now.refused) - set(before.refused)):
        yield _answer(version, f"control.{asked}", _nothing_to_stop(asked, after), "")


def _what_an_abort_does(member: Member, selection: Selection) -> str:
    if member.state in WAITING:
        return "it waits no more"
    has_a_share = member.observed_percent or member.written_percent
    if not has_a_share or not is_alone(selection):
        return "its share is taken away"
    other = selection.stable.name if selection.stable else "another"
    return f"it keeps its share until {other} lives: nothing else does"


def is_alone(selection: Selection) -> bool:
    """Whoever has a share keeps it: neither a stable version nor a former one lives."""
    stable = selection.stable
    return stable is None or (stable.is_down and not selection.fallbacks)


def _nothing_to_stop(asked: str, status: Status) -> str:
    why = f"it is {status.state}, in no rollout that could stop"
    if status.hold is not None and status.hold.reason is Reason.RollbackBlocked:
        return "its rollout has ended already, and it carries on because nothing else lives"
    return f"{why}; none begins while it is true" if asked == ABORT and status.promoted_at is None else why


def _answer(version: ModelVersion, wish: str, why_not: str, outcome: str) -> Event:
    if why_not:
        return Event(version.name, EventReason.ControlRejected, f"{wish} has no effect: {why_not}"[:1000], warning=True)
    return Event(version.name, EventReason.ControlAccepted, f"{wish}: {outcome}"[:1000])

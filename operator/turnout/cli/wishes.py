"""What a command asks of a version, as the very patch that is sent. Pure: from what was read to what is wished.

A wish names fields of `spec.control`, or `spec.desired`, and no others; whether it has been taken up is read from
`status`, where the engine says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from turnout.api.base import JsonObject
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.judgement import Stop
from turnout.api.reasons import ROLLOUT_STATES, Reason, Role, State
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.cli.command import UserError
from turnout.cli.models import Model
from turnout.rollout.controls import PAUSED, PROMOTE, RETRY, why_not_promoted, why_not_retried
from turnout.rollout.selection import ABORT, WAITING, Member
from turnout.rollout.stops import is_late, standing

BEFORE_CALLERS = frozenset({State.Deploying, State.Warming})


@dataclass(frozen=True)
class Wish:
    """One patch of one version's spec. `says`: what it does, for a person; `notes`: what stands in its way.

    `refused`: the engine has looked at it, and it has no effect.
    """

    version: ModelVersion
    spec: JsonObject
    says: str
    accepted: Callable[[Status], bool]
    refused: Callable[[Status], bool] = lambda seen: False
    notes: tuple[str, ...] = ()


def fresh_token(now: datetime) -> str:
    """A word that was never used before, and that tells when it was."""
    return f"{now:%Y%m%dT%H%M%SZ}-{token_hex(3)}"


def promote(model: Model, token: str, *, full: bool = False) -> Wish:
    """End the step that runs, or the whole plan; where the engine would refuse it, its own words say why."""
    version = model.in_rollout()
    mode, status = PromoteMode.FULL if full else PromoteMode.NEXT_STEP, version.status
    if version.spec.control.paused:
        raise UserError(f"{version.name} is paused by a person and cannot be promoted: turnout resume {model.name}")
    if why_not := why_not_promoted(*_as_the_engine_would(version, promote=Promote(mode=mode, token=token))):
        raise UserError(f"{version.name} cannot be promoted: {why_not}")
    at = f"its step {status.step.display} " if status.step and status.step.display else "its step "
    ends = f"lets {at}go on, over its deadline" if is_late(status) else f"ends {at}now"
    says = "all traffic, as soon as its pods are ready; steps to come are left out" if full else ends
    return Wish(
        version,
        {"control": {"promote": {"mode": mode.value, "token": token}}},
        says,
        lambda seen: seen.control.promote_token == token and PROMOTE not in seen.control.refused,
        lambda seen: seen.control.promote_token == token and PROMOTE in seen.control.refused,
    )


def _as_the_engine_would(version: ModelVersion, **control: object) -> tuple[Member, ModelVersion]:
    """The version with these words in its control block, as far as it can be told from what is recorded."""
    wished: Control = version.spec.control.model_copy(update=control)
    changed = version.model_copy(update={"spec": version.spec.model_copy(update={"control": wished})})
    return Member(version.name, changed, None, version.status), changed


def abort(model: Model, word: str = "") -> Wish:
    """End the rollout, or of a version that is named the wait; it gets no traffic until somebody retries it."""
    version = model.at(word) if word else model.in_rollout()
    before, state = version.status.control.aborted_at, version.status.state
    may_end = (WAITING | ROLLOUT_STATES | {State.Frozen}) - {State.Rejected}
    if state not in may_end or version.status.role is Role.Stable:
        raise UserError(f"{version.name} is {state}: no rollout of it runs or waits, so there is nothing to abort")
    says = "waits no more" if state in WAITING else "gives its share back"
    return Wish(
        version,
        {"control": {"abort": True}},
        f"{says}; it gets no traffic until it is retried",
        lambda seen: seen.state is State.Aborted or seen.control.aborted_at not in (None, before),
        lambda seen: ABORT in seen.control.refused,
    )


def pause(model: Model) -> Wish:
    """Keep the share and stop the plan's clocks."""
    version = model.in_rollout()
    generation = version.metadata.generation

    def accepted(seen: Status) -> bool:
        is_to_come = seen.state in BEFORE_CALLERS and (seen.observed_generation or 0) > generation
        return seen.control.paused_since is not None or is_to_come

    says = f"keeps its {version.status.weight.observed} % and waits; harm still rolls it back"
    if version.status.state in BEFORE_CALLERS:
        says = "waits before its first share; its warmup goes on, with the timeout that the plan gives it"
    return Wish(
        version,
        {"control": {"paused": True}},
        says,
        accepted,
        lambda seen: PAUSED in seen.control.refused,
        (f"it was paused already; to go on: turnout resume {model.name}",) if version.spec.control.paused else (),
    )


def resume(model: Model) -> Wish:
    """Let a paused one go on: the rollout that runs before one that only says so in its spec."""
    paused = [each for each in (model.rollout, *model.versions) if each and each.spec.control.paused]
    version = next(iter(paused), None)
    if version is None:
        running = model.in_rollout()
        by_plan = running.status.reason in (Reason.PausedByPlan, Reason.AwaitingApproval)
        way_out = f"its plan pauses it; to go on at once: turnout promote {model.name}" if by_plan else "it goes on"
        if stops := standing(running.status):
            way_out = _in_spite_of(stops[0], model)
        raise UserError(f"{running.name} is not paused by a person: {way_out}")
    generation = version.metadata.generation

    def accepted(seen: Status) -> bool:
        return seen.control.paused_since is None and (seen.observed_generation or 0) > generation

    if stops := standing(version.status):
        notes = (f"it stays stopped: {_in_spite_of(stops[0], model)}",)
        return Wish(version, {"control": {"paused": False}}, "is paused by a person no longer", accepted, notes=notes)
    has_none = version.status.state not in ROLLOUT_STATES or version.status.role is Role.Stable
    says = (
        "is paused by a person no longer; it is in no rollout that could go on" if has_none else "goes on where it was"
    )
    return Wish(version, {"control": {"paused": False}}, says, accepted)


def _in_spite_of(stop: Stop, model: Model) -> str:
    """What stops it besides, and what leads on."""
    if stop.reason is Reason.DeadlineExceeded:
        return f"{stop.message}; a longer rollout.deadline or turnout promote {model.name} lets its step go on"
    return f"{stop.message}; to go on all the same: turnout promote {model.name}"


def retry(model: Model, token: str, word: str = "") -> Wish:
    """Give a version that has failed its next attempt."""
    version = model.at(word) if word else model.failed
    if version is None:
        raise UserError(f"no version of {model.name} has failed; see: turnout status {model.name}")
    live = version.model_copy(update={"spec": version.spec.model_copy(update={"desired": Desired.LIVE})})
    if why_not := why_not_retried(*_as_the_engine_would(live, retry_token=token, abort=False)):
        raise UserError(f"{version.name} cannot be retried: {why_not}")
    control: JsonObject = {"retryToken": token}
    spec: JsonObject = {"control": control}
    notes = []
    if version.spec.desired is not Desired.LIVE:
        spec["desired"] = Desired.LIVE.value
        notes.append(f"desired was {version.spec.desired} and would refuse it: set to Live; so in Git, where Git rules")
    if version.spec.control.abort:
        control["abort"] = False
        notes.append("control.abort was still true and would refuse it: set to false")
    if version.spec.control.paused:
        notes.append(f"control.paused is true: it will wait; to go on: turnout resume {model.name}")
    return Wish(
        version,
        spec,
        f"attempt {version.status.attempt + 1} begins, with its plan from the first step on",
        lambda seen: seen.control.retry_token == token and RETRY not in seen.control.refused,
        lambda seen: seen.control.retry_token == token and RETRY in seen.control.refused,
        (*notes, *_not_the_target(model, version)),
    )


def _not_the_target(model: Model, version: ModelVersion) -> tuple[str, ...]:
    """Why a retried version would get no traffic all the same."""
    above = [other for other in model.versions if other.version > version.version and is_eligible(other)]
    if not above:
        return ()
    way_out = f"turnout rollback {model.name} {version.version}"
    return (f"{above[0].name} is newer and Live, so it stays the target; to change that: {way_out}",)


def is_eligible(version: ModelVersion) -> bool:
    """It could be the target, as far as can be told from outside."""
    status = version.status
    return version.spec.desired is Desired.LIVE and not (status.failed or status.state is State.Rejected)

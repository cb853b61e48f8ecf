"""What a command asks of a version, as the very patch that is sent. Pure: from what was read to what is wished.

A wish names fields of `spec.control`, or `spec.desired`, and no others; whether it has been taken up is read from
`status`, where the engine says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from turnout.api.base import JsonObject
from turnout.api.reasons import FAILED_STATES, Reason, State
from turnout.api.status import Status
from turnout.api.version import Desired, ModelVersion
from turnout.cli.command import UserError
from turnout.cli.models import Model, standing


@dataclass(frozen=True)
class Wish:
    """One patch of one version's spec. `says`: what it does, for a person; `notes`: what stands in its way."""

    version: ModelVersion
    spec: JsonObject
    says: str
    accepted: Callable[[Status], bool]
    notes: tuple[str, ...] = ()


def fresh_token(now: datetime) -> str:
    """A word that was never used before, and that tells when it was."""
    return f"{now:%Y%m%dT%H%M%SZ}-{token_hex(3)}"


def promote(model: Model, token: str, *, full: bool = False) -> Wish:
    """End the step that runs, or the whole plan."""
    version = model.in_rollout()
    status = version.status
    if status.state is State.RollingBack:
        raise UserError(f"{standing(version)} and cannot be promoted; when it is over: turnout retry {model.name}")
    at = f"its step {status.step.display} " if status.step and status.step.display else "its step "
    says = "all traffic, as soon as its pods are ready; steps to come are left out" if full else f"ends {at}now"
    notes = ("control.abort is true and wins over a promotion",) if version.spec.control.abort else ()
    return Wish(
        version,
        {"control": {"promote": {"mode": "Full" if full else "NextStep", "token": token}}},
        says,
        lambda seen: seen.control.promote_token == token,
        notes,
    )


def abort(model: Model) -> Wish:
    """End the rollout; the version gets no traffic until somebody retries it."""
    if model.rollout is None and model.failed and model.failed.status.state is State.Frozen:
        raise UserError(
            f"{model.failed.name} is Frozen and its rollout is over: turnout rollback {model.name} takes its share "
            f"away, turnout retry {model.name} tries it again"
        )
    version = model.in_rollout()
    before = version.status.control.aborted_at
    return Wish(
        version,
        {"control": {"abort": True}},
        "gives its share back; it gets no traffic until it is retried",
        lambda seen: seen.state is State.Aborted or seen.control.aborted_at not in (None, before),
    )


def pause(model: Model) -> Wish:
    """Keep the share and stop the plan's clocks."""
    version = model.in_rollout()
    says = f"keeps its {version.status.weight.observed} % and waits; harm still rolls it back"
    notes = (f"it was paused already; to go on: turnout resume {model.name}",) if version.spec.control.paused else ()
    return Wish(version, {"control": {"paused": True}}, says, lambda seen: seen.control.paused_since is not None, notes)


def resume(model: Model) -> Wish:
    """Let a paused one go on."""
    version = next((each for each in model.versions if each.spec.control.paused), None)
    if version is None:
        running = model.in_rollout()
        by_plan = running.status.reason is Reason.PausedByPlan
        way_out = f"its plan pauses it; to go on at once: turnout promote {model.name}" if by_plan else "it goes on"
        raise UserError(f"{running.name} is not paused by a person: {way_out}")
    return Wish(
        version, {"control": {"paused": False}}, "goes on where it was", lambda seen: seen.control.paused_since is None
    )


def retry(model: Model, token: str, word: str = "") -> Wish:
    """Give a version that has failed its next attempt."""
    version = model.at(word) if word else model.failed
    if version is None:
        raise UserError(f"no version of {model.name} has failed; see: turnout status {model.name}")
    if version.status.state not in FAILED_STATES:
        raise UserError(f"{standing(version)}: only a version that has failed can be retried")
    control: JsonObject = {"retryToken": token}
    notes = []
    if version.spec.control.abort:
        control["abort"] = False
        notes.append("control.abort was still true and would refuse it: set to false")
    if version.spec.control.paused:
        notes.append(f"control.paused is true: it will wait; to go on: turnout resume {model.name}")
    return Wish(
        version,
        {"control": control},
        f"attempt {version.status.attempt + 1} begins, with its plan from the first step on",
        lambda seen: seen.control.retry_token == token,
        (*notes, *_not_the_target(model, version)),
    )


def _not_the_target(model: Model, version: ModelVersion) -> tuple[str, ...]:
    """Why a retried version would get no traffic all the same."""
    if version.spec.desired is not Desired.LIVE:
        way_out = f"turnout rollback {model.name} {version.version}"
        return (f"its desired is {version.spec.desired}, so it stands by; to make it the target: {way_out}",)
    above = [other for other in model.versions if other.version > version.version and is_eligible(other)]
    if not above:
        return ()
    way_out = f"turnout rollback {model.name} {version.version}"
    return (f"{above[0].name} is newer and Live, so it stays the target; to change that: {way_out}",)


def is_eligible(version: ModelVersion) -> bool:
    """It could be the target, as far as can be told from outside."""
    status = version.status
    return version.spec.desired is Desired.LIVE and status.state not in FAILED_STATES | {State.Rejected}

"""Deploying and Warming: before any caller meets a version. Whatever goes wrong here, traffic stays as it is."""

import json
from datetime import datetime
from typing import Any

from turnout.api.plan import resolve_plan
from turnout.api.reasons import Reason, State
from turnout.api.rollout import Warmup
from turnout.api.status import RevisionStatus, Status, Verdict
from turnout.api.version import ModelVersion
from turnout.rollout import controls
from turnout.rollout.capacity import capacity, needed
from turnout.rollout.evidence import forgotten
from turnout.rollout.made_of import why_not_the_same
from turnout.rollout.plan import ProbeRequest
from turnout.rollout.record import end_attempt, enter, go_on, promote
from turnout.rollout.selection import Member, Selection
from turnout.rollout.snapshot import Probe
from turnout.rollout.steps import first_step_in_traffic, first_weight, steps_of


def deploying(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Pin the revision once it is Ready and has the pods that its first share needs; fail at the deadline."""
    now, status = selection.snapshot.now, member.status
    trouble = selection.snapshot.trouble if member.deployment is None else None
    if trouble:  # no fault of this version: its clock begins when the engine can work
        return enter(status, State.Deploying, trouble.reason, now, progress_since=None)
    problem = member.deployment.problem if member.deployment else None
    if problem and problem.permanent:
        return fail(status, problem.reason, problem.message, now)
    if controls.is_paused(member, version):
        status = status.model_copy(update={"progress_since": None})  # it begins anew after the pause
    elif status.progress_since is None:
        return enter(status, State.Deploying, Reason.AwaitingRevision, now, progress_since=now)
    elif now - status.progress_since >= version.spec.rollout.progress_deadline.delta:
        text = f"not ready within {version.spec.rollout.progress_deadline}"
        last = f": {problem.message}" if problem else ""
        return fail(status, Reason.ProgressDeadlineExceeded, text + last, now)
    revision = member.revision
    if revision is None or not member.deployment or member.deployment.leaving:
        reason = problem.reason if problem else Reason.AwaitingRevision
        return enter(status, State.Deploying, reason, now)
    if not revision.servable or revision.ready_pods < needed(member, first_weight(status)):
        return enter(status, State.Deploying, problem.reason if problem else Reason.AwaitingPods, now)
    pin = RevisionStatus(name=revision.name, uid=revision.uid)
    return enter(status, State.Warming, Reason.WarmingUp, now, revision=pin)


def warming(member: Member, version: ModelVersion, selection: Selection) -> Status:
    """Wait for the examples' answers, compare the contract with stable's, then meet the first callers."""
    now, status = selection.snapshot.now, member.status
    if member.revision is None:
        return redeploy(status, version, Reason.RevisionReplaced, now)
    if member.death and member.death.own_fault:
        return fail(status, member.death.reason, member.death.message, now)
    probe = selection.snapshot.probes.get(member.revision.uid)
    if probe and probe.done and probe.problem:
        return fail(status, probe.problem.reason, probe.problem.message, now)
    timeout = request(member, version.model).timeout
    if now - (status.state_since or now) >= timeout:
        text = f"its examples were not answered within {timeout.total_seconds():.0f} s"
        return fail(status, Reason.WarmupTimeout, text, now)
    if not probe or not probe.done:
        return status
    known = version.spec.rollout.allow_contract_change or status.promoted_at
    difference = "" if known else _contract_difference(probe, selection)
    if difference is None:
        return status  # stable is still waking up, to be asked for its contract
    if difference:
        return fail(status, Reason.ContractDiffers, difference, now)
    return _meet_callers(status, version, selection)


def _meet_callers(status: Status, version: ModelVersion, selection: Selection) -> Status:
    now = selection.snapshot.now
    size = capacity(selection, version)
    status = status.model_copy(update={"analysis": forgotten(now)})
    if selection.stable is None:
        serves = any(member.observed_percent for member in selection.members.values())
        return promote(status, Reason.NoStable if serves else Reason.FirstVersion, size, now)
    if status.promoted_at:
        return promote(status, Reason.FastReturn, size, now)
    if status.control.full_at:
        return promote(status, Reason.PromotedByPerson, size, now)
    return go_on(status, first_step_in_traffic(status), size, now)


def fail(status: Status, reason: Reason, message: str, now: datetime) -> Status:
    """The attempt is over before any caller met it."""
    verdict = Verdict(outcome=State.Failed, reason=reason, message=message, at=now)
    return end_attempt(status, State.Failed, reason, now, verdict=verdict, scale_down_at=None)


def redeploy(status: Status, version: ModelVersion, reason: Reason, now: datetime) -> Status:
    """What ran it was taken away or replaced, or its record cannot be read: it is looked at anew, from the start."""
    plan = status.plan or resolve_plan(version.spec).status()
    promoted_at = None if why_not_the_same(status, version) else status.promoted_at
    return enter(
        status, State.Deploying, reason, now,
        revision=None, step=None, plan=plan, progress_since=now, promoted_at=promoted_at,
    )  # fmt: skip


def request(member: Member, model: str) -> ProbeRequest:
    """What to ask of a warming version; without a warmup step its contract alone, within the usual timeout."""
    steps = steps_of(member.status)
    step = steps[0].warmup if steps and steps[0].warmup else Warmup(requests=0)
    revision = member.revision
    return ProbeRequest(
        version=member.name,
        revision=revision.name if revision else "",
        revision_uid=revision.uid if revision else "",
        model=model,
        requests=step.requests,
        timeout=step.timeout.delta,
    )


def _contract_difference(probe: Probe, selection: Selection) -> str | None:
    """A sentence naming what differs from stable's contract, empty if nothing; None while stable's is unknown."""
    stable = selection.stable
    if stable is None or stable.revision is None or stable.death:
        return ""  # nobody to compare with
    known = selection.snapshot.probes.get(stable.revision.uid)
    if known is None or not known.done:
        return None
    if known.problem or known.contract == probe.contract:
        return ""
    ours, theirs = _fields(probe.contract), _fields(known.contract)
    differing = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    parts = "; ".join(f"{key}: {ours.get(key)} instead of {theirs.get(key)}" for key in differing)
    return f"{parts}. Set rollout.allowContractChange: true if callers are ready for it"


def _fields(contract: str) -> dict[str, Any]:
    """A contract by its parts; one that is no JSON object is one part."""
    try:
        read = json.loads(contract)
    except ValueError:
        read = contract
    return read if isinstance(read, dict) else {"contract": read}

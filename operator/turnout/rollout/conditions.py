"""Conditions and the other derived fields of a status: what pipelines wait for and columns show."""

from collections.abc import Mapping
from datetime import datetime

from turnout.api.reasons import FAILED_STATES, ROLLOUT_STATES, ConditionType, Reason, Role, State
from turnout.api.status import EPOCH, Condition, ConditionStatus, ReplicasStatus, Status, WeightStatus
from turnout.api.version import Desired, ModelVersion
from turnout.judge.protocol import Outcome
from turnout.rollout.arriving import is_untold
from turnout.rollout.capacity import floor
from turnout.rollout.look import Look
from turnout.rollout.messages import message
from turnout.rollout.notes import MARK, notes
from turnout.rollout.overdue import has_a_plan, overdue_since
from turnout.rollout.selection import TRAFFIC_STATES, Member, Selection, is_stable_state
from turnout.rollout.snapshot import Route

STUCK = 60
"""Seconds after which a Route that has not taken a split is called stuck."""

Judgement = tuple[ConditionStatus, Reason, str]

YES, NO, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def complete(
    member: Member,
    version: ModelVersion,
    status: Status,
    weights: Mapping[str, int],
    selection: Selection,
    *,
    as_told: bool = False,
) -> Status:
    """Fill in everything that follows from the state: role, weight, pods, addresses, message, conditions.

    `as_told`: of the split what the recorded status tells of it, if that held still.
    """
    snapshot = selection.snapshot
    keeps = as_told and is_untold(version.status, weights.get(member.name, 0), member.observed_percent)
    draft = status.model_copy(
        update={
            "observed_generation": version.metadata.generation,
            "role": _role(member, status, selection),
            "weight": version.status.weight if keeps else _weight(member, status, weights, selection),
            "replicas": ReplicasStatus(
                ready=member.ready_pods,
                floor=floor(selection, member, snapshot.now) if member.revision else 0,
            ),
            "url": snapshot.namespace_url.format(name=version.model),
            "version_url": snapshot.version_url.format(name=version.name) if member.deployment else "",
            "message": message(member, status, selection),
        }
    )
    judged = _judgements(member, version, draft, selection)
    if keeps:
        judged[ConditionType.TrafficInSync] = _as_before(version, ConditionType.TrafficInSync)
    return draft.model_copy(
        update={
            "conditions": tuple(
                _condition(kind, judgement, version, snapshot.now) for kind, judgement in judged.items()
            )
        }
    )


def _role(member: Member, status: Status, selection: Selection) -> Role:
    if is_stable_state(status):
        return Role.Stable
    if status.state in (ROLLOUT_STATES - {State.RollingBack}) | {State.Frozen}:
        return Role.Candidate
    return Role.Standby if status.state is State.Standby else Role.Unassigned


def _weight(member: Member, status: Status, weights: Mapping[str, int], selection: Selection) -> WeightStatus:
    desired, observed = weights.get(member.name, 0), member.observed_percent
    same = selection.route is None or selection.route.in_sync
    before = status.weight
    most = max(observed, member.written_percent, before.most if status.attempt == member.status.attempt else 0)
    if desired == observed and same:
        seen = before.desired == desired and before.observed == observed and before.verified_at
        return WeightStatus(
            desired=desired,
            observed=observed,
            verified_at=seen or (selection.snapshot.now if desired else None),
            most=most,
        )
    return WeightStatus(desired=desired, observed=observed, most=most)


def _condition(kind: ConditionType, judgement: Judgement, version: ModelVersion, now: datetime) -> Condition:
    truth, reason, text = judgement
    before = version.status.condition(kind)
    generation = version.metadata.generation
    if before is None or before.status is not truth or before.last_transition_time == EPOCH:
        since = now
    elif (before.reason, before.message, before.observed_generation) == (reason.value, text, generation):
        return before  # the usual case, and much of a pass's time if it were made anew
    else:
        since = before.last_transition_time
    return Condition(
        type=kind.value,
        status=truth,
        observed_generation=generation,
        last_transition_time=since,
        reason=reason.value,
        message=text,
    )


def _as_before(version: ModelVersion, kind: ConditionType) -> Judgement:
    before = version.status.condition(kind)
    assert before is not None
    return before.status, Reason(before.reason), before.message


def _judgements(
    member: Member, version: ModelVersion, status: Status, selection: Selection
) -> dict[ConditionType, Judgement]:
    return {
        ConditionType.Accepted: _accepted(member, version, status, selection),
        ConditionType.ArtifactReady: _artifact_ready(version, status),
        ConditionType.RevisionReady: _revision_ready(member, status),
        ConditionType.RevisionPinned: _pinned(member, status),
        ConditionType.TrafficInSync: _in_sync(selection.route, status, selection.snapshot.now),
        ConditionType.AnalysisHealthy: _analysis_healthy(member, version, status, selection),
        ConditionType.Progressing: _progressing(status),
        ConditionType.Stalled: _stalled(member, version, status, selection),
        ConditionType.Contended: _contended(selection.route),
        ConditionType.Ready: _ready(version, status),
    }


def _said(truth: ConditionStatus, reason: Reason, text: str = "") -> Judgement:
    return truth, reason, text or reason.sentence


def _accepted(member: Member, version: ModelVersion, status: Status, selection: Selection) -> Judgement:
    problem = selection.refused.get(member.name)
    noted = "".join(f"{MARK}{note}" for note in notes(member, version, status, selection))
    if problem:
        return NO, problem.reason, f"{problem.message}{noted}"
    return YES, Reason.Accepted, f"{Reason.Accepted.sentence}{noted}"


ARTIFACT_REASONS = frozenset(
    {
        Reason.ArtifactNotFound,
        Reason.ArtifactDigestMismatch,
        Reason.ArtifactInvalid,
        Reason.ArtifactDenied,
        Reason.ArtifactNoRoom,
        Reason.ArtifactUnreachable,
    }
)


def _artifact_ready(version: ModelVersion, status: Status) -> Judgement:
    if status.reason in ARTIFACT_REASONS:
        return NO, status.reason, status.message
    if status.revision is not None:
        return _said(YES, Reason.RevisionReady, _loaded(version))
    return UNKNOWN, Reason.Pending, "no pod has loaded it yet"


def _loaded(version: ModelVersion) -> str:
    artifact = version.spec.predictor.artifact
    if artifact is None:
        return "it names no artifact"
    verified = "the artifact was verified and loaded"
    return verified if artifact.digest else "the artifact was loaded; it names no digest, so nothing was verified"


def _revision_ready(member: Member, status: Status) -> Judgement:
    if member.revision is None:
        return _said(UNKNOWN, Reason.RevisionGone if status.revision else Reason.AwaitingRevision)
    if member.death:
        return NO, member.death.reason, member.death.message
    if not member.revision.wanted and not member.ready_pods:
        return _said(YES, Reason.ScaledToZero)
    return _said(YES, Reason.RevisionReady) if member.ready_pods else _said(UNKNOWN, Reason.AwaitingPods)


def _pinned(member: Member, status: Status) -> Judgement:
    unplanned = member.deployment.unplanned if member.deployment else ()
    if unplanned:
        names = ", ".join(unplanned)
        return NO, Reason.UnplannedRevision, f"{names} was minted by somebody's change and gets no traffic"
    if member.was_replaced:
        return _said(NO, Reason.RevisionReplaced)
    return _said(YES, Reason.Pinned) if status.revision else _said(UNKNOWN, Reason.NotPinned)


def _in_sync(route: Route | None, status: Status, now: datetime) -> Judgement:
    if not status.weight.desired and not status.weight.observed:
        return _said(YES, Reason.NoTraffic)
    if route is not None and route.in_sync and status.weight.desired == status.weight.observed:
        return _said(YES, Reason.InSync)
    if route is not None and route.problem is not None:  # of the last write; what is no longer wished needs none
        return NO, route.problem.reason, route.problem.message
    since = route.unsynced_since if route else None
    if since is not None and (now - since).total_seconds() >= STUCK:
        return _said(NO, Reason.TrafficStuck)
    return _said(UNKNOWN, Reason.RouteNotReady)


def _analysis_healthy(member: Member, version: ModelVersion, status: Status, selection: Selection) -> Judgement:
    """As the last poll of the attempt found it: a process that has forgotten that poll changes nothing."""
    look = selection.look if member is selection.candidate else None
    before = version.status.condition(ConditionType.AnalysisHealthy)
    known = before is not None and status.state in TRAFFIC_STATES and member.state in TRAFFIC_STATES
    if look is not None and look.poll is not None:
        truth, reason, text = _source(look)
        if not (before and known and (before.status, before.reason) == (truth, reason)):
            return truth, reason, text
    if before is not None and known and before.reason in _SOURCE_REASONS:
        return before.status, Reason(before.reason), before.message
    return _said(UNKNOWN, Reason.NotAnalysed)


def _source(look: Look) -> Judgement:
    if look.finding.outcome is Outcome.SOURCE_ERROR:
        return _said(NO, Reason.SourceError, look.finding.message)
    if look.finding.outcome is Outcome.NO_DATA:
        return _said(UNKNOWN, Reason.NoData, look.finding.message)
    return _said(YES, Reason.SourceAnswers)


_SOURCE_REASONS = frozenset({Reason.SourceError, Reason.NoData, Reason.SourceAnswers})


def _progressing(status: Status) -> Judgement:
    if status.state in ROLLOUT_STATES and not is_stable_state(status):
        return YES, status.reason or Reason.StepInProgress, status.message
    return _said(NO, Reason.NoRollout)


def _stalled(member: Member, version: ModelVersion, status: Status, selection: Selection) -> Judgement:
    if status.state in FAILED_STATES or status.state is State.Rejected:
        return YES, status.reason or Reason.Invalid, status.message
    if overdue_since(member, status, selection.snapshot.now):
        late = f"the attempt takes longer than {version.spec.rollout.deadline}"
        word = "promotes" if status.state in TRAFFIC_STATES else "fully promotes"
        keeps = f"it keeps its weight until a person puts that off, {word} or aborts it"
        goes_on = keeps if has_a_plan(member, status, selection) else "it goes on as soon as it can"
        return YES, Reason.DeadlineExceeded, f"{late}; {goes_on}"
    return _said(NO, Reason.NotStalled)


def _contended(route: Route | None) -> Judgement:
    if route is not None and route.contended:
        return _said(YES, Reason.Contended)
    return _said(NO, Reason.NotContended)


def _ready(version: ModelVersion, status: Status) -> Judgement:
    reason = status.reason or Reason.Pending
    match status.state:
        case State.Live:
            return (NO, reason, status.message) if reason in _DEAD else (YES, reason, status.message)
        case State.Standby if reason is Reason.BeingDeleted:
            return NO, reason, status.message
        case State.Standby | State.Archived | State.Superseded:
            live = version.spec.desired is Desired.LIVE
            return _said(YES, Reason.NotTheTarget if live else Reason.StandbyRequested, status.message)
        case State.Retired:
            return _said(YES, Reason.RetiredByRequest)
        case State.Rejected | State.RolledBack | State.Aborted | State.Failed | State.Frozen:
            return NO, reason, status.message
        case _:
            return UNKNOWN, reason, status.message


_DEAD = frozenset({Reason.Crashed, Reason.ReadinessLost, Reason.Evicted, Reason.RevisionGone, Reason.TrafficStuck})

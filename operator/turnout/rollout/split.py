"""The one split that should hold now: from recorded states, and from who is dead.

Lowering is never blocked. A rise waits until the last split is observed and both sides are at capacity; the only
unplanned rise is that of the living when another dies. What a person pauses or aborts, or what is over its deadline,
does not rise from the moment that this is seen: it is recorded only after the split of that pass.
"""

from turnout.api.reasons import Reason, State
from turnout.judge.protocol import Outcome
from turnout.rollout import overdue
from turnout.rollout.capacity import may_have
from turnout.rollout.controls import given, is_paused
from turnout.rollout.selection import TAKEN_AWAY, TRAFFIC_STATES, Member, Selection
from turnout.rollout.snapshot import Share, Split
from turnout.rollout.steps import weight_of
from turnout.rollout.stops import standing

Weights = dict[str, int]
"""Percent by member name; only those above 0; empty, or summing to 100."""


def desired_weights(selection: Selection) -> Weights:
    """Who should have how much, in whole percent."""
    planned = _planned(selection)
    return _among_the_living(selection, planned)


def desired_split(selection: Selection, weights: Weights) -> Split:
    """The same by revision, in the order of the names, so that an unchanged wish is an unchanged write."""
    shares = [Share(selection.members[name].revision_name, percent) for name, percent in weights.items()]
    return tuple(sorted(share for share in shares if share.revision))


def _planned(selection: Selection) -> Weights:
    stable, candidate = selection.stable, selection.candidate
    wished = _candidate_wish(candidate) if candidate else 0
    if candidate and stable and (_is_stopped_by_person(candidate) or overdue.is_new(candidate, selection)):
        wished = min(wished, given(candidate))
    share = _allowed(selection, candidate, wished) if candidate else 0
    if candidate is None and selection.frozen is not None:
        candidate = selection.frozen
        share = min(weight_of(candidate.status), candidate.written_percent)
    if stable is None:
        return {candidate.name: 100} if candidate and share else _unclaimed(selection)
    weights = {stable.name: 100 - share}
    if candidate:
        weights[candidate.name] = share
    return {name: percent for name, percent in weights.items() if percent}


def _unclaimed(selection: Selection) -> Weights:
    """Nobody is stable and nobody may take over: whoever serves goes on alone."""
    serving = [m for m in selection.members.values() if m.observed_percent and m.revision_name]
    alone = max(serving, key=lambda m: m.observed_percent, default=None)
    return {alone.name: 100} if alone else {}


WARNINGS = frozenset({Outcome.HARM, Outcome.PAUSE})
"""What the judge may say in the very pass in which a step's share is due: the share waits for what follows from it."""

OUT_OF_THE_SPLIT = TAKEN_AWAY | {Reason.RollbackBlocked}
"""Holds without a share: it comes back to its step with its pods, or serves only as the last that lives."""


def _candidate_wish(candidate: Member) -> int:
    if candidate.state not in TRAFFIC_STATES or candidate.held_for in OUT_OF_THE_SPLIT:
        return 0
    planned = weight_of(candidate.status)
    if candidate.status.reason is Reason.PausedByPerson:  # what was not given before the pause is not given in it
        planned = min(planned, candidate.status.control.paused_weight or 0)
    return min((planned, *(stop.weight for stop in standing(candidate.status))))


def _is_stopped_by_person(candidate: Member) -> bool:
    """Asked for and not recorded yet; a recorded pause knows the share that it began with."""
    if candidate.version is None:
        return False
    is_noted = candidate.status.reason is Reason.PausedByPerson
    return candidate.is_aborted or (is_paused(candidate, candidate.version) and not is_noted)


def _allowed(selection: Selection, candidate: Member, wished: int) -> int:
    """No rise before the last split is observed, the revision may serve, and both sides are at capacity."""
    if wished <= min(candidate.observed_percent, candidate.written_percent):
        return wished
    route = selection.route
    settled = route is None or route.in_sync or _serves_nobody(selection)
    servable = candidate.revision is not None and candidate.revision.servable
    warned = selection.look is not None and selection.look.outcome in WARNINGS
    if warned or not servable:
        return min(wished, candidate.written_percent)
    if settled and may_have(selection, candidate, wished):
        return wished
    # not what is still observed: it may just have been dropped
    return min(wished, max(candidate.written_percent, _taken_by_hand(selection, candidate)))


def _taken_by_hand(selection: Selection, candidate: Member) -> int:
    """What it had by the operator's own last word, where others write the Route: to put that back is no rise."""
    told = candidate.status.weight.desired
    edited = selection.route is not None and bool(selection.route.foreign_edits)
    return told if edited and may_have(selection, candidate, told) else 0


def _serves_nobody(selection: Selection) -> bool:
    """No caller is met yet: there is no split to wait for, least of all one that never takes effect."""
    return selection.stable is None and not any(m.observed_percent for m in selection.members.values())


def _among_the_living(selection: Selection, planned: Weights) -> Weights:
    """Take the share of the dead and give it to the first that lives; alone, the dead keep it."""
    down = {name for name in planned if selection.members[name].is_down}
    heir = _heir(selection) if down else None
    if heir is None:
        return planned
    weights = {name: percent for name, percent in planned.items() if name not in down}
    weights[heir.name] = weights.get(heir.name, 0) + 100 - sum(weights.values())
    return weights


def _heir(selection: Selection) -> Member | None:
    """Stable first, then the last promoted with ready pods, then the candidate, a condemned version last.

    Failing all of them a stable that sleeps: it would wake up.
    """
    stable, candidate = selection.stable, selection.candidate
    if stable and not stable.is_down:
        return stable
    if selection.fallbacks:
        return selection.fallbacks[0]
    if candidate and candidate.state in TRAFFIC_STATES and candidate.is_able:
        return candidate
    others = [m for m in selection.members.values() if m is not stable and m.is_able and _was_met(m)]
    if others:
        return max(others, key=lambda m: (not _was_found_bad(m), m.observed_percent, m.number))
    return stable if stable and stable.lives else None


def _was_found_bad(member: Member) -> bool:
    """Not who merely had to go, by a person's word or for a newer one."""
    verdict = member.status.verdict
    return verdict is not None and verdict.outcome in {State.RolledBack, State.Frozen, State.Failed}


def _was_met(member: Member) -> bool:
    """Callers have met it, whatever became of it since."""
    met = any(attempt.max_weight for attempt in member.status.history)
    return member.observed_percent > 0 or member.state is State.RollingBack or met

"""The table of transitions, as far as this release serves it: which state may follow which, by the rule that leads on.

It is the design's own table in data; the stories must go through all of it, and neither they nor random histories
anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from turnout.api.reasons import State

Move = tuple[State | None, State | None]

S = State
IN_TRAFFIC = (S.Progressing, S.Paused, S.Held, S.Promoting)
ROLLOUT = (S.Deploying, S.Warming, *IN_TRAFFIC)


def _from(sources: Iterable[State | None], *targets: State) -> set[Move]:
    return {(source, target) for source in sources for target in targets}


TRANSITIONS: Mapping[str, set[Move]] = {
    "created": {(None, S.Pending)},
    "a version number or a name that is taken": {
        *_from([None, S.Pending, S.Queued, S.Standby], S.Rejected),
        (S.Rejected, S.Pending),
    },
    "not the target": {(S.Pending, S.Standby)},
    "the target, its slot free": {(S.Pending, S.Deploying)},
    "a person aborts one that waits": {(S.Pending, S.Aborted), (S.Queued, S.Aborted)},
    "another rollout runs": {(S.Pending, S.Queued), (S.Standby, S.Queued), (S.Queued, S.Pending)},
    "set to Standby while it waits or rests": _from([S.Queued, S.Superseded, S.Retired], S.Standby),
    "its revision is ready": {(S.Deploying, S.Warming)},
    "it cannot be made, or not in time": {(S.Deploying, S.Failed)},
    "it answers wrongly": {(S.Warming, S.Failed)},
    "the first of its model": {(S.Warming, S.Promoting)},
    "it answers as the artifact says": {(S.Warming, S.Progressing)},
    "a pause of the plan or of a person": {(S.Progressing, S.Paused), (S.Paused, S.Progressing)},
    "paused by a person on its way to everything": {(S.Promoting, S.Paused)},
    "the plan is over": {(S.Paused, S.Promoting), (S.Progressing, S.Promoting)},
    "harm is proven, and by policy it stays": _from(IN_TRAFFIC, S.Frozen),
    "a person decides about a frozen one, or a newer one comes": {
        (S.Frozen, S.RollingBack),
        (S.Frozen, S.Pending),
        (S.Frozen, S.Promoting),
    },
    "a new retry token, or a counted retry of Failed": _from([S.RolledBack, S.Aborted, S.Failed], S.Pending),
    "too little capacity, evicted, or stable is dead": {
        (S.Progressing, S.Held),
        (S.Paused, S.Held),
        (S.Promoting, S.Held),
        (S.Held, S.Progressing),
        (S.Held, S.Paused),
        (S.Held, S.Promoting),
    },
    "dead, or set to Standby or Retired": _from(ROLLOUT, S.RollingBack),
    "a newer target": _from(ROLLOUT, S.Superseded),
    "everything goes to it": {(S.Promoting, S.Live)},
    "a newer one was promoted": {(S.Live, S.Standby)},
    "dead, and a former one has ready pods": {(S.Live, S.Held), (S.Held, S.Live)},
    "a former one serves in its place, and a person takes it back": {(S.Held, S.Standby)},
    "promoted once, in the window": {(S.Standby, S.Promoting)},
    "never promoted, or out of the window": {(S.Standby, S.Pending), (S.Standby, S.Archived)},
    "back from the archive": {(S.Archived, S.Pending)},
    "superseded, and the target again": {(S.Superseded, S.Pending)},
    "observed to have no share": _from([S.RollingBack], S.RolledBack, S.Aborted, S.Standby, S.Retired),
    "the stable side is dead": {(S.RollingBack, S.Held), (S.Held, S.RollingBack)},
    "it carries on alone, and is wanted all the same": {(S.Held, S.Pending)},
    "retired": _from(
        [None, S.Pending, S.Queued, S.Standby, S.Superseded, S.Archived, S.RolledBack, S.Failed, S.Aborted], S.Retired
    ),
    "wanted again": {(S.Retired, S.Pending)},
    "wanted again after a failure, without a new retry token": _from([S.Retired], S.RolledBack, S.Failed, S.Aborted),
    "another revision stands under its name": _from(IN_TRAFFIC, S.Deploying),
    "its status was lost": _from([None], S.Live, S.Standby, S.Aborted),
}


def strange(moves: Iterable[Move]) -> list[str]:
    """Those that no rule of the table allows; to None: a status that was taken away."""
    known = set[Move]().union(*TRANSITIONS.values())
    found = ((before, after) for before, after in moves if after not in (before, None))
    return sorted(f"{before} -> {after}" for before, after in found if (before, after) not in known)

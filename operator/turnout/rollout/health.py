"""Who is dead. It rules before everything else, because no condition of the platform says it (a lying Ready).

Dead: has a part in the traffic, wants pods, has none ready, and either a container of it has ended by itself since it
was last ready, or that was three seconds ago. A version on its way up from zero is not dead before its deadline.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from turnout.api.moments import moment
from turnout.api.reasons import Reason
from turnout.rollout.snapshot import Revision, Route

GRACE = timedelta(seconds=3)
"""How long a revision may be without a ready pod when nothing of it has crashed."""


FROZEN_AFTER = timedelta(seconds=10)
"""How long a Route may fail to take a split before what freezes it is looked for."""


@dataclass(frozen=True, slots=True)
class Death:
    """Why nobody answers. `own_fault` is False where the platform took the pods away."""

    reason: Reason
    message: str
    own_fault: bool


def death(revision: Revision | None, now: datetime, start_deadline: timedelta) -> Death | None:
    """What killed a revision that should answer; None while it lives, sleeps or may still be starting."""
    if revision is None:
        return Death(Reason.RevisionGone, "its revision exists no more", own_fault=False)
    if revision.ready_pods or not revision.wanted:
        return None
    if revision.starting:
        return _never_started(revision, now, start_deadline)
    if revision.crash:
        detail = f": {revision.crash.message}" if revision.crash.message else ""  # no moment: a crash loop writes once
        return Death(Reason.Crashed, f"exit code {revision.crash.exit_code}{detail}", own_fault=True)
    if revision.ready_at is not None and now - revision.ready_at < GRACE:
        return None
    if all(pod.leaving for pod in revision.pods) or _only_replacements(revision):
        return Death(Reason.Evicted, "its pods were taken away", own_fault=False)
    since = f" since {moment(revision.ready_at)}" if revision.ready_at else ""
    return Death(Reason.ReadinessLost, f"none of its pods has been ready{since}", own_fault=True)


def _never_started(revision: Revision, now: datetime, deadline: timedelta) -> Death | None:
    since = revision.starting_since
    if since is None or now - since < deadline:
        return None
    return Death(Reason.ReadinessLost, f"it does not come up since {moment(since)}", own_fault=False)


def _only_replacements(revision: Revision) -> bool:
    """None of those that were ready is left: they have been taken away."""
    known = revision.ready_with
    return bool(known) and all(pod.leaving or pod.name not in known for pod in revision.pods)


def freezes(revision: Revision, route: Route, now: datetime) -> Death | None:
    """A target that is not Ready and has no pod keeps every split from taking effect, the one without it not."""
    if revision.servable or revision.ready_pods or route.in_sync or route.unsynced_since is None:
        return None
    if now - route.unsynced_since < FROZEN_AFTER or not route.percent_written(revision.name):
        return None
    text = f"the Route takes no split since {moment(route.unsynced_since)} because its revision is not Ready"
    return Death(Reason.TrafficStuck, text, own_fault=False)


def next_look(revision: Revision | None, now: datetime, start_deadline: timedelta) -> datetime | None:
    """When `death` may answer otherwise though nothing happens: the end of a grace."""
    if revision is None or revision.ready_pods or not revision.wanted:
        return None
    if revision.starting:
        due = revision.starting_since and revision.starting_since + start_deadline
    else:
        due = revision.ready_at and revision.ready_at + GRACE
    return due if due and due > now else None

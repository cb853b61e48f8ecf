"""A split between its write and the gateway's answer: what of that a status tells, and when.

A Route's usual time is no news: it is told with whatever else there is to tell, but is not worth a write of its own.
That would be two more statuses of each step, and a status is the dearest thing that this operator writes: a hundred
rollouts that step together keep an API server busy with them.
"""

from datetime import timedelta

from turnout.api.reasons import ConditionType
from turnout.api.status import ConditionStatus, Status
from turnout.rollout.plan import RouteChange
from turnout.rollout.selection import Selection, is_stable_state

UNTOLD = timedelta(seconds=3)
"""How long a split may be on its way before a status says so."""


def is_on_its_way(selection: Selection, change: RouteChange | None) -> bool:
    """It is written in this pass, or was a moment ago.

    What could not be written is told at once, and so is all while others edit the Route: by what is told their edits
    are known from our own.
    """
    route = selection.route
    if route is None or route.problem is not None or route.foreign_edits:
        return False
    since = route.unsynced_since
    return change is not None or (since is not None and selection.snapshot.now - since < UNTOLD)


def is_untold(before: Status, desired: int, observed: int) -> bool:
    """Whether a status may go on to tell a share that held still, while another is on its way and nothing else is.

    That a candidate is to lose its share is told at once: whoever watches it then is in a hurry.
    """
    told, weight = before.condition(ConditionType.TrafficInSync), before.weight
    held_still = told is not None and told.status is ConditionStatus.TRUE and weight.desired == weight.observed
    loses = desired < weight.desired and not is_stable_state(before)
    return held_still and not loses and observed in {weight.observed, desired}

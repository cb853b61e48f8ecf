"""A split between its write and the gateway's answer: what of that a status tells, and when.

A Route's usual time is no news. Told at once it would be two more statuses of each step, and a status is the dearest
thing that this operator writes: a hundred rollouts that step together keep an API server busy with them.
"""

from datetime import timedelta

from turnout.api.reasons import ConditionType
from turnout.api.status import ConditionStatus, Status
from turnout.rollout.plan import RouteChange
from turnout.rollout.selection import Selection

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
    """Whether a status may go on to tell a share that held still, while another is on its way and nothing else is."""
    told = before.condition(ConditionType.TrafficInSync)
    settled = (
        told is not None and told.status is ConditionStatus.TRUE and before.weight.desired == before.weight.observed
    )
    return settled and observed in {before.weight.observed, desired}

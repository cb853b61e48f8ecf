"""What the ground does that Turnout stands on, as one table: played on the simulator (test_rules.py here) and on real
controllers (tests/cluster/rollouts/test_rules.py). A rule that one of them breaks is wrong in one of them.

No operator has a part in it: the objects are rendered as Turnout does, and written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

A, B = "signals-1", "signals-2"
SOON, BEFORE_LONG = 5.0, 30.0
"""Seconds within which a real cluster shows a split or a floor; and pods that start or go."""


@dataclass(frozen=True)
class Facts:
    """`holds`: percents of `status.traffic` by version. `settled`: generation seen, Ready, and it equals the wish."""

    holds: Mapping[str, int]
    settled: bool
    servable: frozenset[str]  # versions whose first revision says Ready=True
    pods: Mapping[str, int]  # ready ones
    revisions: Mapping[str, int]  # how many there are
    uids: Mapping[str, str] = field(default_factory=dict)  # of the first revisions


class Ground(Protocol):
    """KServe and Knative in one namespace, real or simulated. Nobody calls the model."""

    def make(self, version: str, *, starts: bool = True) -> None:
        """Create its InferenceService as Turnout renders it; one that does not start has an image that is nowhere."""

    def remove(self, version: str) -> None:
        """Delete its InferenceService."""

    def route(self, **percents: int) -> None:
        """Write the Route as Turnout does; version names with `_` for `-`."""

    def floor(self, version: str, pods: int) -> None:
        """Set the floor on the revision."""

    def crash(self, version: str) -> None:
        """Its processes end, and so does each that follows."""

    def label(self, version: str) -> None:
        """Somebody labels the InferenceService."""

    def look(self) -> Facts: ...

    def until(self, true: Callable[[Facts], bool], seconds: float) -> None:
        """Wait for it; an AssertionError names the facts if it does not come."""

    def always(self, true: Callable[[Facts], bool], seconds: float) -> None:
        """It is so now, and stays so."""


Rule = Callable[[Ground], None]


def _up(ground: Ground, *versions: str) -> None:
    """Ready with one pod that stays, whether or not anybody calls."""
    for version in versions:
        ground.make(version)
    ground.until(lambda facts: facts.servable >= set(versions), 3 * BEFORE_LONG)
    for version in versions:
        ground.floor(version, 1)


def _split(ground: Ground) -> None:
    _up(ground, A, B)
    ground.route(signals_1=70, signals_2=30)
    ground.until(lambda facts: facts.settled and facts.holds == {A: 70, B: 30}, SOON)


def a_version_is_ready_once_with_one_pod(ground: Ground) -> None:
    ground.make(A)
    ground.until(lambda facts: A in facts.servable and facts.pods[A] == 1, 3 * BEFORE_LONG)
    assert ground.look().revisions[A] == 1


def a_route_takes_a_split_of_ready_revisions(ground: Ground) -> None:
    _split(ground)
    ground.route(signals_1=10, signals_2=90)
    ground.until(lambda facts: facts.settled and facts.holds == {A: 10, B: 90}, SOON)


def weight_0_is_absence(ground: Ground) -> None:
    _split(ground)
    ground.route(signals_1=100)
    ground.until(lambda facts: facts.settled and facts.holds == {A: 100}, SOON)


def a_target_that_is_starting_freezes_the_route(ground: Ground) -> None:
    _up(ground, A)
    ground.route(signals_1=100)
    ground.until(lambda facts: facts.settled, SOON)
    ground.make(B, starts=False)
    ground.until(lambda facts: facts.revisions.get(B) == 1, BEFORE_LONG)
    ground.route(signals_1=50, signals_2=50)
    ground.always(lambda facts: not facts.settled and facts.holds == {A: 100}, SOON)
    ground.route(signals_1=100)
    ground.until(lambda facts: facts.settled and facts.holds == {A: 100}, SOON)


def a_target_that_is_missing_freezes_the_route(ground: Ground) -> None:
    _up(ground, A)
    ground.route(signals_1=100)
    ground.until(lambda facts: facts.settled, SOON)
    ground.route(signals_1=50, signals_9=50)
    ground.always(lambda facts: not facts.settled and facts.holds == {A: 100}, SOON)


def a_crash_loop_keeps_its_share_whatever_the_conditions_say(ground: Ground) -> None:
    """Ready stays True until Knative happens to look at the Revision: seconds later, or never."""
    _split(ground)
    ground.crash(B)
    ground.until(lambda facts: facts.pods[B] == 0, BEFORE_LONG)
    ground.always(lambda facts: facts.holds == {A: 70, B: 30}, SOON)


def a_crashing_version_is_dropped_in_one_write(ground: Ground) -> None:
    _split(ground)
    ground.crash(B)
    ground.until(lambda facts: facts.pods[B] == 0, BEFORE_LONG)
    ground.route(signals_1=100)
    ground.until(lambda facts: facts.settled and facts.holds == {A: 100}, SOON)


def a_floor_changes_in_place(ground: Ground) -> None:
    _up(ground, A)
    before = ground.look().uids[A]
    ground.floor(A, 2)
    ground.until(lambda facts: facts.pods[A] == 2, BEFORE_LONG)
    ground.floor(A, 1)
    ground.until(lambda facts: facts.pods[A] == 1, BEFORE_LONG)
    facts = ground.look()
    assert (facts.revisions[A], facts.uids[A]) == (1, before)


def without_a_share_and_a_floor_it_has_no_pods_and_is_ready(ground: Ground) -> None:
    _up(ground, A)
    ground.floor(A, 0)
    ground.until(lambda facts: facts.pods[A] == 0, 4 * BEFORE_LONG)
    assert A in ground.look().servable


def a_further_revision_moves_nothing(ground: Ground) -> None:
    _split(ground)
    ground.label(B)
    ground.until(lambda facts: facts.revisions[B] == 2, BEFORE_LONG)
    ground.always(lambda facts: facts.settled and facts.holds == {A: 70, B: 30} and facts.pods[B] >= 1, SOON)


def a_deleted_target_leaves_the_split_as_it_was(ground: Ground) -> None:
    _split(ground)
    ground.remove(B)
    ground.until(lambda facts: B not in facts.uids, BEFORE_LONG)
    ground.always(lambda facts: facts.holds == {A: 70, B: 30}, SOON)
    ground.route(signals_1=100)
    ground.until(lambda facts: facts.settled and facts.holds == {A: 100}, SOON)


def the_same_name_comes_back_with_another_uid(ground: Ground) -> None:
    _up(ground, A)
    before = ground.look().uids[A]
    ground.remove(A)
    ground.until(lambda facts: A not in facts.uids, BEFORE_LONG)
    ground.make(A)
    ground.until(lambda facts: A in facts.servable, 3 * BEFORE_LONG)
    assert ground.look().uids[A] != before


RULES: Mapping[str, Rule] = {
    rule.__name__.replace("_", " "): rule
    for rule in (
        a_version_is_ready_once_with_one_pod,
        a_route_takes_a_split_of_ready_revisions,
        weight_0_is_absence,
        a_target_that_is_starting_freezes_the_route,
        a_target_that_is_missing_freezes_the_route,
        a_crash_loop_keeps_its_share_whatever_the_conditions_say,
        a_crashing_version_is_dropped_in_one_write,
        a_floor_changes_in_place,
        without_a_share_and_a_floor_it_has_no_pods_and_is_ready,
        a_further_revision_moves_nothing,
        a_deleted_target_leaves_the_split_as_it_was,
        the_same_name_comes_back_with_another_uid,
    )
}


def facts_of(
    route: Mapping[str, object] | None,
    revisions: list[Mapping[str, object]],
    ready_pods: Mapping[str, int],
) -> Facts:
    """Read raw objects as the engine does, whichever cluster they come from."""
    from turnout.platform.kubernetes.objects import Revision, Route, read
    from turnout.platform.kubernetes.resources import REVISIONS, ROUTES

    seen = read(ROUTES, route) if route else None
    found = [item for raw in revisions if isinstance(item := read(REVISIONS, raw), Revision)]
    firsts = {item.name.removesuffix("-predictor-00001"): item for item in found if item.ordinal == 1}
    counts = {name: sum(item.name.startswith(f"{name}-predictor-") for item in found) for name in (A, B)}
    observed = seen.observed if isinstance(seen, Route) else ()
    return Facts(
        holds={share.revision.removesuffix("-predictor-00001"): share.percent for share in observed},
        settled=isinstance(seen, Route) and seen.in_sync,
        servable=frozenset(name for name, item in firsts.items() if item.is_servable),
        pods={name: ready_pods.get(name, 0) for name in (A, B)},
        revisions={name: count for name, count in counts.items() if count},
        uids={name: item.uid for name, item in firsts.items()},
    )

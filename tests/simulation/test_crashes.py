"""The operator is killed before and after every single API call of every story: the same splits in the same order, the
same end. And the stories together go through every transition of the table that this release serves.

`make test` kills at a sample of the calls, of each story another; `TURNOUT_DEEP=1` at all of them.
"""

from __future__ import annotations

import os
from functools import cache
from itertools import product

import pytest

from tests.rollout.invariants import Invariants
from tests.simulation.cluster import Cluster, cluster
from tests.simulation.dying import STORIES
from tests.simulation.process import Kill
from tests.simulation.transitions import TRANSITIONS, Move, strange

DEEP = bool(os.environ.get("TURNOUT_DEEP"))
SAMPLED = 61
"""One of so many kills in the quick run: it shares no factor with two moments, so both get their turn."""

Outcome = tuple[object, ...]


def outcome(world: Cluster) -> Outcome:
    return world.splits, world.states(), sorted(world.running), world.observed


def play(name: str, kill: Kill | None = None) -> tuple[Outcome, list[str], set[Move]]:
    with cluster(Invariants(steps=False), kill) as world:
        STORIES[name](world)
        assert world.deaths == (kill is not None), f"there was no call {kill}"
        return outcome(world), world.weather.calls, world.moves


@cache
def undisturbed(name: str) -> tuple[Outcome, list[str], set[Move]]:
    return play(name)


def kills(name: str) -> list[Kill]:
    every = list(product(range(len(undisturbed(name)[1])), ("before", "after")))
    return every if DEEP else every[len(name) % SAMPLED :: SAMPLED]


@pytest.mark.timeout(0 if DEEP else 300)
@pytest.mark.parametrize("name", STORIES)
def test_a_kill_at_any_call_leaves_the_same_history(name: str) -> None:
    whole, calls, _ = undisturbed(name)
    differing = [kill for kill in kills(name) if play(name, kill)[0] != whole]
    told = [f"{moment} {number} {calls[number]}" for number, moment in differing]
    assert not told, f"{len(told)} of {len(kills(name))} kills lead elsewhere: {told[:12]}"


@pytest.mark.parametrize("rule", TRANSITIONS)
def test_the_stories_go_through_every_transition(rule: str) -> None:
    seen = {move for name in STORIES for move in undisturbed(name)[2]}
    missing = TRANSITIONS[rule] - seen
    assert not missing, [f"{before} -> {after}" for before, after in missing]


def test_the_stories_make_no_transition_that_the_table_does_not_have() -> None:
    found = {name: strange(undisturbed(name)[2]) for name in STORIES}
    assert {name: moves for name, moves in found.items() if moves} == {}

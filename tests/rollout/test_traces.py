"""Golden traces: what is recorded, when, in a few whole stories. A diff is a review.

Written anew with `TURNOUT_TRACES=write`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rollout.scenarios import SCENARIOS, TRACED
from tests.rollout.world import World

TRACES = Path(__file__).parent / "traces"
HEADER = "# seconds  version  state  reason  step: message; then the splits, events and final states\n"


def told(world: World) -> str:
    splits = [", ".join(f"{share.revision} {share.percent} %" for share in split) for split in world.splits]
    events = [f"{event.version} {event.reason}: {event.message}" for event in world.events]
    states = [f"{name}: {state}" for name, state in sorted(world.states().items())]
    blocks = {"passes": world.trace, "splits": splits, "events": events, "states": states}
    return HEADER + "".join(f"\n## {title}\n\n" + "".join(f"{x}\n" for x in lines) for title, lines in blocks.items())


@pytest.mark.parametrize("name", TRACED)
def test_a_story_is_told_as_it_was(world: World, name: str) -> None:
    SCENARIOS[name](world)
    path = TRACES / f"{name}.txt"
    if os.environ.get("TURNOUT_TRACES") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(told(world), encoding="utf-8")
    assert told(world) == path.read_text(encoding="utf-8")

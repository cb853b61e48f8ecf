"""What a person reads in each state: one line of facts, the message, the conditions that pipelines wait for.

Golden, written anew with `TURNOUT_TRACES=write`; a diff is a review. Moments, never ages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rollout import scenarios, stories
from tests.rollout.judges import Scripted, always, analysed, then, unproven
from tests.rollout.simulation import steps, version
from tests.rollout.world import World
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.status import Status
from turnout.judge.protocol import Outcome
from turnout.rollout.notes import MARK
from turnout.rollout.snapshot import Problem

GOLDEN = Path(__file__).parent / "golden" / "states.txt"
SHOWN = (ConditionType.Ready, ConditionType.Progressing, ConditionType.Stalled, ConditionType.AnalysisHealthy)
Way = Callable[[World], None]
NAME = "signals-2"


def begun(seconds: float = 6, **spec: object) -> Way:
    def way(world: World) -> None:
        world.apply(version(1))
        world.run(6)
        world.apply(version(2, **spec))
        world.run(seconds)

    return way


def judged(judge: object, seconds: float = 12, **analysis: object) -> Way:
    def way(world: World) -> None:
        world.judge = judge  # type: ignore[assignment]
        begun(seconds, **analysed(10, **analysis))(world)

    return way


def after(way: Way, then_do: Way, seconds: float = 3) -> Way:
    def whole(world: World) -> None:
        way(world)
        then_do(world)
        world.run(seconds)

    return whole


def before(do_first: Way, way: Way) -> Way:
    return after(do_first, way, 0)


def say(**control: object) -> Way:
    return lambda world: world.edit(NAME, control=Control(**control))


def nothing(world: World) -> None:
    """Only time passes."""


def no_engine(world: World) -> None:
    world.trouble = Problem(Reason.KServeMissing, "the cluster serves no InferenceServices")


def stuck(world: World) -> None:
    world.frozen_until = world.now + timedelta(minutes=1)


def harmful(world: World) -> None:
    world.judge = then(1, Outcome.HARM)


def mute(world: World) -> None:
    world.silent.add(NAME)


def silent(world: World) -> None:
    world.source_trouble = "connection refused by metrics:9090"


def no_room(world: World) -> None:
    world.start_problem[NAME] = Problem(Reason.CannotSchedule, "no node has 3 GiB left")


def slow(world: World) -> None:
    world.running[NAME].start_seconds = 90
    world.evict(NAME)


def needs_pods(world: World) -> None:
    world.apply(version(1, scaling={"minReplicas": 3}))
    world.run(8)
    world.apply(version(2, rollout=steps(10, 90, pause="2s")))
    world.run(10, until=lambda: world.percent(NAME) == 10)
    world.running[NAME].start_seconds = 300


QUOTA = Problem(Reason.QuotaExceeded, "exceeded quota: pods 3 of 3")


def forbidden(world: World) -> None:
    world.start_problem[NAME] = QUOTA
    world.edit("signals-3", desired="Standby")


def taken_and_forbidden(world: World) -> None:
    world.evict(NAME)
    world.start_problem[NAME] = QUOTA


def returns(world: World) -> None:
    """It was promoted, and is wanted back when its pods have gone."""
    at_once = {"strategy": "AllAtOnce", "promotedScaleDownDelay": "1s"}
    for number in (1, 2, 3):
        world.apply(version(number, rollout=at_once))
        world.run(30, until=lambda number=number: world.state(f"signals-{number}") is State.Live)
    world.run(10)


def few(world: World) -> None:
    world.apply(version(1, scaling={"minReplicas": 6, "maxReplicas": 9}))
    world.run(8)
    world.apply(version(2, rollout=PAUSED))
    world.run(8)


def alone(world: World) -> None:
    """The first of its model, and dead before it is stable."""
    world.apply(version(2))
    world.run(6, until=lambda: bool(world.written))
    dies(world)


def dies(world: World) -> None:
    world.crash(NAME)


def stable_dies(world: World) -> None:
    world.crash("signals-1")


def withdrawn(world: World) -> None:
    world.edit(NAME, desired="Standby")


def lonely(world: World) -> None:
    """Aborted while nothing else lives; then the dead one is deleted."""
    world.edit(NAME, control=Control(abort=True))
    world.run(2)
    world.delete("signals-1")


def refused(world: World) -> None:
    world.apply(version(3, rollout={"onSupersede": "Reject"}))


def wrong(world: World) -> None:
    world.wrong_answers.add(NAME)


PAUSED = steps(10, 50, pause="10m")
PERSON = stories.PERSON
STABLE_FAILS = Scripted(lambda seen, question: Outcome.HOLD, stable_fails="more than 10 % of stable's requests fail")
FREEZE = {**analysed(10)["rollout"], "onFailure": "Freeze"}

STATES: dict[str, Way] = {
    "Pending, because the engine cannot work": before(no_engine, begun()),
    "Queued": after(begun(rollout=PAUSED), lambda w: w.apply(version(3, rollout={"onSupersede": "Queue"}))),
    "Deploying": begun(0.3, rollout=PAUSED),
    "Deploying, waiting for pods": begun(1.5, rollout=PAUSED),
    "Deploying, and something is in the way": before(no_room, begun(3, rollout=PAUSED)),
    "Warming": before(mute, begun(rollout=PAUSED)),
    "Progressing, waiting for the Route": after(begun(2.4, rollout=PAUSED), stuck),
    "Progressing, judged": judged(always(Outcome.HOLD)),
    "Progressing, waiting for pods": after(needs_pods, nothing, 5),
    "Held for too little capacity": after(needs_pods, nothing, 60),
    "Paused by the plan until a moment": begun(rollout=PAUSED),
    "Paused by the plan until a moment of another day": begun(rollout=steps(10, 50, pause="48h")),
    "Paused by the plan, with few pods": few,
    "Paused by the plan until a person": after(begun(rollout=PERSON), say(promote=Promote(token="t"))),
    "Paused for an approval": begun(rollout=PERSON),
    "Paused by a person": after(begun(rollout=PAUSED), say(paused=True)),
    "Paused by a metric": judged(then(1, Outcome.PAUSE)),
    "Held without data": judged(always(Outcome.NO_DATA)),
    "Held, the source does not answer": after(judged(always(Outcome.HOLD), onSourceError="Rollback"), silent, 6),
    "Held, inconclusive": judged(unproven(Outcome.INCONCLUSIVE), 45, onInconclusive="Hold"),
    "Held, too few requests": judged(unproven(Outcome.TOO_FEW_REQUESTS), 45),
    "Held, its pods were taken away": after(begun(rollout=PAUSED), slow, 6),
    "Held, its pods were taken away and something is in the way": after(begun(rollout=PAUSED), taken_and_forbidden, 6),
    "Held, stable is dead": after(begun(rollout=PAUSED), stable_dies),
    "Held, stable is dead and it is to go": after(after(begun(rollout=PAUSED), stable_dies), withdrawn),
    "Held, condemned and alone": after(after(begun(rollout=PAUSED), stable_dies), lonely),
    "Held, stable fails": judged(STABLE_FAILS, 15, shortest="20s", longest="60s"),
    "Held, an older one answers in its place": after(stories.promoted_fully, dies),
    "Promoting, waiting for pods": after(needs_pods, say(promote=Promote(mode=PromoteMode.FULL, token="t")), 60),
    "Promoting, and nothing of it answers": after(alone, nothing),
    "Promoting": after(after(begun(rollout=PERSON), stuck), say(promote=Promote(mode=PromoteMode.FULL, token="t"))),
    "Promoting, and something is in the way": after(returns, forbidden, 45),
    "Live": stories.promoted_fully,
    "Live, and nothing answers": after(after(stories.promoted_fully, stable_dies), dies),
    "RollingBack": after(after(begun(rollout=PAUSED), stuck), say(abort=True)),
    "RolledBack by the judge": judged(then(1, Outcome.HARM), 15),
    "RolledBack after a crash": after(begun(rollout=PAUSED), dies),
    "Aborted": stories.aborted,
    "Frozen": before(harmful, begun(15, rollout=FREEZE, analysis={"interval": "5s"})),
    "Failed": before(wrong, begun(rollout=PAUSED)),
    "Failed, to be tried again": before(wrong, begun(rollout={**PAUSED, "retryLimit": 2})),
    "Superseded": after(begun(rollout=PAUSED), lambda world: world.apply(version(3, rollout=PAUSED)), 8),
    "Standby, by request": after(begun(rollout=PAUSED), withdrawn),
    "Retired": after(begun(rollout=PAUSED), lambda world: world.edit(NAME, desired="Retired")),
    "Archived": scenarios.kept_warm_then_archived,
    "Rejected": begun(rollout={"strategy": "Shadow"}),
    "Rejected, because another rollout runs": after(begun(rollout=PAUSED), refused),
    "Paused, over its deadline at an approval": begun(70, rollout={**PERSON, "deadline": "1m"}),
    "Paused, over its deadline": begun(70, rollout={**PAUSED, "deadline": "1m"}),
}
OTHERS = {
    "Queued": "signals-3",
    "Archived": "signals-1",
    "Rejected, because another rollout runs": "signals-3",
}


def read(world: World, name: str, status: Status) -> Iterator[str]:
    step = f", step {status.step.display}" if status.step and status.step.display else ""
    yield f"{name}: {status.role}, {status.state} ({status.reason}), {status.weight.observed} %{step}"
    yield f"  {status.message}"
    conditions = [status.condition(kind) for kind in SHOWN]
    yield "  " + ", ".join(f"{each.type} {each.status.value} {each.reason}" for each in conditions if each)
    accepted = status.condition(ConditionType.Accepted)
    if accepted and MARK in accepted.message:
        yield f"  {accepted.message}"
    told = [f"{event.reason}: {event.message}" for event in world.events if event.version == name]
    yield f"  last told: {told[-1]}" if told else "  nothing was told"


def page() -> str:
    blocks = []
    for title, way in STATES.items():
        world = World()
        way(world)
        name = OTHERS.get(title, NAME)
        status = world.versions[name].status
        assert title.startswith(str(status.state)), f"{title}: it is {status.state} ({status.reason})"
        blocks.append("\n".join((f"## {title}", "", *read(world, name, status))))
    return "# What a person reads of a version in each state\n\n" + "\n\n".join(blocks) + "\n"


def test_each_state_says_what_it_waits_for() -> None:
    written = page()
    if os.environ.get("TURNOUT_TRACES") == "write":
        GOLDEN.write_text(written, encoding="utf-8")
    assert written == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", sorted(set(State) - {State.Shadowing}))
def test_every_state_that_can_be_reached_is_read(state: State) -> None:
    assert any(title.startswith(str(state)) for title in STATES)


@pytest.mark.parametrize(
    ("artifact", "says"),
    [
        ({"uri": "s3://models/signals/1", "digest": "sha256:" + "a" * 64}, "the artifact was verified and loaded"),
        ({"uri": "s3://models/signals/1"}, "the artifact was loaded; it names no digest, so nothing was verified"),
        (None, "it names no artifact"),
    ],
    ids=["with a digest", "without one", "without an artifact"],
)
def test_what_was_not_verified_is_not_said_to_be(artifact: dict[str, str] | None, says: str) -> None:
    world = World()
    made_of = {"runtime": "sklearn", "artifact": artifact} if artifact else {"runtime": "custom", "entrypoint": "a.b:C"}
    world.apply(version(1, predictor=made_of))
    world.run(8)
    ready = world.versions["signals-1"].status.condition(ConditionType.ArtifactReady)
    assert ready is not None
    assert ready.message == says

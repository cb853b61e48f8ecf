"""Further stories, of people on duty and of a judge: each ends a rollout, or a wait in it, in another way."""

from __future__ import annotations

from typing import Any

from tests.rollout.judges import always, analysed, then, unproven
from tests.rollout.simulation import steps, version
from tests.rollout.world import World
from turnout.api.control import Control, Promote, PromoteMode
from turnout.judge.protocol import Judge, Outcome

PERSON = {"steps": [{"warmup": {"requests": 2}}, {"setWeight": 10}, {"approval": {}}, {"setWeight": 50}, {"pause": {}}]}


def _second(world: World, judge: Judge | None = None, **spec: Any) -> None:
    """signals-1 serves, and signals-2 has its first share."""
    world.apply(version(1))
    world.run(6)
    world.judge = judge or world.judge
    world.apply(version(2, **spec))
    world.run(6)


def _judged(world: World, judge: Judge, *weights: int, rollout: dict[str, Any] | None = None, **analysis: Any) -> None:
    spec = analysed(*(weights or (10,)), shortest="5s", longest="15s", **analysis)
    spec["rollout"] |= rollout or {}
    _second(world, judge, **spec)


def _say(world: World, **control: Any) -> None:
    world.edit("signals-2", control=Control(**control))


def approved_and_moved_on(world: World) -> None:
    _second(world, rollout=PERSON)
    _say(world, promote=Promote(token="a"))
    world.run(5)
    _say(world, promote=Promote(token="b"))
    world.run(8)


def promoted_fully(world: World) -> None:
    _second(world, rollout=PERSON)
    _say(world, promote=Promote(mode=PromoteMode.FULL, token="a"))
    world.run(8)


def promoted_fully_before_its_warmup(world: World) -> None:
    world.apply(version(1))
    world.run(6)
    world.apply(version(2, rollout=PERSON))
    world.run(1)
    _say(world, promote=Promote(mode=PromoteMode.FULL, token="a"))
    world.run(12)


def aborted(world: World) -> None:
    _second(world, rollout=steps(30, pause="60s"))
    _say(world, abort=True)
    world.run(8)


def aborted_before_its_warmup(world: World) -> None:
    world.apply(version(1))
    world.run(6)
    world.apply(version(2, rollout=steps(30)))
    world.run(1)
    _say(world, abort=True)
    world.run(8)


def aborted_and_retried(world: World) -> None:
    aborted(world)
    _say(world, retry_token="again")
    world.run(12)


def failed_and_tried_again_by_itself(world: World) -> None:
    world.apply(version(1))
    world.run(6)
    world.wrong_answers.add("signals-2")
    world.apply(version(2, rollout={**steps(30, pause="2s"), "retryLimit": 1}))
    world.run(10)
    world.wrong_answers.clear()
    world.run(50)


def proven_good(world: World) -> None:
    _judged(world, always(Outcome.PASS), 10, 50)
    world.run(30)


def proven_harmful(world: World) -> None:
    _judged(world, then(1, Outcome.HARM))
    world.run(12)


def frozen_and_aborted(world: World) -> None:
    _judged(world, then(1, Outcome.HARM), rollout={"onFailure": "Freeze"})
    world.run(15)
    _say(world, abort=True)
    world.run(8)


def frozen_and_replaced(world: World) -> None:
    _judged(world, then(1, Outcome.HARM), rollout={"onFailure": "Freeze"})
    world.run(15)
    world.apply(version(3, rollout=steps(20, pause="2s")))
    world.run(15)


def silent_source_and_back(world: World) -> None:
    _judged(world, always(Outcome.PASS))
    world.source_trouble = "connection refused"
    world.run(15)
    world.source_trouble = ""
    world.run(15)


def silent_for_too_long(world: World) -> None:
    _judged(world, always(Outcome.NO_DATA), onSourceError="Rollback", sourceGrace="10s")
    world.run(25)


def inconclusive(world: World) -> None:
    _judged(world, unproven(Outcome.INCONCLUSIVE))
    world.run(25)


def too_few_requests_until_they_come(world: World) -> None:
    _judged(world, unproven(Outcome.TOO_FEW_REQUESTS))
    world.run(25)
    world.judge = always(Outcome.PASS)
    world.run(10)


def paused_by_a_metric(world: World) -> None:
    _judged(world, then(1, Outcome.PAUSE), 10, 50)
    world.run(15)
    _say(world, promote=Promote(token="seen"))
    world.run(5)


def dead_stable_and_proven_without_it(world: World) -> None:
    _judged(world, always(Outcome.PASS))
    world.crash("signals-1")
    world.run(15)


STORIES = (
    approved_and_moved_on,
    promoted_fully,
    promoted_fully_before_its_warmup,
    aborted,
    aborted_before_its_warmup,
    aborted_and_retried,
    failed_and_tried_again_by_itself,
    proven_good,
    proven_harmful,
    frozen_and_aborted,
    frozen_and_replaced,
    silent_source_and_back,
    silent_for_too_long,
    inconclusive,
    too_few_requests_until_they_come,
    paused_by_a_metric,
    dead_stable_and_proven_without_it,
)

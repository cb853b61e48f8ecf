"""What is accepted and does not do what it seems to: a note for as long as it holds, and one warning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.rollout.judges import Scripted, always, analysed
from tests.rollout.simulation import steps, version
from tests.rollout.world import World
from turnout.api.analysis import Analysis
from turnout.api.reasons import ConditionType, EventReason, State
from turnout.judge.protocol import Finding, Outcome, Question
from turnout.rollout.notes import LATE_CRITICAL, beforehand, noted, notes, unjudged
from turnout.rollout.selection import select

NAME = "signals-2"


def accepted(world: World, name: str = NAME) -> str:
    condition = world.versions[name].status.condition(ConditionType.Accepted)
    return condition.message if condition else ""


def cautions(world: World, name: str = NAME) -> list[str]:
    return [each.message for each in world.events if each.version == name and each.reason is EventReason.Caution]


OFF = {"errors": {"enabled": False}, "latency": {"enabled": False}}


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        pytest.param(OFF, True, id="nothing is enabled"),
        pytest.param({"judge": "Threshold"}, True, id="a threshold of nothing"),
        pytest.param({**OFF, "onInconclusive": "Hold"}, True, id="and it would wait for ever"),
        pytest.param({"errors": {"enabled": False}}, False, id="latency alone"),
        pytest.param({**OFF, "dryRun": True}, False, id="for show it passes by itself"),
    ],
)
def test_an_analysis_with_nothing_to_prove_is_told_from_the_start_and_once(
    served: World, analysis: dict[str, Any], told: bool
) -> None:
    served.judge = always(Outcome.HOLD)
    served.apply(version(2, **analysed(10, **analysis)))
    served.run(20, until=lambda: served.percent(NAME) == 10)
    policy = analysis.get("onInconclusive", "Advance")
    note = "spec.analysis: it has nothing to prove: harm is not found, and a step lasts until its maxDuration, where "
    assert (f"{note}onInconclusive ({policy}) decides" in accepted(served)) is told
    served.run(10)
    assert [message.startswith(note) for message in cautions(served)] == [True] * told


def test_drift_alone_finds_harm_and_proves_nothing() -> None:
    drift = Analysis.model_validate({**OFF, "drift": {"enabled": True, "action": "Rollback"}})
    assert str(unjudged(drift)).startswith("spec.analysis: it has nothing to prove: a step lasts until its maxDuration")


def test_a_plan_without_analysis_and_the_first_of_a_model_have_nothing_to_be_told() -> None:
    world = World()
    world.apply(version(1, **analysed(10, **OFF)))
    world.run(10, until=lambda: world.state("signals-1") is State.Live)
    world.apply(version(2, rollout=steps(10, pause="60s"), analysis=OFF))
    world.run(10, until=lambda: world.percent(NAME) == 10)
    assert cautions(world) == cautions(world, "signals-1") == []


def test_an_edit_that_does_not_count_is_told_once_for_as_long_as_it_does_not(served: World) -> None:
    plan = {**steps(10, 50, pause="60s"), "onPlanChange": "NextRollout"}
    served.apply(version(2, rollout=plan))
    served.run(10, until=lambda: served.percent(NAME) == 10)
    served.edit(NAME, rollout=version(2, rollout={**plan, **steps(10, 90, pause="60s")}).spec.rollout)
    served.run(5)
    note = "spec.rollout.steps: onPlanChange is NextRollout, so the edited steps count from the next attempt on"
    assert cautions(served) == [note]
    assert note in accepted(served)
    served.edit(NAME, rollout=version(2, rollout=plan).spec.rollout)
    served.run(1)
    assert "Note" not in accepted(served)


LIMIT = "nearly all of stable's answers take 0.1 to 0.15 s, with no bound in between"
BLIND = "drift is not judged: stable counts no answers of its first output by bin"


class Blind(Scripted):
    """From the second look on."""

    def look(self, question: Question) -> Finding:
        found = super().look(question)
        sees_all = not int(question.memory or 0)
        return found if sees_all else found._replace(status=found.status.model_copy(update={"blind": (BLIND, LIMIT)}))


def test_what_was_asked_for_and_is_not_judged_is_told_once_and_a_limit_of_every_judge_is_not(served: World) -> None:
    served.judge = Blind(lambda seen, question: Outcome.HOLD)
    served.apply(version(2, **analysed(10, longest="10m")))
    served.run(40)
    assert cautions(served) == [BLIND]
    assert "Note" not in accepted(served)


def test_latency_critical_that_came_after_the_birth_lacks_what_knative_takes_then_alone(served: World) -> None:
    served.edit("signals-1", scaling=version(1, scaling={"latencyCritical": True, "minReplicas": 1}).spec.scaling)
    served.run(1)
    found = select(served.snapshot())
    member = found.members["signals-1"]
    assert member.version is not None
    assert member.deployment is not None
    assert member.deployment.revision is not None
    assert list(notes(member, member.version, member.status, found)) == []
    born_otherwise = replace(member.deployment, revision=replace(member.deployment.revision, lingers=False))
    late = replace(member, deployment=born_otherwise)
    assert list(notes(late, member.version, member.status, found)) == [LATE_CRITICAL]


def test_notes_are_read_back_from_a_message_by_their_field() -> None:
    assert noted("All is well.") == {}
    assert noted("All is well. Note: spec.a: x: y Note: spec.b: z") == {"spec.a": "spec.a: x: y", "spec.b": "spec.b: z"}


def test_a_variable_that_turnout_sets_itself_is_told_to_have_no_effect(served: World) -> None:
    made_of = {"runtime": "sklearn", "artifact": {"uri": "file:///models/signals/2"}}
    env = [{"name": name, "value": "mine"} for name in ("PROTOCOL", "A", "MODEL_VERSION")]
    wish = version(2, predictor={**made_of, "env": env}, rollout=steps(10))
    told = "spec.predictor.env: PROTOCOL and MODEL_VERSION are set by Turnout; what is written here has no effect"
    assert [str(note) for note in beforehand(wish, ())] == [told]
    served.apply(wish)
    served.run(8)
    assert accepted(served).endswith(f" Note: {told}")
    assert cautions(served) == [told]

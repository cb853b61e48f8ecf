"""A plan is edited while its rollout runs: what was passed stays, weights never fall, nothing asked for is lost."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rollout.simulation import START, steps, version
from tests.rollout.world import World, canary, entered
from turnout.api.plan import plan_hash, resolve_plan
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.rollout import Step, Verb
from turnout.api.status import PlanSource, Status
from turnout.api.version import ModelVersion
from turnout.rollout.replanning import is_gate, replanned
from turnout.rollout.steps import enter_step

WARMUP = {"warmup": {"requests": 2}}
OLD = [WARMUP, {"setWeight": 10}, {"pause": {"duration": "5s"}}, {"setWeight": 50}, {"pause": {"duration": "5s"}}]


def written(*words: str) -> list[dict[str, Any]]:
    """`10 pause approval` as steps."""
    kinds: dict[str, dict[str, Any]] = {
        "warmup": WARMUP, "pause": {"pause": {"duration": "5s"}}, "long": {"pause": {"duration": "1h"}},
        "approval": {"approval": {}}, "endless": {"pause": {}}, "analysis": {"analysis": {}},
    }  # fmt: skip
    return [kinds.get(word) or {"setWeight": int(word)} for word in words]


def running(plan: list[dict[str, Any]], index: int, state: State = State.Paused) -> Status:
    """A status at that step of a plan."""
    attempt = resolve_plan(version(2, rollout={"steps": plan}).spec).status()
    status = Status(state=state, attempt=1, plan=attempt)
    return status.model_copy(update={"step": enter_step(status, index, START) if index >= 0 else None})


def edited(plan: list[dict[str, Any]], **rollout: Any) -> ModelVersion:
    return version(2, rollout={"steps": plan, **rollout})


def told(found: tuple[Step, ...]) -> str:
    endless = Step.model_validate({"pause": {}})
    return " ".join(str(s.set_weight or ("endless" if s == endless else s.verb.value)) for s in found)


EDITS = {
    "the suffix alone is edited": (
        "warmup 10 pause 50 pause",
        2,
        "warmup 10 pause 20 pause 70",
        "warmup 10 pause 20 pause 70",
    ),
    "a step is put in behind the running one": (
        "warmup 10 pause 50",
        2,
        "warmup 10 pause approval 50",
        "warmup 10 pause approval 50",
    ),
    "steps are put in before the running one": (
        "warmup 10 pause 50",
        2,
        "warmup 5 pause 10 pause 30",
        "warmup 10 pause 30",
    ),
    "every new weight is below the one reached": (
        "warmup 10 pause 50 pause",
        4,
        "warmup 20 pause 30 pause",
        "warmup 10 pause 50 pause",
    ),
    "the running step becomes another: both are done": (
        "warmup 10 pause 50",
        2,
        "warmup 10 approval 50",
        "warmup 10 pause approval 50",
    ),
    "the running step keeps its own clock": ("warmup 10 pause 50", 2, "warmup 10 long 50", "warmup 10 pause 50"),
    "a warmup comes too late": ("10 pause 50", 1, "warmup 10 pause 60", "10 pause 60"),
    "nothing more is asked for": ("warmup 10 pause 50", 2, "warmup", "warmup 10 pause"),
    "one more of the same": (
        "warmup 10 analysis 50",
        1,
        "warmup 10 analysis analysis 50",
        "warmup 10 analysis analysis 50",
    ),
    "the weight reached is not in the new plan": (
        "warmup 10 pause 50",
        2,
        "warmup 25 pause 50",
        "warmup 10 pause 25 pause 50",
    ),
    "before any traffic": ("warmup approval 10", 1, "warmup approval pause 10", "warmup approval pause 10"),
    "an approval that is moved below the weight reached is asked for all the same": (
        "10 pause approval 50",
        1,
        "5 approval 50",
        "10 pause approval 50",
    ),
    "one of two approvals was passed, one is to come": (
        "10 approval pause approval 50",
        2,
        "5 approval 10 approval pause 50",
        "10 approval pause approval 50",
    ),
    "so is an endless pause": ("10 long endless 50", 1, "5 endless 50", "10 pause endless 50"),
    "while nothing has been passed": ("warmup 10 pause 50", -1, "20 pause", "20 pause"),
}
"""By what is edited: the plan, the index of the running step, the edited plan, and the plan that it leaves."""


@pytest.mark.parametrize("edit", EDITS)
def test_the_rest_is_taken_from_the_edited_plan(edit: str) -> None:
    old, index, new, merged = EDITS[edit]
    status = running(written(*old.split()), index, State.Deploying if index < 0 else State.Paused)
    after = replanned(status, edited(written(*new.split())))
    found = (after or status).plan
    assert found is not None
    assert (told(found.steps), found.hash) == (merged, plan_hash(found.steps))
    if after and after.step and status.step:
        assert (after.step.index, after.step.started_at) == (status.step.index, status.step.started_at)
        assert after.step.display.endswith(f"/{len(found.steps)}")


@pytest.mark.parametrize(
    ("status", "spec"),
    [
        pytest.param(running(OLD, 2), edited(OLD), id="nothing is edited"),
        pytest.param(running(OLD, 5, State.Promoting), edited([*OLD, *written("60")]), id="the plan is over"),
        pytest.param(running(OLD, 2, State.RollingBack), edited(written("60")), id="the rollout is over"),
        pytest.param(running(OLD, 2), edited(written("60"), onPlanChange="NextRollout"), id="it says NextRollout"),
        pytest.param(running(OLD, 2), edited([WARMUP], strategy="AllAtOnce"), id="another strategy"),
        pytest.param(running(OLD, 2), edited(written("10", *["pause"] * 19)), id="too long with what was passed"),
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(status: Status, spec: ModelVersion) -> None:
    assert replanned(status, spec) is None


WORD = st.sampled_from(["pause", "endless", "approval", "analysis", "10", "20", "20", "50", "90"])
WORDS = st.lists(WORD, max_size=8)


def _valid(words: list[str]) -> list[dict[str, Any]]:
    weights = iter(sorted(int(word) for word in words if word.isdigit()))
    rising = [str(next(weights)) if word.isdigit() else word for word in words]
    first = next((at for at, word in enumerate(rising) if word.isdigit()), len(rising))
    return written("warmup", *(w for at, w in enumerate(rising) if w != "analysis" or at > first))


@given(old=WORDS, new=WORDS, newer=WORDS, at=st.integers(0, 9))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_however_it_is_edited_weights_rise_and_the_same_edit_changes_nothing_more(
    old: list[str], new: list[str], newer: list[str], at: int
) -> None:
    plan = _valid(old)
    status = running(plan, min(at, len(plan) - 1))
    for words in (new, newer):
        before, spec = status, edited(_valid(words))
        if status.step and status.plan and status.step.index >= len(status.plan.steps):
            return  # behind the last there is only promotion
        status = replanned(status, spec) or status
        assert status.plan
        assert before.plan
        assert status.step
        assert replanned(status, spec) is None
        passed = status.step.index + 1
        assert status.plan.steps[:passed] == before.plan.steps[:passed]
        weights = [step.set_weight for step in status.plan.steps if step.set_weight is not None]
        assert all(one <= other for one, other in pairwise(weights))
        assert all(step.verb is not Verb.WARMUP for step in status.plan.steps[1:])
        for verb in Verb:
            asked, done = (
                sum(is_gate(s) and s.verb is verb for s in which)
                for which in (resolve_plan(spec.spec).steps, status.plan.steps[:passed])
            )
            left = sum(is_gate(s) and s.verb is verb for s in status.plan.steps[passed:])
            assert left == max(0, asked - done), f"{verb}: {asked} asked for, {done} passed, {left} to come"
        ahead = status.model_copy(update={"step": enter_step(status, min(passed, len(status.plan.steps)), START)})
        assert replanned(ahead, spec) is None, "one step on, the same edit still changes nothing"
        status = ahead


# -- in a rollout


def edit(world: World, plan: list[dict[str, Any]], **rollout: Any) -> None:
    world.edit("signals-2", rollout=edited(plan, **rollout).spec.rollout)


def test_a_running_rollout_follows_the_edited_steps_and_tells_it_once(served: World) -> None:
    canary(served, 2, 10, 50, pause="5s")
    started = served.versions["signals-2"].status.step
    edit(served, [*OLD[:3], *written("20", "pause", "70", "pause")])
    served.run(1)
    status = served.versions["signals-2"].status
    assert status.plan
    assert status.step
    assert started
    assert (told(status.plan.steps), status.step.display) == ("warmup 10 pause 20 pause 70 pause", "3/7")
    assert status.step.started_at == started.started_at
    served.run(30, until=lambda: served.state("signals-2") is State.Live)
    assert [split[-1].percent for split in served.splits] == [100, 10, 20, 70, 100]
    assert entered(served.events).count("signals-2 PlanChanged") == 1


def test_an_edit_for_the_next_rollout_is_noted_and_counts_then(served: World) -> None:
    canary(served, 2, 10, 50, pause="3s")
    edit(served, written("warmup", "90", "pause"), onPlanChange="NextRollout")
    served.run(1)
    accepted = served.versions["signals-2"].status.condition(ConditionType.Accepted)
    assert accepted is not None
    assert "count from the next attempt on" in accepted.message
    served.edit("signals-2", desired="Standby")
    served.run(2)
    served.edit("signals-2", desired="Live")
    served.run(30, until=lambda: served.state("signals-2") is State.Live)
    assert [split[-1].percent for split in served.splits] == [100, 10, 100, 90, 100]


def test_an_edit_that_asks_for_what_is_not_served_counts_only_without_that(served: World) -> None:
    canary(served, 2, 10, 50, pause="5s")
    shadow = [*OLD[:3], {"shadow": {"percent": 10, "duration": "30m"}}, {"setWeight": 70}, {"pause": {}}]
    edit(served, shadow)
    served.run(8)
    status = served.versions["signals-2"].status
    accepted = status.condition(ConditionType.Accepted)
    assert status.plan
    assert accepted
    assert (told(status.plan.steps), served.percent("signals-2")) == ("warmup 10 pause 50 pause", 50)
    assert (accepted.status, accepted.reason) == ("False", Reason.NotServed)
    assert "the plan goes on as it was before the edit" in accepted.message
    edit(served, [*OLD[:3], {"setWeight": 70}, {"pause": {}}])
    served.run(20, until=lambda: served.percent("signals-2") == 70)


def test_an_edit_before_any_traffic_is_the_plan_that_is_followed(served: World) -> None:
    served.apply(version(2, rollout=steps(10, pause="60s")))
    served.run(1)
    assert served.state("signals-2") is State.Deploying
    edit(served, written("warmup", "40", "pause"))
    served.run(20, until=lambda: served.state("signals-2") is State.Live)
    assert [split[-1].percent for split in served.splits] == [100, 40, 100]


def test_a_strategy_that_is_edited_in_mid_rollout_does_not_skip_the_recorded_plan(served: World) -> None:
    served.apply(version(2, rollout=steps(10, pause="3s")))
    served.run(1)
    edit(served, [WARMUP], strategy="AllAtOnce")
    served.run(20, until=lambda: served.state("signals-2") is State.Live)
    assert [split[-1].percent for split in served.splits] == [100, 10, 100]


def test_a_default_plan_stays_what_it_was_when_another_release_has_another(served: World) -> None:
    status = running(OLD, 2)
    assert status.plan
    recorded = status.model_copy(update={"plan": status.plan.model_copy(update={"source": PlanSource.DEFAULT})})
    assert replanned(recorded, version(2)) is None

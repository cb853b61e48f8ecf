"""A version's way from nothing to Live: the ordinary story, step by step."""

from __future__ import annotations

import pytest

from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered
from turnout.api.reasons import ConditionType, Reason, Role, State
from turnout.api.status import ConditionStatus


def splits(world: World) -> list[str]:
    """The distinct splits in their order, as `version=percent`."""
    return [" ".join(f"{s.revision.split('-predictor')[0][-1]}={s.percent}" for s in split) for split in world.splits]


def test_the_first_version_takes_everything_after_its_warmup(world: World) -> None:
    world.apply(version(1))
    world.run(6)
    assert world.state("signals-1") is State.Live
    assert splits(world) == ["1=100"]
    assert world.writes[:2] == ["record signals-1 Pending", "record signals-1 Deploying"]


def test_a_first_version_that_is_not_wanted_is_not_deployed(world: World) -> None:
    world.apply(version(1, desired="Standby"))
    world.run(5)
    assert world.states() == {"signals-1": State.Standby}
    assert not world.running


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        pytest.param(steps(10, 50, pause="1s"), ["1=90 2=10", "1=50 2=50", "2=100"], id="by its steps"),
        pytest.param({"strategy": "AllAtOnce"}, ["2=100"], id="all at once"),
        pytest.param({"steps": []}, ["2=100"], id="by an empty plan"),
        pytest.param({"steps": [{"setWeight": 99}]}, ["1=1 2=99", "2=100"], id="without a warmup"),
        pytest.param(
            {"steps": [{"pause": {"duration": "2s"}}, {"setWeight": 20}, {"setWeight": 20}]},
            ["1=80 2=20", "2=100"],
            id="by a pause before any weight, and a weight twice",
        ),
    ],
)
def test_a_version_is_promoted(served: World, rollout: dict[str, object], expected: list[str]) -> None:
    served.apply(version(2, rollout=rollout))
    served.run(60, until=lambda: served.state("signals-2") is State.Live)
    assert splits(served)[1:] == expected
    assert served.states() == {"signals-1": State.Standby, "signals-2": State.Live}


def test_the_default_plan_is_resolved_into_the_status(served: World) -> None:
    served.apply(version(2))
    served.run(10)
    plan = served.versions["signals-2"].status.plan
    assert plan is not None
    assert [step.set_weight for step in plan.steps if step.set_weight] == [10, 25, 50]
    assert served.percent("signals-2") == 10


def test_each_happening_is_told_once(served: World) -> None:
    served.events.clear()
    served.apply(version(2, rollout=steps(10, pause="1s")))
    served.run(20)
    assert entered(served.events) == [
        "signals-2 RolloutStarted",
        "signals-2 RevisionPinned",
        "signals-2 WarmedUp",
        "signals-2 StepEntered",
        "signals-2 WeightChanged",
        "signals-2 StepEntered",
        "signals-2 WeightChanged",
        "signals-1 Standby",
        "signals-2 Promoted",
    ]


def test_the_next_weight_waits_until_the_last_is_observed(served: World) -> None:
    canary(served, 2, 10, 50, pause="1s")
    served.frozen_until = served.now.replace(minute=5)
    served.run(8)
    status = served.versions["signals-2"].status
    assert served.percent("signals-2") == 10
    assert (status.state, status.reason) == (State.Progressing, Reason.AwaitingTraffic)
    assert status.weight.desired == 50


def test_a_version_that_returns_to_rest_writes_nothing(served: World) -> None:
    served.apply(version(2, rollout=steps(10, pause="1s")))
    served.run(900)
    before = len(served.writes)
    served.run(120)
    assert len(served.writes) == before


def test_the_roles_and_the_ready_condition_end_as_people_expect(served: World) -> None:
    def ready(name: str) -> tuple[ConditionStatus, str]:
        condition = served.versions[name].status.condition(ConditionType.Ready)
        assert condition is not None
        return condition.status, condition.reason

    canary(served, 2, 10)
    assert served.versions["signals-2"].status.role is Role.Candidate
    assert ready("signals-2")[0] is ConditionStatus.UNKNOWN
    assert ready("signals-1") == (ConditionStatus.TRUE, "Promoted")
    served.run(20)
    assert served.versions["signals-1"].status.role is Role.Standby
    assert ready("signals-1") == (ConditionStatus.TRUE, "NotTheTarget")
    assert served.versions["signals-2"].status.role is Role.Stable
    assert ready("signals-2") == (ConditionStatus.TRUE, "Promoted")


def test_an_older_version_applied_later_is_kept_in_standby(world: World) -> None:
    world.apply(version(2))
    world.run(6)
    world.apply(version(1))
    world.run(3)
    assert world.states() == {"signals-2": State.Live, "signals-1": State.Standby}
    assert "signals-1" not in world.running

"""The Route against others: edited by hand, fought over, frozen, deleted; and revisions that nobody planned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.judges import UNASKED
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.reasons import ConditionType, Reason, State
from turnout.api.status import ConditionStatus
from turnout.rollout.decide import decide
from turnout.rollout.snapshot import Problem, Share, Split

ALL_TO_1 = (Share("signals-1-predictor-00001", 100),)
ALL_TO_2 = (Share("signals-2-predictor-00001", 100),)
LOWERED = (Share("signals-1-predictor-00001", 90), Share("signals-2-predictor-00001", 10))
BY_HAND = pytest.mark.parametrize(
    "split",
    [
        pytest.param(ALL_TO_2, id="everything to the canary"),
        pytest.param(LOWERED, id="less to the canary"),
        pytest.param(ALL_TO_1, id="nothing to the canary"),
    ],
)


def condition(world: World, name: str, kind: ConditionType) -> tuple[ConditionStatus, str]:
    found = world.versions[name].status.condition(kind)
    assert found is not None
    return found.status, found.reason


@BY_HAND
def test_a_route_edited_by_hand_is_put_back_and_told(served: World, split: Split) -> None:
    canary(served, 2, 30, pause="60s")
    served.edit_route(split)
    served.run(1)
    assert served.percent("signals-2") == 30
    assert entered(served.events).count("signals-2 DriftCorrected") == 1
    assert served.versions["signals-2"].status.weight.desired == 30
    assert served.state("signals-2") is State.Paused


def test_what_a_hand_took_from_a_canary_comes_back_with_its_pods_alone(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.evict("signals-2")
    served.edit_route(ALL_TO_1)
    served.run(1, tick=timedelta(seconds=0.1))
    assert served.percent("signals-1") == 100
    served.run(20)
    assert served.percent("signals-2") == 30


def test_an_unknown_revision_in_the_route_is_put_out(served: World) -> None:
    served.edit_route((Share("elsewhere-00001", 60), Share("signals-1-predictor-00001", 40)))
    served.run(1)
    assert served.percent("signals-1") == 100


@BY_HAND
def test_after_three_edits_the_route_is_left_alone_for_a_minute_and_then_put_back(served: World, split: Split) -> None:
    canary(served, 2, 30, pause="10m")
    for _ in range(3):
        served.edit_route(split)
        served.run(1)
    assert condition(served, "signals-2", ConditionType.Contended) == (ConditionStatus.TRUE, "Contended")
    assert served.written == split
    assert entered(served.events).count("signals-2 DriftCorrected") == 2
    assert entered(served.events).count("signals-2 Contended") == 1
    served.run(61)
    assert served.percent("signals-2") == 30
    served.run(300, tick=timedelta(seconds=1))
    assert condition(served, "signals-2", ConditionType.Contended) == (ConditionStatus.FALSE, "NotContended")


def test_a_death_is_not_kept_waiting_by_a_fight_for_the_route(served: World) -> None:
    canary(served, 2, 30, pause="10m")
    for _ in range(3):
        served.edit_route(ALL_TO_2)
        served.run(1)
    served.crash("signals-2")
    served.run(1)
    assert served.percent("signals-1") == 100


def test_a_dead_version_that_somebody_puts_back_is_out_each_time(served: World) -> None:
    canary(served, 2, 30, pause="10m")
    served.crash("signals-1")
    served.run(1)
    for _ in range(4):
        served.edit_route((Share("signals-1-predictor-00001", 100),))
        served.run(1)
        assert served.percent("signals-2") == 100


def test_a_withdrawal_is_not_kept_waiting_either(served: World) -> None:
    canary(served, 2, 30, pause="10m")
    for _ in range(3):
        served.edit_route(ALL_TO_2)
        served.run(1)
    served.edit("signals-2", desired="Standby")
    served.run(2)
    assert served.percent("signals-1") == 100


def test_a_target_that_freezes_the_route_is_dropped_after_ten_seconds_and_returns(served: World) -> None:
    """Its Revision is not Ready and it has no pod: nothing that names it takes effect."""
    canary(served, 2, 30, 60, pause="5s")
    run = served.running["signals-2"]
    run.servable = False
    served.run(6)
    assert served.versions["signals-2"].status.reason is Reason.AwaitingTraffic
    run.active, run.born, run.pods = False, True, {}
    run.start_seconds = 60
    served.run(2)
    assert served.percent("signals-2") == 30
    served.run(10)
    assert served.percent("signals-1") == 100
    assert served.state("signals-2") is State.Held
    run.active, run.start_seconds = True, 2
    served.heal("signals-2")
    served.run(20, until=lambda: served.percent("signals-2") == 60)


def test_a_route_that_stays_stuck_is_told_after_a_minute(served: World) -> None:
    canary(served, 2, 30, 60, pause="5s")
    served.frozen_until = served.now + timedelta(minutes=5)
    served.run(60)
    assert condition(served, "signals-2", ConditionType.TrafficInSync)[1] == "RouteNotReady"
    served.run(10)
    assert condition(served, "signals-2", ConditionType.TrafficInSync) == (ConditionStatus.FALSE, "TrafficStuck")
    assert entered(served.events).count("signals-2 TrafficStuck") == 1
    served.run(300, until=lambda: served.percent("signals-2") == 60)


def test_a_route_that_cannot_be_written_is_told_until_it_need_not_be(served: World) -> None:
    canary(served, 2, 30, 60, pause="3s")
    served.route_problem = Problem(Reason.TrafficUnwritable, "Knative's webhook does not answer")
    served.frozen_until = served.now + timedelta(seconds=9)
    served.run(6)
    in_sync = condition(served, "signals-2", ConditionType.TrafficInSync)
    assert in_sync == (ConditionStatus.FALSE, "TrafficUnwritable")
    served.run(5)
    in_sync = condition(served, "signals-2", ConditionType.TrafficInSync)
    assert in_sync == (ConditionStatus.TRUE, "InSync")
    assert entered(served.events).count("signals-2 TrafficUnwritable") == 1


@pytest.mark.parametrize("unseen", ["not ours any more", "no kind"])
def test_nothing_is_deleted_while_a_route_that_may_name_it_cannot_be_seen(served: World, unseen: str) -> None:
    canary(served, 2, 30, pause="60s")
    served.edit("signals-2", desired="Retired")
    retired = served.versions["signals-2"].status.model_copy(update={"state": State.Retired})
    served.versions["signals-2"] = served.versions["signals-2"].model_copy(update={"status": retired})
    seen = replace(served.snapshot(), route=None)
    if unseen == "no kind":
        seen = replace(seen, trouble=Problem(Reason.KServeMissing, "no Routes"))
    else:
        seen = replace(seen, taken={"signals": Problem(Reason.NameTaken, "Route signals exists and is not ours")})
    assert not decide(seen, UNASKED).retire


def test_a_crash_behind_a_frozen_route_is_out_as_soon_as_it_thaws(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.frozen_until = served.now + timedelta(seconds=20)
    served.crash("signals-2")
    served.run(5)
    assert [share.revision for share in served.written] == ["signals-1-predictor-00001"]
    assert served.state("signals-2") is State.RollingBack
    served.run(20)
    assert served.state("signals-2") is State.RolledBack


def test_who_has_lost_its_share_keeps_its_pods_and_is_not_deleted_before_the_gateway_has_heard_of_it(
    served: World,
) -> None:
    canary(served, 2, 30, pause="60s")
    served.gateway_late = timedelta(seconds=30)
    served.delete("signals-2")
    served.run(20)
    assert served.percent("signals-2") == 30
    assert [pod.ready for pod in served.running["signals-2"].pods.values()] == [True]
    served.run(15)
    assert "signals-2" not in served.running


def test_who_is_superseded_keeps_its_floor_as_long_as_callers_may_be_sent_there(served: World) -> None:
    canary(served, 2, 30, pause="60s", rollout={"abortScaleDownDelay": "1s"})
    served.gateway_late = timedelta(seconds=30)
    served.apply(version(3, rollout=steps(30)))
    served.run(20)
    assert served.state("signals-2") is State.Superseded
    assert served.running["signals-2"].autoscaling.min_pods == 1
    served.run(15)
    assert served.running["signals-2"].autoscaling.min_pods == 0


def test_a_route_deleted_by_hand_is_made_again_also_for_a_version_that_sleeps(served: World) -> None:
    served.idle("signals-1")
    served.run(2)
    served.route_uid, served.written, served.observed = "", (), ()
    served.run(1)
    assert served.percent("signals-1") == 100


def test_an_unplanned_revision_is_told_and_moves_nothing(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.running["signals-1"].unplanned = ("signals-1-predictor-00002",)
    split = served.written
    served.run(2)
    assert condition(served, "signals-1", ConditionType.RevisionPinned) == (ConditionStatus.FALSE, "UnplannedRevision")
    assert entered(served.events).count("signals-1 UnplannedRevision") == 1
    assert served.written == split
    assert served.state("signals-1") is State.Live


def test_a_candidate_remade_under_its_name_is_another_version_and_begins_anew(served: World) -> None:
    canary(served, 2, 30, 50, pause="5s")
    served.remake("signals-2")
    served.run(1)
    assert served.state("signals-2") is State.Deploying
    assert served.percent("signals-1") == 100
    served.run(30)
    assert served.state("signals-2") is State.Live


def test_a_candidate_whose_deployment_was_removed_is_made_again(served: World) -> None:
    canary(served, 2, 30, pause="5s")
    served.remove("signals-2")
    served.run(1)
    assert served.percent("signals-1") == 100
    served.run(30)
    assert served.state("signals-2") is State.Live


def test_a_warming_version_that_is_remade_is_deployed_anew(served: World) -> None:
    served.silent.add("signals-2")
    served.apply(version(2, rollout=steps(30)))
    served.run(4, until=lambda: served.state("signals-2") is State.Warming)
    served.remake("signals-2")
    served.run(0.5)
    assert served.state("signals-2") is State.Deploying


@pytest.mark.parametrize("how", ["remade", "removed"])
def test_a_stable_remade_under_its_name_is_pinned_anew(served: World, how: str) -> None:
    served.remake("signals-1") if how == "remade" else served.remove("signals-1")
    served.run(10)
    status = served.versions["signals-1"].status
    assert (status.state, served.percent("signals-1")) == (State.Live, 100)
    assert status.revision is not None
    assert status.revision.uid == served.running["signals-1"].uid


def test_a_stable_remade_gets_its_share_back_from_the_fallback() -> None:
    world = serving(1, 2, check=Invariants())
    world.remake("signals-2")
    world.run(1)
    assert world.percent("signals-1") == 100
    assert world.state("signals-2") is State.Held
    world.run(10)
    assert (world.state("signals-2"), world.percent("signals-2")) == (State.Live, 100)


def test_a_request_is_repeated_on_a_living_stable_only(served: World) -> None:
    canary(served, 2, 30, 50, pause="60s")
    change = _next_change(served)
    assert change == "signals-1-predictor-00001"
    served.edit("signals-2", rollout=version(2, rollout={**steps(30), "repeatOnStable": False}).spec.rollout)
    assert _next_change(served) == ""


def test_a_request_is_not_repeated_on_a_stable_that_is_dead_as_well(served: World) -> None:
    """Nobody lives, so both keep their shares: whatever one of them failed the other would fail too."""
    canary(served, 2, 30, 50, pause="60s")
    served.crash("signals-1")
    served.crash("signals-2")
    assert len(served.written) == 2
    assert _next_change(served) == ""


def _next_change(world: World) -> str:
    """Where the split repeats that would be written if the Route were edited now."""
    before = world.written
    world.written = ALL_TO_2
    plan = decide(world.snapshot(), UNASKED)
    world.written = before
    assert plan.route is not None
    return plan.route.fallback

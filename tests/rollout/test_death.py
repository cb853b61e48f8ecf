"""Who is dead, what that does to the split at once, and what is recorded of it afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.judges import always, analysed, then
from tests.rollout.simulation import steps, version
from tests.rollout.world import World, canary, entered, serving
from turnout.api.control import Control
from turnout.api.reasons import ConditionType, EventReason, Reason, State
from turnout.api.status import ConditionStatus
from turnout.judge.protocol import Outcome


def hold(world: World, name: str) -> Reason | None:
    found = world.versions[name].status.hold
    return found.reason if found else None


def test_a_crashed_candidate_is_out_in_the_same_pass_and_rolled_back(served: World) -> None:
    canary(served, 2, 30)
    served.crash("signals-2")
    served.run(0.1)
    assert [s.revision for s in served.written] == ["signals-1-predictor-00001"]
    assert served.state("signals-2") is State.RollingBack
    served.run(1)
    assert served.state("signals-2") is State.RolledBack
    assert served.percent("signals-1") == 100
    verdict = served.versions["signals-2"].status.verdict
    assert verdict is not None
    assert (verdict.reason, verdict.message) == (Reason.Crashed, "exit code 1: boom")


def test_a_candidate_of_which_one_pod_crashes_goes_on(world: World) -> None:
    world.apply(version(1, scaling={"minReplicas": 2}))
    world.run(6)
    canary(world, 2, 50, scaling={"duringRollout": {"canaryMin": 2}})
    survivor, victim = world.running["signals-2"].pods
    pods = dict(world.running["signals-2"].pods)
    world.crash("signals-2", again=False)
    world.running["signals-2"].pods[survivor] = pods[survivor]
    world.run(1)
    assert victim in world.running["signals-2"].ready_due
    assert world.percent("signals-2") == 50


def test_a_hang_is_seen_after_three_seconds(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.unready("signals-2")
    served.run(2.8)
    assert served.percent("signals-2") == 30
    served.run(0.6)
    assert served.percent("signals-2") == 0
    status = served.versions["signals-2"].status
    assert (status.state, status.reason) == (State.RolledBack, Reason.ReadinessLost)


def test_an_evicted_candidate_returns_to_its_step_and_its_clock_stood_still(served: World) -> None:
    canary(served, 2, 30, pause="20s")
    served.run(2)
    served.running["signals-2"].start_seconds = 30
    served.evict("signals-2")
    served.run(4)
    assert (served.state("signals-2"), hold(served, "signals-2")) == (State.Held, Reason.Evicted)
    assert served.percent("signals-2") == 0
    served.run(40, until=lambda: served.percent("signals-2") == 30)
    assert served.state("signals-2") is State.Paused
    served.run(14)
    assert served.state("signals-2") is State.Paused
    served.run(6, until=lambda: served.state("signals-2") is State.Live)


def test_the_candidate_carries_a_dead_stable_and_gives_back_when_it_returns(served: World) -> None:
    canary(served, 2, 30, pause="10s")
    served.crash("signals-1")
    served.run(1)
    assert served.percent("signals-2") == 100
    assert (served.state("signals-2"), hold(served, "signals-2")) == (State.Held, Reason.StableUnhealthy)
    assert served.versions["signals-1"].status.reason is Reason.Crashed
    served.run(60)
    assert served.state("signals-2") is State.Held
    served.heal("signals-1")
    served.run(3)
    assert (served.percent("signals-1"), served.percent("signals-2")) == (70, 30)
    assert served.state("signals-2") is State.Paused
    served.run(30, until=lambda: served.state("signals-2") is State.Live)


def test_a_dead_stable_that_scales_to_zero_is_not_taken_for_alive(served: World) -> None:
    """Without a share it is wanted no more, and what is not wanted is not dead: but it has no ready pod either."""
    canary(served, 2, 30, pause="10s")
    served.crash("signals-1")
    served.run(1)
    assert served.running["signals-1"].wanted == 1, "it must go on trying"
    served.evict("signals-1")
    served.restart_operator()
    before = len(served.splits)
    served.run(20)
    assert len(served.splits) == before
    assert served.percent("signals-2") == 100


def test_both_dead_keep_the_split_as_it_is(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    before = len(served.splits)
    for name in ("signals-1", "signals-2"):
        served.crash(name)
    served.run(2)
    assert len(served.splits) - before <= 1
    assert served.state("signals-2") in {State.RollingBack, State.RolledBack}
    served.heal("signals-1")
    served.run(5)
    assert served.percent("signals-1") == 100


def test_a_first_version_that_crashes_alone_stays(served: World) -> None:
    served.crash("signals-1")
    served.run(5)
    status = served.versions["signals-1"].status
    assert (status.state, status.reason, served.percent("signals-1")) == (State.Live, Reason.Crashed, 100)
    ready = status.condition(ConditionType.Ready)
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, "Crashed")
    served.heal("signals-1")
    served.run(3)
    assert served.versions["signals-1"].status.reason is Reason.Promoted


def test_a_crash_loop_is_written_once(served: World) -> None:
    served.crash("signals-1")
    served.run(5)
    before = len(served.writes)
    served.run(120)
    assert len(served.writes) == before


def test_a_first_version_that_dies_before_it_is_stable_keeps_its_share(world: World) -> None:
    world.apply(version(1))
    world.run(6, until=lambda: bool(world.written))
    world.crash("signals-1")
    world.run(2)
    status = world.versions["signals-1"].status
    assert (status.state, status.reason) == (State.Promoting, Reason.NothingLives)
    assert status.message == "nothing of it answers: exit code 1: boom"
    assert world.percent("signals-1") == 100
    world.heal("signals-1")
    world.run(3)
    assert world.state("signals-1") is State.Live


@pytest.mark.parametrize("former", [(1,), (1, 2)], ids=["alone", "beside a warm standby"])
def test_the_fix_of_a_live_version_that_died_proves_itself_and_gets_out(former: tuple[int, ...]) -> None:
    """The plan has not come to its analysis yet, and what answers in place of the dead one has its pods."""
    world, dead = serving(*former, check=Invariants()), f"signals-{former[-1]}"
    world.crash(dead)
    world.run(3)
    world.judge = then(4, Outcome.PASS)
    world.apply(version(3, **analysed(10, shortest="5s", longest="60s")))
    world.run(12)
    shares = {1: 90, 3: 10} if len(former) == 2 else {3: 100}
    assert {number: world.percent(f"signals-{number}") for number in shares} == shares
    assert hold(world, "signals-3") is Reason.StableUnhealthy
    assert "signals-1 Resolved" not in entered(world.events)
    assert "signals-2 Resolved" not in entered(world.events)
    world.run(120, until=lambda: world.state("signals-3") is State.Live)
    assert (world.state("signals-3"), world.percent("signals-3")) == (State.Live, 100)


def test_a_fix_without_an_analysis_to_come_waits_for_a_person_beside_a_dead_version(served: World) -> None:
    served.crash("signals-1")
    served.run(3)
    served.judge = always(Outcome.PASS)
    served.apply(version(2, rollout=steps(10, pause="5s")))
    served.run(600, tick=timedelta(seconds=1))
    assert (served.percent("signals-2"), hold(served, "signals-2")) == (100, Reason.StableUnhealthy)


def test_the_fix_of_a_first_version_that_never_lives_is_not_kept_waiting(world: World) -> None:
    world.apply(version(1))
    world.run(6, until=lambda: bool(world.written))
    world.crash("signals-1")
    world.run(2)
    world.apply(version(2))
    world.run(10)
    assert world.states() == {"signals-1": State.Superseded, "signals-2": State.Live}
    assert world.percent("signals-2") == 100


def test_a_dead_live_version_falls_back_to_the_last_promoted_with_pods() -> None:
    world = serving(1, 2, check=Invariants())
    world.crash("signals-2")
    world.run(1)
    assert world.percent("signals-1") == 100
    assert (world.state("signals-2"), hold(world, "signals-2")) == (State.Held, Reason.LivingFallback)
    assert world.state("signals-1") is State.Standby, "never a promotion"
    world.run(900, tick=timedelta(seconds=5))
    assert world.percent("signals-1") == 100, "its pods outlive promotedScaleDownDelay while it carries"
    world.heal("signals-2")
    world.run(15)
    assert world.percent("signals-2") == 100
    assert world.state("signals-2") is State.Live
    assert "signals-2 Resolved" in entered(world.events)


def test_a_dead_live_version_does_not_fall_back_to_one_without_pods() -> None:
    world = serving(1, 2, rollout={"promotedScaleDownDelay": "5s"}, check=Invariants())
    world.run(10)
    world.idle("signals-1")
    world.crash("signals-2")
    world.run(2)
    assert world.percent("signals-2") == 100
    assert world.state("signals-2") is State.Live


def test_a_rollback_with_a_dead_stable_is_blocked_until_stable_returns(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.crash("signals-1")
    served.run(1)
    served.edit("signals-2", desired="Standby")
    served.run(1)
    assert (served.state("signals-2"), hold(served, "signals-2")) == (State.Held, Reason.RollbackBlocked)
    assert served.percent("signals-2") == 100
    assert "signals-2 RollbackBlocked" in entered(served.events)
    served.heal("signals-1")
    served.run(3)
    assert served.percent("signals-1") == 100
    assert served.state("signals-2") is State.Standby
    assert entered(served.events).count("signals-2 RollbackStarted") == 1


def test_a_blocked_rollback_does_not_keep_the_fix_waiting(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.crash("signals-1")
    served.run(1)
    served.edit("signals-2", desired="Retired")
    served.run(1)
    served.apply(version(3, rollout=steps(10)))
    served.run(10)
    assert served.percent("signals-3") == 100
    assert served.state("signals-2") is State.Retired
    assert (served.state("signals-3"), hold(served, "signals-3")) == (State.Held, Reason.StableUnhealthy)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        pytest.param({"control": Control(abort=True)}, State.Aborted, id="aborted"),
        pytest.param({"desired": "Standby"}, State.Standby, id="withdrawn"),
        pytest.param({}, State.Superseded, id="superseded by one that is still being deployed"),
    ],
)
def test_who_was_met_and_has_its_pods_answers_in_place_of_a_dead_stable(
    served: World, change: dict[str, object], state: State
) -> None:
    canary(served, 2, 30)
    if change:
        served.edit("signals-2", **change)
    else:
        served.never_ready.add("signals-3")
        served.apply(version(3))
    served.run(3)
    assert (served.state("signals-2"), served.percent("signals-1")) == (state, 100)
    served.crash("signals-1")
    served.run(1)
    assert served.percent("signals-2") == 100
    message = served.versions["signals-1"].status.message
    assert message == "nothing of it answers: exit code 1: boom; signals-2 answers in its place"
    instead = served.versions["signals-2"].status.message
    assert instead.endswith("; it answers 100 % meanwhile, for nothing else lives")
    served.run(120)  # longer than its pods would be kept to be looked at
    assert (served.state("signals-2"), served.percent("signals-2")) == (state, 100)
    served.heal("signals-1")
    served.run(5)
    assert served.percent("signals-1") == 100


def test_of_two_that_were_met_the_one_that_was_found_bad_comes_last(served: World) -> None:
    canary(served, 2, 30)
    served.edit("signals-2", control=Control(abort=True))
    served.run(3)
    canary(served, 3, 30)
    served.crash("signals-3", again=False)
    served.run(10)
    assert served.states() == {"signals-1": State.Live, "signals-2": State.Aborted, "signals-3": State.RolledBack}
    assert served.running["signals-3"].revision_name
    served.crash("signals-1")
    served.run(1)
    assert served.percent("signals-2") == 100


def test_a_version_that_callers_have_never_met_does_not_answer_for_a_dead_stable(served: World) -> None:
    served.wrong_answers.add("signals-2")
    served.apply(version(2))
    served.run(10)
    assert served.state("signals-2") is State.Failed
    served.crash("signals-1")
    served.run(1)
    assert served.percent("signals-1") == 100


def test_a_deleted_version_that_serves_alone_and_dies_is_told_by_another(served: World) -> None:
    canary(served, 2, 30)
    served.edit("signals-2", control=Control(abort=True))
    served.run(200)
    served.delete("signals-1")
    served.run(5)
    served.events.clear()
    served.crash("signals-1")
    served.run(60)
    [told] = [event for event in served.events if event.warning]
    assert (told.version, told.reason) == ("signals-2", EventReason.Caution)
    assert told.message == (
        "signals-1: it was deleted, callers are still sent to it, and it is dead: exit code 1: boom"
    )
    accepted = served.versions["signals-2"].status.condition(ConditionType.Accepted)
    assert accepted is not None
    assert told.message in accepted.message
    served.heal("signals-1")
    served.run(5)
    accepted = served.versions["signals-2"].status.condition(ConditionType.Accepted)
    assert accepted is not None
    assert "signals-1" not in accepted.message


def test_a_superseded_version_carries_on_while_nothing_else_lives(served: World) -> None:
    canary(served, 2, 30, pause="60s")
    served.crash("signals-1")
    served.run(1)
    served.apply(version(3, rollout=steps(10)))
    served.run(1)
    assert served.state("signals-2") is State.Superseded
    assert served.percent("signals-2") == 100
    served.run(10)
    assert served.percent("signals-3") == 100


def test_a_stable_that_starts_from_zero_is_not_dead_before_its_deadline(world: World) -> None:
    world.apply(version(1, rollout={"progressDeadline": "20s"}))
    world.run(6)
    world.idle("signals-1")
    world.run(1)
    assert "asleep" in world.versions["signals-1"].status.message
    world.never_ready.add("signals-1")
    world.idle("signals-1", active=True)
    world.run(19)
    assert world.versions["signals-1"].status.reason is Reason.Promoted
    world.run(2)
    assert world.versions["signals-1"].status.reason is Reason.ReadinessLost


def test_a_candidate_dies_on_its_way_to_everything(served: World) -> None:
    served.apply(version(2, rollout={"strategy": "AllAtOnce"}))
    served.run(20, until=lambda: len(served.written) == 1 and "signals-2" in served.written[0].revision)
    served.crash("signals-2")
    served.run(2)
    assert served.state("signals-2") is State.RolledBack
    assert served.percent("signals-1") == 100
    history = served.versions["signals-2"].status.history[-1]
    assert (history.outcome, history.max_weight) == ("RolledBack", 100)


@pytest.mark.parametrize("restarts", [0, 3], ids=["with its memory", "with a memory lost thrice"])
def test_a_dead_version_stays_out_when_the_operator_forgets(served: World, restarts: int) -> None:
    canary(served, 2, 30, pause="60s")
    served.unready("signals-2")
    served.run(4)
    for _ in range(restarts):
        served.restart_operator()
        served.run(1)
        assert served.percent("signals-2") == 0
    assert served.state("signals-2") is State.RolledBack

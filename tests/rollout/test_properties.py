"""Random histories of people, pods, Routes, conflicts and kills, under every invariant; left alone, all rest."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.rollout.invariants import Invariants
from tests.rollout.judges import UNASKED, always, analysed
from tests.rollout.simulation import steps, version
from tests.rollout.world import World
from turnout.api.control import Control, Promote, PromoteMode
from turnout.api.version import DeletionPolicy, Desired
from turnout.judge.protocol import Judge, Outcome
from turnout.rollout.snapshot import Share

DEEP = os.environ.get("TURNOUT_DEEP", "")
settings.register_profile("quick", max_examples=100, stateful_step_count=25, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=int(DEEP or 1), stateful_step_count=40, deadline=None)
PROFILE = settings(settings.get_profile("deep" if DEEP else "quick"), suppress_health_check=list(HealthCheck))

TOKENS = st.sampled_from(["", "t1", "t2", "t3"])
JUDGES = st.sampled_from([*map(always, Outcome)])
NUMBERS = st.integers(1, 4)
ROLLOUTS = st.sampled_from(
    [
        steps(10, 50),
        steps(30, pause="2s"),
        steps(5, 5, 90, pause="1s"),
        {"strategy": "AllAtOnce"},
        {**steps(40, pause="3s"), "onSupersede": "Queue"},
        {**steps(20, 60), "onSupersede": "Reject", "rollbackWindow": {"versions": 1, "keepWarm": True}},
        {"steps": [{"setWeight": 20}]},
        {"steps": []},
        {**analysed(10, 50, shortest="3s", longest="9s")["rollout"], "onFailure": "Freeze"},
        {"steps": [{"setWeight": 20}, {"approval": {}}, {"setWeight": 40}, {"pause": {}}], "retryLimit": 2},
        {**steps(50), "progressDeadline": "20s", "deadline": "1m", "promotedScaleDownDelay": "5s"},
        {**steps(25), "abortScaleDownDelay": "1s", "rollbackWindow": {"versions": 1, "maxAge": "1m"}},
    ]
)
SCALING = st.sampled_from([{}, {"minReplicas": 2}, {"minReplicas": 1, "latencyCritical": True}, {"maxReplicas": 1}])


def name(number: int) -> str:
    return f"signals-{number}"


class Histories(RuleBasedStateMachine):
    """One model, up to four versions, everything that people and platforms do to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(check=Invariants())

    @initialize(scaling=SCALING)
    def first(self, scaling: dict[str, object]) -> None:
        self.world.apply(version(1, scaling=scaling))

    # -- people

    @rule(number=NUMBERS, rollout=ROLLOUTS, scaling=SCALING)
    def apply(self, number: int, rollout: dict[str, object], scaling: dict[str, object]) -> None:
        self.world.apply(version(number, rollout=rollout, scaling=scaling))
        self.world.run(3)

    @rule(number=NUMBERS, rollout=ROLLOUTS)
    def edit_plan(self, number: int, rollout: dict[str, object]) -> None:
        if name(number) in self.world.versions:
            self.world.edit(name(number), rollout=version(number, rollout=rollout).spec.rollout)
            self.world.run(1)

    @rule(number=NUMBERS, desired=st.sampled_from(Desired))
    def desire(self, number: int, desired: Desired) -> None:
        if name(number) in self.world.versions:
            self.world.edit(name(number), desired=desired)
            self.world.run(1)

    @rule(number=NUMBERS, paused=st.booleans())
    def pause(self, number: int, paused: bool) -> None:
        if name(number) in self.world.versions:
            self.world.edit(name(number), control=Control(paused=paused))
            self.world.run(1)

    @rule(number=NUMBERS, abort=st.booleans(), mode=st.sampled_from(PromoteMode), token=TOKENS, retry=TOKENS)
    def control(self, number: int, abort: bool, mode: PromoteMode, token: str, retry: str) -> None:
        if name(number) in self.world.versions:
            asked = Control(abort=abort, promote=Promote(mode=mode, token=token), retry_token=retry)
            self.world.edit(name(number), control=asked)
            self.world.run(1)

    @rule(judge=JUDGES, trouble=st.sampled_from(["", "", "connection refused"]))
    def judge(self, judge: Judge, trouble: str) -> None:
        self.world.judge, self.world.source_trouble = judge, trouble
        self.world.run(6)

    @rule(number=NUMBERS, policy=st.sampled_from(DeletionPolicy))
    def keep_or_delete(self, number: int, policy: DeletionPolicy) -> None:
        if name(number) in self.world.versions:
            self.world.edit(name(number), deletion_policy=policy)

    @rule(number=NUMBERS)
    @precondition(lambda self: len(self.world.versions) > 1)
    def delete(self, number: int) -> None:
        if name(number) in self.world.versions:
            self.world.delete(name(number))

    @rule(number=NUMBERS, percent=st.integers(1, 100))
    @precondition(lambda self: bool(self.world.route_uid))
    def edit_route(self, number: int, percent: int) -> None:
        shares = [Share(f"{name(number)}-predictor-00001", percent)]
        if percent < 100:
            shares.append(Share("signals-1-predictor-00001" if number > 1 else "elsewhere-00001", 100 - percent))
        self.world.edit_route(tuple(sorted(shares)))

    @rule(lost=st.sets(NUMBERS, min_size=1))
    def lose_status(self, lost: set[int]) -> None:
        self.world.lose_status(*(name(number) for number in lost if name(number) in self.world.versions))

    # -- pods

    @rule(
        number=NUMBERS,
        what=st.sampled_from(["crash", "crash once", "hang", "evict", "heal", "idle", "busy", "remove", "remake"]),
    )
    def pods(self, number: int, what: str) -> None:
        if name(number) not in self.world.running:
            return
        match what:
            case "crash":
                self.world.crash(name(number))
            case "crash once":
                self.world.crash(name(number), again=False)
            case "hang":
                self.world.unready(name(number))
            case "evict":
                self.world.evict(name(number))
            case "heal":
                self.world.heal(name(number))
            case "remove":
                self.world.remove(name(number))
            case "remake":
                self.world.remake(name(number))
            case _:
                self.world.idle(name(number), active=what == "busy")

    @rule(number=NUMBERS, servable=st.booleans())
    def ready_condition(self, number: int, servable: bool) -> None:
        """Knative looks at a revision again and says of it whatever it says."""
        run = self.world.running.get(name(number))
        if run and run.born:
            run.servable = servable

    @rule(number=NUMBERS, wrong=st.booleans())
    def answers(self, number: int, wrong: bool) -> None:
        self.world.wrong_answers ^= {name(number)} if wrong else set()
        self.world.contracts[name(number)] = '{"inputs": "text"}' if wrong else '["another"]'

    # -- time and faults of the machinery

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 3, 10]))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(minutes=st.sampled_from([2, 20]))
    def wait_long(self, minutes: int) -> None:
        self.world.run(60 * minutes, tick=timedelta(seconds=2 * minutes))

    @rule(seconds=st.sampled_from([2, 15, 70]))
    def freeze(self, seconds: float) -> None:
        self.world.frozen_until = self.world.now + timedelta(seconds=seconds)

    @rule()
    def restart(self) -> None:
        self.world.restart_operator()
        self.world.run(0.5)

    @rule(writes=st.integers(0, 6))
    def kill(self, writes: int) -> None:
        self.world.kill(before=writes)
        self.world.run(2)

    @rule(conflicts=st.integers(1, 3))
    def conflict(self, conflicts: int) -> None:
        self.world.conflicts = conflicts
        self.world.run(1)

    def teardown(self) -> None:
        """Left alone it comes to rest: every timer runs out, then ten minutes without a write."""
        world = self.world
        world.kill_before, world.conflicts = None, 0
        world.judge = UNASKED  # where there is evidence, there are writes
        world.run(1500, tick=timedelta(seconds=6))
        before = len(world.writes)
        world.run(600, tick=timedelta(seconds=30))
        assert world.writes[before:] == [], f"restless: {world.writes[before:][:6]}"


Histories.TestCase.settings = PROFILE
TestHistories = pytest.mark.timeout(0 if DEEP else 120)(Histories.TestCase)

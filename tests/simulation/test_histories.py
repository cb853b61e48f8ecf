"""Random histories of the whole: the real engine and loop on a cluster that freezes Routes, lies about readiness, loses
and delays what it tells, refuses writes and jumps in time, with people and other tools at work, and kills in between.

Every plan is held against tests/rollout/invariants.py, every write against tests/simulation/ledger.py; left alone, all
of it comes to rest. `TURNOUT_DEEP=2000` plays that many histories, each run others, and makes a fault's history short;
the quick run tells it as it was, since shortening takes minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import version
from tests.simulation.cluster import Cluster
from tests.simulation.drawing import CONTROLS, MOODS, PLANS, SCALING, Mood, judge
from tests.simulation.transitions import strange
from turnout.api.control import Control
from turnout.api.version import DeletionPolicy, Desired
from turnout.judge.protocol import Outcome
from turnout.platform.kubernetes.resources import (
    AUTOSCALERS,
    INFERENCE_SERVICES,
    PODS,
    REVISIONS,
    ROUTES,
    VERSIONS,
)
from turnout.platform.protocol import Conflict, Refused, Unavailable
from turnout.rollout.selection import TRAFFIC_STATES
from turnout.rollout.snapshot import Share

DEEP = int(os.environ.get("TURNOUT_DEEP") or 0)
WHOLE = (Phase.explicit, Phase.reuse, Phase.generate)
QUICK = settings(max_examples=80, stateful_step_count=25, deadline=None, derandomize=True, phases=WHOLE)
FULL = settings(max_examples=DEEP or 1, stateful_step_count=40, deadline=None, print_blob=True, database=None)
PROFILE = settings(FULL if DEEP else QUICK, suppress_health_check=list(HealthCheck))

NUMBERS = st.integers(1, 4)
KINDS = st.sampled_from([VERSIONS, INFERENCE_SERVICES, ROUTES, REVISIONS, AUTOSCALERS, PODS])
WRITES = st.sampled_from(
    [
        ("apply", "routes"),
        ("apply", "modelversions"),
        ("merge", "revisions"),
        ("create", "inferenceservices"),
        ("patch", "inferenceservices"),
        ("delete", "inferenceservices"),
    ]
)
FAULTS = st.sampled_from([Conflict("on demand"), Unavailable("on demand"), Refused("on demand")])
Blocks = dict[str, Any]
TROUBLES = ["crash", "crash once", "hang", "evict", "heal", "heal", "idle", "busy", "remove", "remake", "mint"]


def name(number: int) -> str:
    return f"signals-{number}"


class Histories(RuleBasedStateMachine):
    """One model, up to four versions, everything that people and platforms do to them."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = self.world()
        self.mood = Mood()
        self.cluster.judge = judge(self.mood, may_advance=True)

    def world(self) -> Cluster:
        return Cluster(check=Invariants(steps=False))

    @initialize(scaling=SCALING)
    def first(self, scaling: Blocks) -> None:
        self.cluster.apply(version(1, scaling=scaling))

    def has(self, number: int) -> bool:
        return name(number) in self.cluster.versions

    # -- people

    @rule(number=NUMBERS, plan=PLANS, scaling=SCALING, seconds=st.sampled_from([0, 1, 8]))
    def apply(self, number: int, plan: Blocks, scaling: Blocks, seconds: float) -> None:
        self.cluster.apply(version(number, **plan, scaling=scaling))
        self.cluster.run(seconds)

    @rule(number=NUMBERS, plan=PLANS)
    def edit_plan(self, number: int, plan: Blocks) -> None:
        if self.has(number):
            self.cluster.edit(name(number), rollout=version(number, **plan).spec.rollout)
            self.cluster.run(1)

    @rule(number=NUMBERS, desired=st.sampled_from(Desired))
    def desire(self, number: int, desired: Desired) -> None:
        if self.has(number):
            self.cluster.edit(name(number), desired=desired)
            self.cluster.run(1)

    @rule(number=NUMBERS, control=CONTROLS, seconds=st.sampled_from([0, 1, 6]))
    def speak(self, number: int, control: Control, seconds: float) -> None:
        if self.has(number):
            self.cluster.edit(name(number), control=control)
            self.cluster.run(seconds)

    @rule(outcome=MOODS, may_advance=st.booleans(), seconds=st.sampled_from([0, 6, 20]))
    def judge(self, outcome: Outcome, may_advance: bool, seconds: float) -> None:
        self.mood.outcome = outcome
        self.cluster.judge = judge(self.mood, may_advance=may_advance)
        self.cluster.run(seconds)

    @rule(trouble=st.sampled_from(["", "connection refused"]))
    def source(self, trouble: str) -> None:
        self.cluster.source_trouble = trouble

    @rule(number=NUMBERS, policy=st.sampled_from(DeletionPolicy))
    def keep_or_delete(self, number: int, policy: DeletionPolicy) -> None:
        if self.has(number):
            self.cluster.edit(name(number), deletion_policy=policy)

    @rule(number=NUMBERS)
    @precondition(lambda self: len(self.cluster.versions) > 1)
    def delete(self, number: int) -> None:
        self.cluster.delete(name(number))

    @rule(lost=st.sets(NUMBERS, min_size=1))
    def lose_status(self, lost: set[int]) -> None:
        known = [name(number) for number in sorted(lost) if self.has(number)]
        if known:
            self.cluster.lose_status(*known)

    # -- other tools

    @rule(number=NUMBERS, percent=st.integers(1, 100))
    def edit_route(self, number: int, percent: int) -> None:
        shares = [Share(f"{name(number)}-predictor-00001", percent)]
        if percent < 100:
            shares.append(Share("signals-1-predictor-00001" if number > 1 else "elsewhere-00001", 100 - percent))
        self.cluster.edit_route(tuple(sorted(shares)))

    @rule()
    def delete_route(self) -> None:
        self.cluster.delete_route()
        self.cluster.run(1)

    # -- pods

    @rule(number=NUMBERS, what=st.sampled_from(TROUBLES), seconds=st.sampled_from([0, 0.5, 5]))
    def pods(self, number: int, what: str, seconds: float) -> None:
        if name(number) in self.cluster.running:
            befall(self.cluster, name(number), what)
        self.cluster.run(seconds)

    @rule(number=NUMBERS, ready=st.sampled_from(["True", "False", "Unknown"]))
    def ready_condition(self, number: int, ready: str) -> None:
        """Knative looks at a revision again and says of it whatever it says."""
        self.cluster.serving.say_ready(f"{name(number)}-predictor-00001", ready)

    @rule(number=NUMBERS, seconds=st.sampled_from([0.3, 2, 7, 60]))
    def start_seconds(self, number: int, seconds: float) -> None:
        self.cluster.starts_in(name(number), seconds)

    @rule(number=NUMBERS, wrong=st.booleans())
    def answers(self, number: int, wrong: bool) -> None:
        self.cluster.wrong_answers ^= {name(number)} if wrong else set()
        self.cluster.contracts[name(number)] = '{"inputs": "text"}' if wrong else '["another"]'

    # -- time, and faults of the machinery

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 3, 10]))
    def wait(self, seconds: float) -> None:
        self.cluster.run(seconds)

    @rule(minutes=st.sampled_from([2, 20]))
    def wait_long(self, minutes: int) -> None:
        self.cluster.run(60 * minutes)

    @rule(seconds=st.sampled_from([2, 15, 70]))
    def freeze(self, seconds: float) -> None:
        self.cluster.serving.freeze(seconds)

    @rule(kind=KINDS, seconds=st.sampled_from([0.0, 0.4, 2.0, 8.0]))
    def lag(self, kind: object, seconds: float) -> None:
        """A watch is late: what it tells is older than what others have told already."""
        self.cluster.weather.lag[kind] = seconds  # type: ignore[index]

    @rule(kind=KINDS, ends=st.booleans())
    def deaf(self, kind: object, ends: bool) -> None:
        """A watch has ended in silence; the next full list finds what it lost."""
        (self.cluster.weather.deaf.discard if ends else self.cluster.weather.deaf.add)(kind)  # type: ignore[arg-type]

    @rule(write=WRITES, faults=st.lists(FAULTS, min_size=1, max_size=3))
    def refuse(self, write: tuple[str, str], faults: Sequence[Exception]) -> None:
        self.cluster.weather.refusals[write] = list(faults)

    @rule(seconds=st.sampled_from([-90.0, -2.0, 0.0, 2.0, 90.0]))
    def jump(self, seconds: float) -> None:
        """The operator's clock is another than the cluster's."""
        self.cluster.weather.skew = seconds
        self.cluster.run(0.5)

    @rule()
    def upgrade(self) -> None:
        """Another release with another default image; it may not touch what runs."""
        self.cluster.images["sklearn"] += "1"
        self.cluster.restart_operator()
        self.cluster.run(0.5)

    @rule(calls=st.integers(0, 12), moment=st.sampled_from(["before", "after"]))
    def kill(self, calls: int, moment: str) -> None:
        self.cluster.kill(calls=calls, moment=moment)
        self.cluster.run(2)

    def teardown(self) -> None:
        """Left alone it comes to rest: every timer runs out, then ten minutes without a write.

        But for what a judge remembers of each poll, where a candidate keeps a share that nothing can end or settle.
        """
        cluster = self.cluster
        try:
            calm(cluster)
            cluster.run(2400)
            before = Counter(cluster.calls)
            cluster.run(600)
            calls = [call for call in (Counter(cluster.calls) - before).elements() if not is_at_rest(call)]
            for name, one in cluster.versions.items():
                weight = one.status.weight
                if one.status.state in TRAFFIC_STATES and (weight.observed or weight.desired):
                    polls = int(600 / one.spec.analysis.interval.delta.total_seconds()) + 1
                    assert calls.count(f"apply modelversions {name}") <= polls, "more than one write a poll"
                    calls = [call for call in calls if call != f"apply modelversions {name}"]
            assert not calls, f"restless: {calls[:6]}"
            assert strange(cluster.moves) == []
        finally:
            cluster.close()


def is_at_rest(call: str) -> bool:
    """What is asked though nothing happens: lists, and the Lease."""
    return call.startswith("list") or " leases " in call


def befall(cluster: Cluster, who: str, what: str) -> None:
    acts = {
        "crash": cluster.crash,
        "hang": cluster.unready,
        "evict": cluster.evict,
        "heal": cluster.heal,
        "remove": cluster.remove,
        "remake": cluster.remake,
        "mint": cluster.serving.mint,
        "idle": cluster.idle,
    }
    if what == "crash once":
        cluster.crash(who, again=False)
    elif what == "busy":
        cluster.idle(who, active=True)
    else:
        acts[what](who)


def calm(cluster: Cluster) -> None:
    for weather in cluster.weathers:
        weather.kill = None
        weather.lag.clear()
        weather.deaf.clear()
        weather.refusals.clear()


Histories.TestCase.settings = PROFILE
TestHistories = pytest.mark.timeout(0 if DEEP else 300)(Histories.TestCase)

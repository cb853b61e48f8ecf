"""Two operators, one leader: the histories of test_histories.py, and above them replicas that are stopped, killed, told
to end, cut off, whose writes come late and whose Lease is deleted.

Every write that comes to the server must be of the one who took the Lease last, whatever the server answers to it; all
else that must hold of one operator must hold of the two.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.rollout.invariants import Invariants
from tests.rollout.simulation import steps, version
from tests.simulation.cluster import Cluster
from tests.simulation.replicas import LEASE, Pair
from tests.simulation.test_histories import DEEP, PROFILE, Histories
from turnout.api.reasons import State
from turnout.platform.kubernetes.resources import LEASES

TAKEOVER = 12.0
NUMBERS = st.sampled_from([0, 1])
DELAYS = st.sampled_from([0.0, 0.0, 0.05, 0.5, 1.9, 5.0])


class Replicas(Histories):
    """What befalls "the operator" in the rules of one befalls the one that was picked last."""

    cluster: Pair

    def world(self) -> Cluster:
        return Pair(check=Invariants(steps=False))

    @rule(number=NUMBERS)
    def pick(self, number: int) -> None:
        self.cluster.pick(number)

    @rule(seconds=st.sampled_from([0.0, 1.0, 3.0, 10.0]))
    def stop_leader(self, seconds: float) -> None:
        """It stands still, believes that it leads, and wakes when it is told to, by the rule below or at the end."""
        if self.cluster.leader:
            self.cluster.leader.member.gate.shut()
        self.cluster.run(seconds)

    @rule(number=NUMBERS, calls=st.integers(0, 6), moment=st.sampled_from(["before", "after"]))
    def stop_at_a_call(self, number: int, calls: int, moment: str) -> None:
        """With a decision made, or a request under way."""
        road = self.cluster.replicas[number].road
        road.stop = len(road.calls) + calls, moment
        self.cluster.run(3)

    @rule(number=NUMBERS, seconds=st.sampled_from([0.0, 1.0, 5.0]))
    def wake(self, number: int, seconds: float) -> None:
        self.cluster.replicas[number].member.gate.open()
        self.cluster.run(seconds)

    @rule(number=NUMBERS, seconds=DELAYS)
    def delay(self, number: int, seconds: float) -> None:
        self.cluster.replicas[number].road.delay = seconds

    @rule(number=NUMBERS, seconds=st.sampled_from([10.0, 40.0]))
    def hold(self, number: int, seconds: float) -> None:
        """Its next write hangs, and comes long after its sender has given it up, in another's term perhaps."""
        self.cluster.replicas[number].road.hold = seconds

    @rule(number=NUMBERS, cut=st.booleans(), seconds=st.sampled_from([0.0, 3.0, 10.0]))
    def cut_off(self, number: int, cut: bool, seconds: float) -> None:
        self.cluster.replicas[number].road.cut = cut
        self.cluster.run(seconds)

    @rule(number=NUMBERS, seconds=st.sampled_from([0.0, 2.0, 15.0]))
    def die(self, number: int, seconds: float) -> None:
        self.cluster.replicas[number].kill()
        self.cluster.run(seconds)

    @rule(number=NUMBERS, seconds=st.sampled_from([0.0, 2.0, 15.0]))
    def end(self, number: int, seconds: float) -> None:
        """As in a rolling update of the operator."""
        self.cluster.replicas[number].member.told.set()
        self.cluster.run(seconds)

    @rule()
    def delete_lease(self) -> None:
        self.cluster.delete_lease()

    def teardown(self) -> None:
        self.cluster.heal_all()
        super().teardown()


Replicas.TestCase.settings = settings(PROFILE, max_examples=DEEP or 40)
TestReplicas = pytest.mark.timeout(0 if DEEP else 900)(Replicas.TestCase)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Version 2 is on its way beside version 1, in the hands of a leader; the other waits."""
    made = Pair(check=Invariants(steps=False))
    yield roll_out(made)
    made.close()


def roll_out(pair: Pair) -> Pair:
    pair.apply(version(1))
    pair.run(30, until=lambda: pair.state("signals-1") is State.Live)
    pair.apply(version(2, rollout=steps(10, 30, 50, pause="10s")))
    pair.run(30, until=lambda: pair.percent("signals-2") == 10)
    return pair


def led_by_another(pair: Pair) -> float:
    """After how many seconds the other has written something."""
    first, began = pair.holder, pair.loop.time()
    pair.run(60, until=lambda: pair.holder != first)
    return pair.loop.time() - began


def test_the_other_takes_over_in_time_and_ends_the_rollout(pair: Pair) -> None:
    assert pair.leader
    pair.leader.member.gate.shut()
    assert led_by_another(pair) < TAKEOVER
    pair.run(90, until=lambda: pair.state("signals-2") is State.Live)
    assert len(pair.terms) == 2


def test_one_that_was_stopped_wakes_stands_by_and_may_lead_again(pair: Pair) -> None:
    stopped = pair.leader
    assert stopped
    stopped.member.gate.shut()
    led_by_another(pair)
    before = pair.server.find(LEASES, LEASE[1], LEASE[0])
    stopped.member.gate.open()
    pair.run(5)
    after = pair.server.find(LEASES, LEASE[1], LEASE[0])
    assert before
    assert after
    assert before["spec"]["leaseTransitions"] == after["spec"]["leaseTransitions"]
    assert pair.leader
    assert pair.leader is not stopped
    pair.leader.member.gate.shut()
    led_by_another(pair)
    assert pair.leader is stopped


def test_one_that_is_told_to_end_lets_the_other_lead_at_once(pair: Pair) -> None:
    assert pair.leader
    pair.leader.member.told.set()
    assert led_by_another(pair) < 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_one_that_is_stopped_in_a_write_and_wakes_in_anothers_term_writes_nothing(pair: Pair, moment: str) -> None:
    """`before`: decided, and the fence passed once; `after`: its request is at the server, and is answered."""
    stopped = pair.leader
    assert stopped
    at_a_write(pair, moment)
    led_by_another(pair)
    pair.run(5)
    stopped.member.gate.open()
    pair.run(60, until=lambda: pair.state("signals-2") is State.Live)


def at_a_write(pair: Pair, moment: str) -> None:
    """Stop the leader at the next call that is no renewal."""
    leader = pair.leader
    assert leader
    while not leader.member.gate.is_shut:
        calls = leader.road.calls
        leader.road.stop = len(calls), moment
        pair.run(30, until=lambda: leader.member.gate.is_shut)
        if moment == "after" and " leases " in calls[-1]:
            leader.member.gate.open()


def test_without_its_fence_a_former_leader_is_seen_to_write() -> None:
    """That the property can fail: the same two, one of them stopped for a while, and nobody asks whether it leads."""
    pair = Pair(is_fenced=False)
    try:
        roll_out(pair)
        at_a_write(pair, "before")
        stopped = next(each for each in pair.replicas if each.member.gate.is_shut)
        led_by_another(pair)
        stopped.member.gate.open()
        with pytest.raises(AssertionError, match="two write in one epoch"):
            pair.run(5)
    finally:
        pair.close()

"""Two operators against one API server: one leads, the other takes over, and no two write in one epoch.

They run as processes of this machine, so that the very process can be killed, stopped and asked to end; which of
them wrote is told by the API server's own audit log, by the user agent.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import Cluster
from harness.audit import AuditEvent
from tests.cluster.operators import Operator, start
from tests.cluster.rollouts.installation import operator_at_rest, predictor_image
from tests.cluster.rollouts.installation import stage as on_stage
from tests.cluster.rollouts.stage import MODEL, Stage, first_version, mver, steps
from tests.cluster.test_crd import NAME, install_crd

pytestmark = pytest.mark.cluster

TAKEOVER = 12.0  # seconds, of one that died without a word
AT_ONCE = 6.0  # seconds, of one that was told to end: its Lease of 8 s, renewed each 2, would run out no sooner


@dataclass
class Pair:
    """Two operators of a stage, its namespace and nothing else, under a Lease of their own."""

    stage: Stage
    folder: Path
    image: str
    mark: int

    def start(self) -> Operator:
        cluster = self.stage.cluster
        watched = f"--namespaces={self.stage.namespace}", f"--lease-namespace={self.stage.namespace}"
        serving = f"--image=custom={self.image}", f"--version-gateway={cluster.internal_gateway}"
        return start(cluster.kubeconfig, self.folder, *watched, *serving)

    def writes(self) -> list[AuditEvent]:
        """Of both, leases too, in the order in which the API server received them."""
        every = self.stage.cluster.audit.writes("admin", self.mark, leases=True)
        ours = (event for event in every if event.agent.startswith("turnout/") and event.code < 300)
        return sorted((e for e in ours if e.namespace == self.stage.namespace), key=lambda event: event.at)

    def seconds_of_rest(self) -> float:
        """Since the last write that was of no Lease, while those went on."""
        writes = self.writes()
        last = max(event.at for event in writes if event.resource != "leases")
        return max(event.at for event in writes).timestamp() - last.timestamp()

    def since(self, moment: float, agent: str) -> list[AuditEvent]:
        return [e for e in self.writes() if e.at.timestamp() > moment and e.agent == agent]


@pytest.fixture
def pair(cluster: Cluster, tmp_path: Path) -> Iterator[Pair]:
    image = predictor_image(cluster)
    ours = not cluster.kubectl("get", "crd", NAME, "--ignore-not-found").strip()
    if ours:
        install_crd(cluster)
    with operator_at_rest(cluster), on_stage(cluster) as stage:
        yield Pair(stage, tmp_path, image, cluster.audit.mark())
    if ours:
        cluster.kubectl("delete", "crd", NAME)


@pytest.fixture
def two(pair: Pair) -> Iterator[tuple[Pair, Operator, Operator]]:
    """The leader and the standby, a stable version, and a canary under way."""
    operators: list[Operator] = []
    try:
        for role in ("ok: leader", "ok: standby"):
            operators.append(one := pair.start())
            pair.stage.wait(f"it says {role}", lambda one=one, role=role: one.says().startswith(role))  # type: ignore[misc]
        first_version(pair.stage)
        pair.stage.apply(mver(2, rollout=steps(20, 40, 60, 80, pause="4s", promotedScaleDownDelay="1s")))
        pair.stage.wait_weight(f"{MODEL}-2", 20)
        yield pair, operators[0], operators[1]
    finally:
        for each in operators:
            each.end()
            print(each.log.read_text()[-4000:])


def agents(writes: list[AuditEvent]) -> list[str]:
    return list(dict.fromkeys(event.agent for event in writes))


def assert_turns(writes: list[AuditEvent]) -> tuple[str, str, float]:
    """Who wrote first, who then, and when the second took the lease: nothing of the first is later than that."""
    first, second = agents(writes)
    took = min(event.at for event in writes if event.agent == second)
    late = [event for event in writes if event.agent == first and event.at >= took]
    assert not late, "\n".join(map(str, late))
    return first, second, took.timestamp()


def test_at_rest_the_standby_writes_nothing_and_the_leader_only_its_lease(
    two: tuple[Pair, Operator, Operator],
) -> None:
    pair, _, _ = two
    pair.stage.wait_state(f"{MODEL}-2", "Live")
    pair.stage.wait("the old version has no pod left", lambda: not pair.stage.pods(f"{MODEL}-1"), 120)
    pair.stage.wait("both have been at rest for half a minute", lambda: pair.seconds_of_rest() > 30, 240)
    assert len(agents(pair.writes())) == 1


def test_after_a_kill_in_mid_canary_the_other_takes_over_and_no_request_is_lost(
    two: tuple[Pair, Operator, Operator],
) -> None:
    pair, leader, standby = two
    with pair.stage.stream(rate=20) as caller:
        killed = time.time()
        leader.process.send_signal(signal.SIGKILL)
        pair.stage.wait("the standby leads", lambda: standby.says() == "ok: leader")
        pair.stage.wait_state(f"{MODEL}-2", "Live")
    _, second, took = assert_turns(pair.writes())
    worked = min(e.at.timestamp() for e in pair.writes() if e.agent == second and e.resource != "leases")
    print(f"the other took the lease {took - killed:.1f} s after the kill and wrote {worked - killed:.1f} s after it")
    assert took - killed < TAKEOVER
    assert not caller.failures, caller.explain()


def test_one_that_is_told_to_end_lets_the_other_lead_at_once(two: tuple[Pair, Operator, Operator]) -> None:
    pair, leader, standby = two
    told = time.time()
    leader.process.send_signal(signal.SIGTERM)
    pair.stage.wait("the standby leads", lambda: standby.says() == "ok: leader")
    pair.stage.wait_state(f"{MODEL}-2", "Live")
    _, _, took = assert_turns(pair.writes())
    print(f"the other took the lease {took - told:.1f} s after the SIGTERM")
    assert took - told < AT_ONCE
    assert leader.process.wait(30) == 0


def test_one_that_was_stopped_and_wakes_writes_nothing_and_stands_by(two: tuple[Pair, Operator, Operator]) -> None:
    pair, leader, standby = two
    leader.process.send_signal(signal.SIGSTOP)
    stopped = time.time()
    pair.stage.wait("the standby leads", lambda: standby.says() == "ok: leader")
    pair.stage.wait_weight(f"{MODEL}-2", 60)
    leader.process.send_signal(signal.SIGCONT)
    pair.stage.wait("it stands by", lambda: leader.says().startswith("ok: standby"))
    pair.stage.wait_state(f"{MODEL}-2", "Live")
    first, _, took = assert_turns(pair.writes())
    assert took - stopped < TAKEOVER
    assert pair.since(took, first) == []

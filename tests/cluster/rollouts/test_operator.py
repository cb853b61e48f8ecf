"""The operator itself: killed at any moment it goes on, at rest it writes nothing, and what it refuses it names."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from harness import Cluster
from tests.cluster.rollouts import installation
from tests.cluster.rollouts.stage import MODEL, Stage, baked, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

CANARY, THIRD = f"{MODEL}-2", f"{MODEL}-3"
GATEWAYS_CONTROLLER = ("knative-serving", "net-kourier-controller")
"""While it stands still no split reaches the gateway."""


@dataclass(frozen=True)
class Rest:
    """A model at rest: since when, as a place in the audit log and in seconds since the epoch."""

    stage: Stage
    mark: int
    since: float


@pytest.fixture(scope="module", autouse=True)
def resting(installed: Cluster) -> Iterator[Future[Rest]]:
    """A model that comes to rest beside the tests below, and should stay so whatever they do to the operator."""
    with installation.stage(installed) as stage, ThreadPoolExecutor(1) as beside:
        first_version(stage)
        stage.apply(mver(2, scaling={"minReplicas": 1}, rollout=steps(50, pause="1s", promotedScaleDownDelay="1s")))
        stage.wait_state(f"{MODEL}-2", "Live")
        yield beside.submit(come_to_rest, stage)


def come_to_rest(stage: Stage) -> Rest:
    stage.wait("the old version has no pod left", lambda: not stage.pods(f"{MODEL}-1"), 240)
    mark = stage.quiet(20)  # for the last news of that pod's end
    return Rest(stage, mark, time.time())


def test_killed_in_every_state_of_a_rollout_it_goes_on(stage: Stage) -> None:
    """Whoever leads is killed, and whoever follows it in the next state, none of which ends before it is let."""
    stage.renew_operator()
    first_version(stage, scaling={"minReplicas": 2})
    canary = mver(2, rollout=steps(steps=[{"warmup": {"requests": 60}}, {"setWeight": 20}, {"pause": {}}]))
    canary["spec"]["predictor"]["artifact"] = baked("slow")  # a second each, sixty times
    with stage.stream(rate=20) as caller:
        with stage.cluster.cordoned():
            stage.apply(canary)
            stage.kill_operator_in(signals_2="Deploying")
        stage.kill_operator_in(signals_2="Warming")
        with stage.cluster.stopped(*GATEWAYS_CONTROLLER):
            stage.hurry(CANARY)
            stage.kill_operator_in(signals_2="Progressing")
        stage.apply(mver(3, rollout=steps(50, pause="1s", onSupersede="Queue")))
        stage.kill_operator_in(signals_2="Paused", signals_3="Queued")
        with stage.cluster.cordoned():  # all of the traffic needs as many pods as stable has
            stage.patch(CANARY, control={"promote": {"mode": "NextStep", "token": "go-on"}})
            stage.kill_operator_in(signals_2="Promoting")
        stage.wait_state(THIRD, "Live")
        time.sleep(1)
    assert [stage.status(name)["attempt"] for name in (CANARY, THIRD)] == [1, 1]
    assert not caller.failures, caller.explain()


def test_killed_while_it_rolls_back_it_ends_the_rollback(stage: Stage) -> None:
    stage.renew_operator()
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(20, pause="10m")))
        stage.wait_split({f"{MODEL}-1": 80, CANARY: 20})
        with stage.cluster.stopped(*GATEWAYS_CONTROLLER):
            stage.patch(CANARY, desired="Standby")
            stage.kill_operator_in(signals_2="RollingBack")
        stage.wait_state(CANARY, "Standby")
        time.sleep(1)
    assert not caller.failures, caller.explain()


def test_killed_while_a_version_is_held_it_keeps_it_held_and_goes_on(stage: Stage) -> None:
    """Its pods are taken away and find no other place: no fault of its own, and nobody knows how long."""
    stage.renew_operator()
    first_version(stage)
    stage.apply(mver(2, rollout=steps(20, pause="10s")))
    stage.wait_weight(CANARY, 20)
    with stage.stream(rate=20) as caller, stage.cluster.cordoned():
        stage.evict(CANARY)
        stage.wait_state(CANARY, "Held")
        stage.wait_split({f"{MODEL}-1": 100})
        dropped = time.time()
        stage.kill_operator(wait=True)
        time.sleep(3)  # for its first looks
        assert stage.status(CANARY)["hold"]["reason"] == "Evicted"
        assert stage.written() == {f"{MODEL}-1": 100}
        stage.cluster.uncordon()
        stage.wait_state(CANARY, "Live")
        time.sleep(1)
    assert stage.status(CANARY)["attempt"] == 1
    assert not [answer for answer in caller.since(dropped) if answer.failed], caller.explain()


def test_two_versions_of_one_number_the_later_is_rejected_by_name(stage: Stage) -> None:
    first_version(stage)
    stage.apply(mver(1, name="signals-again"))
    stage.wait_state("signals-again", "Rejected")
    status = stage.status("signals-again")
    assert status["reason"] == "DuplicateVersion"
    assert "signals-1" in status["message"]
    assert stage.call() == (200, "1")


def test_a_name_taken_by_something_foreign_is_left_alone(stage: Stage) -> None:
    stage.kubectl("create", "service", "clusterip", MODEL, "--tcp=80:80")
    stage.apply(mver(1))
    stage.wait_state(f"{MODEL}-1", "Rejected")
    assert stage.status(f"{MODEL}-1")["reason"] == "NameTaken"
    stage.kubectl("delete", "service", MODEL)
    stage.wait_state(f"{MODEL}-1", "Live")


def test_what_is_not_served_yet_is_rejected_with_the_field(stage: Stage) -> None:
    stage.apply(mver(1, rollout={"strategy": "Shadow"}))
    stage.wait_state(f"{MODEL}-1", "Rejected")
    assert "spec.rollout.strategy" in stage.status(f"{MODEL}-1")["message"]


def test_at_rest_it_writes_nothing_for_two_minutes_nor_when_it_is_killed(resting: Future[Rest]) -> None:
    rest = resting.result()
    time.sleep(max(0.0, rest.since + 120 - time.time()))
    written = rest.stage.writes(rest.mark)
    assert not written, "\n".join(map(str, written))

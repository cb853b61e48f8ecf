"""A canary that dies is out of the traffic at once, by the operator alone, whatever Knative's conditions say."""

import signal
import time

import pytest

from tests.cluster.rollouts.losses import lost
from tests.cluster.rollouts.stage import HANG, MODEL, Stage, condition, first_version, moment, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

CANARY = f"{MODEL}-2"


@pytest.fixture
def canary(stage: Stage) -> Stage:
    """Version 2 has 30 % beside version 1, and would keep it for ever."""
    first_version(stage)
    stage.apply(mver(2, rollout=steps(30, pause="10m")))
    stage.wait_weight(CANARY, 30)
    return stage


def wait_until_out(stage: Stage) -> None:
    stage.wait("the canary is out of the split", lambda: stage.split() == {f"{MODEL}-1": 100})


def seconds_until_dropped(stage: Stage, since: float, mark: int) -> float:
    """From `since` to the operator's write of the Route, as the API server's audit log has it."""
    wait_until_out(stage)
    took = min(event.at.timestamp() for event in stage.writes(mark) if event.resource == "routes") - since
    print(f"dropped after {took:.2f} s")
    return took


def unready_since(stage: Stage, pod: str) -> str:
    """When the kubelet saw its readiness fail, in whole seconds; empty while it is ready."""
    ready = condition(stage.object("pod", pod)["status"], "Ready")
    return str(ready["lastTransitionTime"]) if ready["status"] == "False" else ""


def wait_rolled_back(stage: Stage, reason: str) -> None:
    stage.wait_state(CANARY, "RolledBack")
    assert stage.status(CANARY)["verdict"]["reason"] == reason
    assert stage.state(f"{MODEL}-1") == "Live"


def test_a_crash_loop_at_30_percent_is_out_within_two_seconds(canary: Stage) -> None:
    mark = canary.cluster.audit.mark()
    with canary.stream(rate=30) as caller:
        took = seconds_until_dropped(canary, canary.crash(CANARY), mark)
        after = time.time()
        time.sleep(3)
    assert took < 2
    wait_rolled_back(canary, "Crashed")
    assert not [answer for answer in caller.since(after) if answer.failed], caller.explain()


def test_a_crash_loop_is_out_though_knatives_controller_restarts_and_freezes_the_route(canary: Stage) -> None:
    canary.cluster.kubectl("-n", "knative-serving", "delete", "pod", "-l", "app=controller", "--wait=false")
    mark = canary.cluster.audit.mark()
    took = seconds_until_dropped(canary, canary.crash(CANARY), mark)
    # the kubelet may tell of a crash a second late, and new controllers come up beside it: ten runs on two cores at a
    # load of 10 to 30 took 1.00 to 1.75 s
    assert took < 5
    wait_rolled_back(canary, "Crashed")
    assert canary.call() == (200, "1")


def test_a_stopped_process_is_out_within_five_seconds_of_its_lost_readiness(canary: Stage) -> None:
    mark, (pod,) = canary.cluster.audit.mark(), canary.pods(CANARY)
    canary.signal(CANARY, signal.SIGSTOP)
    canary.wait("its readiness has failed", lambda: bool(unready_since(canary, pod)))
    assert seconds_until_dropped(canary, moment(unready_since(canary, pod)), mark) < 6  # 5, and what is cut off
    wait_rolled_back(canary, "ReadinessLost")


def test_a_forward_that_never_returns_is_seen_and_thrown_out(canary: Stage) -> None:
    canary.poison(CANARY, HANG)
    wait_until_out(canary)
    wait_rolled_back(canary, "ReadinessLost")


def test_a_version_that_cannot_load_gets_no_request_and_disturbs_nobody(stage: Stage) -> None:
    first_version(stage)
    broken = mver(2, rollout=steps(30, progressDeadline="25s"))
    broken["spec"]["predictor"]["settings"] = {"no_such_setting": 1}
    with stage.stream(rate=20) as caller:
        stage.apply(broken)
        stage.wait_state(CANARY, "Failed")
    assert stage.status(CANARY)["reason"] == "SettingsInvalid"
    assert "no_such_setting" in stage.status(CANARY)["message"]
    assert not caller.failures, caller.explain()
    assert set(caller.shares()) == {"1"}


def test_an_evicted_canary_is_held_and_returns_to_its_step(stage: Stage) -> None:
    """Where a new pod is ready within three seconds nobody is missed: this one loads for longer than that."""
    first_version(stage)
    canary = mver(2, rollout=steps(30, pause="10m"))
    canary["spec"]["predictor"]["settings"]["load_seconds"] = 8
    stage.apply(canary)
    stage.wait_split({f"{MODEL}-1": 70, CANARY: 30})
    mark = stage.cluster.audit.mark()
    with stage.stream(rate=20) as caller:
        stage.evict(CANARY)
        stage.wait("it has lost its share", lambda: 0 in stage.given(CANARY, mark))
        stage.wait("callers meet that, or what came after it", lambda: bool(stage.split()))
        out = time.time()
        stage.wait("it is back at 30 %", lambda: stage.state(CANARY) == "Paused" and stage.split().get(CANARY) == 30)
        time.sleep(1)
    assert stage.given(CANARY, mark) == [0, 30]
    assert stage.status(CANARY)["attempt"] == 1
    assert all(answer.sent < out for answer in lost("evicted-canary", caller)), caller.explain()

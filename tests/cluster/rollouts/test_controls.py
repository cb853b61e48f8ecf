"""People on duty: abort and retry, pauses and approvals, promotion by token, a queue. No request is lost by it."""

from __future__ import annotations

import time

import pytest

from tests.cluster.rollouts.losses import lost
from tests.cluster.rollouts.stage import MODEL, UNTIL_TOLD, Stage, condition, first_version, mver, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STABLE, CANARY, THIRD = f"{MODEL}-1", f"{MODEL}-2", f"{MODEL}-3"


def test_an_abort_takes_the_share_at_once_and_a_retry_token_gives_a_new_attempt(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(30, pause="4s", promotedScaleDownDelay="1s")))
        stage.wait_weight(CANARY, 30)
        stage.patch(CANARY, control={"abort": True})
        stage.wait_split({STABLE: 100})
        stage.wait_state(CANARY, "Aborted")
        assert condition(stage.status(CANARY), "Ready")["status"] == "False"
        stage.wait("it is left to go to zero", lambda: stage.status(CANARY)["replicas"]["floor"] == 0)
        stage.patch(CANARY, control={"retryToken": "refused"})
        stage.wait_told(CANARY, "ControlRejected")
        stage.patch(CANARY, control={"abort": False, "retryToken": "again"})
        stage.wait_state(CANARY, "Live")
        time.sleep(1)
    status = stage.status(CANARY)
    assert status["attempt"] == 2
    assert [line["outcome"] for line in status["history"]] == ["Aborted", "Live"]
    lost("aborted", caller)


def test_pauses_and_approvals_wait_for_a_person_whose_token_acts_once(stage: Stage) -> None:
    first_version(stage)
    plan = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 30}, {"approval": {}}, {"setWeight": 50}, {"pause": {}}]
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(steps=plan)))
        stage.wait_weight(CANARY, 10)
        stage.wait_state(CANARY, "Paused")
        stage.patch(CANARY, control={"promote": {"mode": "NextStep", "token": "one"}})
        stage.wait_weight(CANARY, 30)
        stage.wait("it waits for approval", lambda: stage.status(CANARY)["reason"] == "AwaitingApproval")
        stage.patch(CANARY, control={"promote": {"mode": "NextStep", "token": "one"}})  # the same: nothing
        time.sleep(4)
        assert stage.written() == {STABLE: 70, CANARY: 30}
        stage.patch(CANARY, control={"promote": {"mode": "NextStep", "token": "two"}})
        stage.wait_weight(CANARY, 50)
        stage.patch(CANARY, control={"promote": {"mode": "Full", "token": "three"}})
        stage.wait_state(CANARY, "Live")
        time.sleep(1)
    lost("approved", caller)


def test_full_promotion_goes_past_every_step_that_is_left(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(10, 20, 50, pause="1h")))
        stage.wait_weight(CANARY, 10)
        stage.patch(CANARY, control={"promote": {"mode": "Full", "token": "now"}})
        stage.wait_state(CANARY, "Live")
        time.sleep(1)
    stage.wait_split({CANARY: 100})
    lost("promoted-fully", caller)


def test_a_version_that_queues_waits_and_one_that_rejects_says_so_until_the_slot_is_free(stage: Stage) -> None:
    first_version(stage)
    with stage.stream(rate=20) as caller:
        stage.apply(mver(2, rollout=steps(steps=UNTIL_TOLD)))
        stage.wait_weight(CANARY, 30)
        stage.apply(mver(3, rollout=steps(50, pause="1s", onSupersede="Queue")))
        stage.wait_state(THIRD, "Queued")
        stage.apply(mver(4, rollout=steps(50, pause="1s", onSupersede="Reject")))
        stage.wait_state(f"{MODEL}-4", "Rejected")
        assert stage.status(f"{MODEL}-4")["reason"] == "RolloutInProgress"
        assert stage.written() == {STABLE: 70, CANARY: 30}
        stage.patch(CANARY, control={"promote": {"mode": "NextStep", "token": "go-on"}})
        stage.wait_state(f"{MODEL}-4", "Live", 240)
        time.sleep(1)
    assert stage.status(CANARY)["history"][-1]["outcome"] == "Live"
    lost("queued", caller)

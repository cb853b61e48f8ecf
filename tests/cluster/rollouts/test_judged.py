"""The judge on the real cluster, over the pods' own counters: harm is rolled back, drift is paused, the rest promoted.

All candidates run side by side, each beside the stable version of its own model, so that they take the time of the
slowest verdict. Requests are real and come from outside, through the gateway.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.stream import Stream
from harness import Cluster
from tests.cluster.rollouts import installation
from tests.cluster.rollouts.stage import Stage
from tests.cluster.rollouts.unwell import HEALTHY, SLOW, judged, unwell

pytestmark = pytest.mark.timeout(900)

PER_SECOND = 20.0  # requests to each model
WEIGHT = 30
PATIENCE = 420.0  # seconds for the slowest verdict, on a machine that has other work to do
ENDED = {"RolledBack", "Live", "Failed", "Aborted", "Frozen"}
"""States in which an attempt is over; a candidate that a metric has paused waits for a person as well."""


@dataclass(frozen=True)
class Case:
    """A candidate beside a stable version, and the state and reason in which it ends."""

    ends: tuple[str, str]
    candidate: Mapping[str, float]
    stable: Mapping[str, float] = field(default_factory=lambda: HEALTHY)
    drift: Mapping[str, Any] | None = None


MOVED = {**HEALTHY, "shift": 0.5}
CASES: Mapping[str, Case] = {
    "failing": Case(("RolledBack", "ErrorRate"), {**HEALTHY, "failing": 0.05}),
    "slow": Case(("RolledBack", "Latency"), SLOW),
    "moved": Case(("Paused", "Drift"), MOVED, drift={"enabled": True, "output": "score"}),
    "astray": Case(("RolledBack", "Drift"), MOVED, drift={"enabled": True, "output": "score", "action": "Rollback"}),
    "better": Case(("Live", "Promoted"), HEALTHY, stable={**SLOW, "failing": 0.05}),
    "equal": Case(("Live", "Promoted"), HEALTHY, drift={"enabled": True, "output": "score"}),
}


@dataclass(frozen=True)
class Ended:
    """What became of a candidate, and after how many seconds of its share."""

    status: Mapping[str, Any]
    seconds: float
    split: Mapping[str, int]
    caller: Stream

    @property
    def ends(self) -> tuple[str, str]:
        return self.status["state"], self.status["reason"]


@pytest.fixture(scope="module")
def ended(installed: Cluster) -> Iterator[Mapping[str, Ended]]:
    with installation.stage(installed) as stage, contextlib.ExitStack() as callers:
        stage.apply(*(unwell(model, 1, case.stable) for model, case in CASES.items()))
        for model in CASES:
            stage.wait_state(f"{model}-1", "Live", 180)
        streams = {model: callers.enter_context(stage.stream(model, rate=PER_SECOND)) for model in CASES}
        stage.apply(*(unwell(model, 2, case.candidate, **plan(case)) for model, case in CASES.items()))
        yield watched(stage, streams)


def plan(case: Case) -> dict[str, Any]:
    """A step that is to find drift lasts long enough for it, however fast the machine is."""
    return judged(WEIGHT, **({"least": "60s", "drift": case.drift} if case.drift else {}))


def watched(stage: Stage, streams: Mapping[str, Stream]) -> dict[str, Ended]:
    """Every candidate when it has ended; those that have not by the end of all patience as they are."""
    until, begun, found = time.time() + PATIENCE, dict[str, float](), dict[str, Ended]()
    while len(found) < len(streams):
        for model, status in stage.statuses().items():
            name = model.removesuffix("-2")
            if name == model or name in found:
                continue
            if status.get("weight", {}).get("observed"):
                begun.setdefault(name, time.time())
            state = status.get("state", "")
            stopped = (state, status.get("reason")) == ("Paused", "Drift")
            if state in ENDED or stopped or time.time() > until:
                now = time.time()
                found[name] = Ended(status, now - begun.get(name, now), stage.written(name), streams[name])
                print(f"{name}: {state} after {found[name].seconds:.0f} s: {status.get('message', '')}")
        time.sleep(0.5)
    return found


def test_a_candidate_ends_as_its_answers_deserve(ended: Mapping[str, Ended]) -> None:
    assert {model: each.ends for model, each in ended.items()} == {model: case.ends for model, case in CASES.items()}


def test_what_is_rolled_back_has_no_share_and_says_why_in_numbers(ended: Mapping[str, Ended]) -> None:
    for model in ("failing", "slow", "astray"):
        assert ended[model].split == {f"{model}-1": 100}
        said = ended[model].status["verdict"]["message"]
        assert "stable" in said or "answers moved" in said


def test_what_drifts_keeps_its_share_until_a_person_speaks(ended: Mapping[str, Ended]) -> None:
    assert ended["moved"].split == {"moved-1": 100 - WEIGHT, "moved-2": WEIGHT}


def test_callers_meet_no_failures_but_the_predictors_own(ended: Mapping[str, Ended]) -> None:
    for model in ("slow", "moved", "astray", "equal"):
        assert not ended[model].caller.failures, ended[model].caller.explain()
    for model in ("failing", "better"):
        strange = [answer for answer in ended[model].caller.failures if answer.status != 500]
        assert not strange, ended[model].caller.explain()

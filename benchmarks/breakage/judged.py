"""Candidates that fail more often, at 10 % of 20 requests a second: the judge, and others' rules on the same counters.

Of each candidate there are two, side by side. On one Turnout acts. On the other the same verdict only freezes the
rollout, so that traffic goes on and slower rules have something to see: `benchmarks.judge.rivals`, replayed on what
was counted. What was served badly is what callers met, by the version that answered.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.breakage.recording import Increments, Recorder, traffic_of
from benchmarks.cluster import Cluster
from benchmarks.judge.rivals import Hits, argo, flagger, naive_z
from benchmarks.judge.traffic import Traffic
from benchmarks.report import Row, median, quick
from benchmarks.stream import Stream
from tests.cluster.rollouts.installation import stage
from tests.cluster.rollouts.stage import Stage, moment
from tests.cluster.rollouts.unwell import HEALTHY, judged, unwell

RATE = 20.0
"""Requests a second to each model."""
WEIGHT = 10
POLLS = 28
"""Seven minutes of counters: a rule that looks each minute can have failed seven times."""
COPIES = 1 if quick() else 2
"""Of every model, side by side."""
RULES: Mapping[str, Callable[[Traffic], Hits]] = {
    "Flagger's: under 99 % in a minute, five times": flagger,
    "Argo's: under 95 % in five minutes, more than three times": argo,
    "z-test at each poll, p < 0.05": naive_z,
}
ACTS, FREEZES = "Turnout acts", "Turnout, on the same counters"


@dataclass(frozen=True)
class Canary:
    """Shares of requests that fail on stable and on the candidate."""

    key: str
    stable: float
    candidate: float

    @property
    def name(self) -> str:
        return f"{100 * self.stable:g} % → {100 * self.candidate:g} %"

    @property
    def is_worse(self) -> bool:
        return self.candidate > self.stable


CANARIES = (Canary("five", 0.005, 0.055), Canary("two", 0.005, 0.03), Canary("same", 0.02, 0.02))


@dataclass(frozen=True)
class Found:
    """What a side did about a candidate: seconds from its first share to the verdict, NaN without one, and how many
    requests it had served badly by then, or in all the time.
    """

    canary: Canary
    side: str
    seconds: float
    bad: int


def models() -> Iterator[tuple[str, Canary, bool]]:
    """Each model's name, its candidate, and whether Turnout may act on it."""
    for canary in CANARIES:
        for copy in range(COPIES):
            yield f"{canary.key}-{copy}", canary, False
            if canary.is_worse:
                yield f"{canary.key}-{copy}-acted", canary, True


def plan(acts: bool) -> dict[str, Any]:
    """Everything about the judge is as by default; the step outlasts the watch, so that nobody is promoted."""
    found = judged(WEIGHT, interval="15s")
    found["rollout"]["steps"][-1]["analysis"] = {"minDuration": "30m", "maxDuration": "1h"}
    found["rollout"]["onFailure"] = "Rollback" if acts else "Freeze"
    return found


def measure(cluster: Cluster) -> tuple[list[Found], Mapping[str, list[Increments]]]:
    """One round: all candidates at once in a fresh namespace."""
    with stage(cluster) as ours, contextlib.ExitStack() as callers:
        ours.apply(*(unwell(model, 1, {**HEALTHY, "failing": canary.stable}) for model, canary, _ in models()))
        for model, _, _ in models():
            ours.wait_state(f"{model}-1", "Live", 240)
        streams = {model: callers.enter_context(ours.stream(model, rate=RATE)) for model, _, _ in models()}
        for model, canary, acts in models():
            ours.apply(unwell(model, 2, {**HEALTHY, "failing": canary.candidate}, **plan(acts)))
        for model, _, _ in models():
            ours.wait(f"{model} is judged", lambda model=model: has_share(ours, model), 240)  # type: ignore[misc]
        recorder = Recorder(ours, [model for model, _, acts in models() if not acts])
        recorder.watch(POLLS)
        return list(results(ours, streams, recorder)), recorder.increments()


def has_share(ours: Stage, model: str) -> bool:
    """It has, or had one and is out already."""
    status = ours.status(f"{model}-2")
    return bool(status.get("weight", {}).get("observed")) or "verdict" in status


def results(ours: Stage, streams: Mapping[str, Stream], recorder: Recorder) -> Iterator[Found]:
    counted, end = recorder.increments(), time.time()
    for model, canary, acts in models():
        status = ours.status(f"{model}-2")
        begun = min(answer.sent for answer in streams[model].answers if answer.version == "2")
        at = moment(status["verdict"]["at"]) if status.get("verdict") else float("nan")
        print(f"{model}: {status['state']}: {status.get('message', '')}", file=sys.stderr, flush=True)
        until = end if acts or at != at else at
        yield Found(canary, ACTS if acts else FREEZES, at - begun, served_badly(streams[model], until))
        if not acts:
            for name, rule in RULES.items():
                hits = rule(traffic_of(counted[model]))[0]
                at = recorder.at[int(hits.argmax()) + 1] if hits.any() else float("nan")
                yield Found(canary, name, at - begun, served_badly(streams[model], end if at != at else at))


def served_badly(caller: Stream, until: float) -> int:
    """Requests that failed on the candidate and were sent by then; there is no gateway here that repeats them."""
    return sum(answer.failed and answer.version == "2" and answer.sent <= until for answer in caller.answers)


def rows(found: Sequence[Found]) -> list[Row]:
    return [
        _row(canary, side, found) for canary in CANARIES for side in (ACTS, FREEZES, *RULES) if _of(found, canary, side)
    ]


def _of(found: Sequence[Found], canary: Canary, side: str) -> list[Found]:
    return [each for each in found if each.canary == canary and each.side == side]


def _row(canary: Canary, side: str, found: Sequence[Found]) -> Row:
    those = _of(found, canary, side)
    seconds = [each.seconds for each in those if each.seconds == each.seconds]
    return {
        "failing on stable → candidate": canary.name,
        "rule": side,
        "condemned": f"{len(seconds)} of {len(those)}",
        "after s, median": median(seconds),
        "bad requests served, median": median([each.bad for each in those]),
    }

"""Candidates that fail more often, at 10 % of 20 requests a second: the judge, and others' rules on the same counters.

Of each candidate there are two, side by side. On one Turnout acts. On the other the same verdict only freezes the
rollout, so that traffic goes on and slower rules have something to see: `benchmarks.judge.rivals`, replayed on what
was counted. What was served badly is what callers met, by the version that answered.
"""

from __future__ import annotations

import contextlib
import sys
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
POLLS = 24
"""Six minutes of counters: a rule that looks each minute can have failed six times."""
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
    """What a side did about a candidate: seconds until the verdict, NaN without one, and how many requests were served
    badly in them, or in all the time. Turnout's begin with the first share, a replayed rule's with its first poll.
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
    counted = recorder.increments()
    for model, canary, acts in models():
        status, caller = ours.status(f"{model}-2"), streams[model]
        print(f"{model}: {status['state']}: {status.get('message', '')}", file=sys.stderr, flush=True)
        first = min(answer.sent for answer in caller.answers if answer.version == "2")
        verdict = moment(status["verdict"]["at"]) if status.get("verdict") else None
        if acts:  # it serves a little longer than until the verdict
            yield Found(canary, ACTS, seconds(first, verdict), served_badly(caller, first, recorder.at[-1]))
            continue
        yield Found(canary, FREEZES, seconds(first, verdict), served_badly(caller, first, verdict or recorder.at[-1]))
        for name, rule in RULES.items():
            hits = rule(traffic_of(counted[model]))[0]
            begun, until = recorder.at[0], recorder.at[int(hits.argmax()) + 1] if hits.any() else None
            yield Found(canary, name, seconds(begun, until), served_badly(caller, begun, until or recorder.at[-1]))


def seconds(begun: float, verdict: float | None) -> float:
    return float("nan") if verdict is None else verdict - begun


def served_badly(caller: Stream, begun: float, until: float) -> int:
    """Requests that failed on the candidate and were sent in between; there is no gateway here that repeats them."""
    return sum(answer.failed and answer.version == "2" and begun <= answer.sent <= until for answer in caller.answers)


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

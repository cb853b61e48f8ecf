"""Break a canary at 30 % in four ways, under Turnout and under `canaryTrafficPercent`; then let canaries fail a little.

KServe's side gets all the help there is: a script sets the percent to 0 after exactly as long as Turnout took to act
on the same fault. For the crash loop there is a third side, on which nobody acts: KServe and Knative alone. Rounds
run side by side, and so do faults but one that hits the whole cluster.

Counted from the break: requests that failed or were given up by their caller, and the seconds until the last such
request was sent. `judged` has the canaries that only fail more often. Needs root and what `make cluster` needs.
Arguments: names of faults, or `errors`, if not all of them.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from benchmarks.breakage import judged
from benchmarks.cluster import Cluster, cluster_for
from benchmarks.report import Row, median, publish, quick, table
from benchmarks.stream import Stream
from tests.cluster.rollouts.installation import install, predictor_image, stage
from tests.cluster.rollouts.stage import CRASH, HANG, MODEL, Stage, body, first_version, moment, mver, steps

RATE = 20.0
"""Requests a second."""
PATIENCE = 10.0
"""Seconds a caller waits for an answer."""
WATCH = 60.0
"""Seconds that are watched from the break on."""
LONG = 600.0
"""Seconds after which a round that others wait for is given up."""


@dataclass(frozen=True)
class Fault:
    """A way to break the pods of one revision, alike on both sides. `bound`: what probes allow at best; `then`: what
    happens to the whole cluster at once.
    """

    name: str
    bound: str
    strike: Callable[[Stage, str], object]
    then: Callable[[Cluster], object] | None = None


class Rounds:
    """All rounds of a fault strike at the same moment, so that what hits the whole cluster happens once."""

    def __init__(self, cluster: Cluster, fault: Fault, number: int) -> None:
        self._fault = fault
        self._ready = threading.Barrier(number)
        self._struck = threading.Barrier(number, partial(fault.then, cluster) if fault.then else None)

    def strike(self, ours: Stage, revision: str) -> float:
        """The moment of the break."""
        self._ready.wait(LONG)
        broken = time.time()
        self._fault.strike(ours, revision)
        self._struck.wait(LONG)
        return broken


def _poison(feature: float) -> Callable[[Stage, str], object]:
    def strike(ours: Stage, revision: str) -> None:
        for pod in _pods(ours, revision):
            ours.poison_pod(pod, feature)

    return strike


def _stop(ours: Stage, revision: str) -> None:
    for pod in _pods(ours, revision):
        ours.cluster.signal_pod(signal.SIGSTOP, ours.namespace, pod)


def _pods(ours: Stage, revision: str) -> list[str]:
    return ours.cluster.pods(ours.namespace, f"serving.knative.dev/revision={revision}")


def _restart_knative(cluster: Cluster) -> None:
    """Knative looks at the dead revision anew, marks it not Ready, and no change of a Route that names it counts."""
    cluster.kubectl("-n", "knative-serving", "delete", "pod", "-l", "app=controller", "--wait=false")


FAULTS = (
    Fault("crash loop", "the crash itself", _poison(CRASH)),
    Fault("crash loop, Knative's controller restarts", "the crash itself", _poison(CRASH), _restart_knative),
    Fault("stopped process", "readiness probe", _stop),
    Fault("forward never returns", "timeoutSeconds (10 s), then the probe", _poison(HANG)),
)


@dataclass(frozen=True)
class Loss:
    """What callers lost after a break, and how long it went on; `acted` seconds after the break the split changed."""

    requests: int
    failed: int
    seconds: float
    acted: float


def loss(caller: Stream, broken: float, acted: float) -> Loss:
    asked = caller.since(broken)
    failed = [answer for answer in asked if answer.failed]
    last = max((answer.sent for answer in failed), default=broken)
    return Loss(len(asked), len(failed), last - broken, acted - broken)


def under_turnout(ours: Stage, rounds: Rounds) -> Loss:
    """The operator acts alone; the moment of its verdict is on record."""
    first_version(ours)
    ours.apply(mver(2, rollout=steps(30, pause="30m")))
    ours.wait_weight(f"{MODEL}-2", 30, 120)
    with ours.stream(rate=RATE, timeout=PATIENCE) as caller:
        time.sleep(3)
        broken = rounds.strike(ours, f"{MODEL}-2-predictor-00001")
        time.sleep(max(0.0, WATCH - (time.time() - broken)))
    acted = moment(ours.status(f"{MODEL}-2")["verdict"]["at"])
    return loss(caller, broken, acted)


def under_percent(ours: Stage, rounds: Rounds, delay: float, image: str) -> Loss:
    """One InferenceService, its second revision at 30 %; the percent is set to 0 `delay` seconds after the break.

    A delay that is not finite: nobody sets it.
    """
    ours.apply(inference_service(image, 1))
    ours.kubectl("wait", f"isvc/{MODEL}", "--for=condition=Ready", "--timeout=120s")
    ours.apply(inference_service(image, 2, percent=30))
    ours.wait("the canary has 30 %", lambda: _percent_of(ours, f"{MODEL}-predictor-00002") == 30, 120)
    url, host = f"{ours.cluster.gateway}/v2/models/{MODEL}/infer", f"{MODEL}-predictor.{ours.namespace}.example.com"
    with Stream(url, body, host=host, rate=RATE, timeout=PATIENCE) as caller:
        time.sleep(3)
        broken = rounds.strike(ours, f"{MODEL}-predictor-00002")
        if math.isfinite(delay):
            time.sleep(max(0.0, broken + delay - time.time()))
            ours.apply(inference_service(image, 2, percent=0))
        time.sleep(max(0.0, WATCH - (time.time() - broken)))
    return loss(caller, broken, broken + delay)


def _percent_of(ours: Stage, revision: str) -> int:
    traffic = ours.object("route.serving.knative.dev", f"{MODEL}-predictor").get("status", {}).get("traffic", [])
    return sum(entry.get("percent", 0) for entry in traffic if entry.get("revisionName") == revision)


def inference_service(image: str, number: int, percent: int | None = None) -> dict[str, Any]:
    """The same predictor and probe as Turnout renders, as a person writes an InferenceService."""
    container = {
        "name": "kserve-container",
        "image": image,
        "args": [
            f"--model_name={MODEL}", f"--model_version={number}", "--runtime=custom", "--entrypoint=faulty:Faulty",
            f'--settings={{"answer": {number}}}', "--timeout_seconds=10", "--http_port=8080",
        ],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": f"/v2/models/{MODEL}/ready"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }  # fmt: skip
    predictor: dict[str, Any] = {"minReplicas": 1, "timeout": 10, "containers": [container]}
    predictor["volumes"] = [{"name": "tmp", "emptyDir": {}}]  # where faulty.py remembers that it has to crash again
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": MODEL, "annotations": {"serving.kserve.io/deploymentMode": "Knative"}},
        "spec": {"predictor": predictor},
    }


def compare(cluster: Cluster, fault: Fault, image: str, rounds: Rounds) -> dict[str, Loss]:
    """Every side, one after the other, in fresh namespaces."""
    with stage(cluster) as ours:
        losses = {"Turnout": under_turnout(ours, rounds)}
    with stage(cluster) as theirs:
        losses["percent, set to 0"] = under_percent(theirs, rounds, losses["Turnout"].acted, image)
    if fault is FAULTS[0]:
        with stage(cluster) as theirs:
            losses["percent, nobody acts"] = under_percent(theirs, rounds, math.inf, image)
    return losses


def row(fault: Fault, side: str, losses: Sequence[Loss]) -> Row:
    return {
        "fault": fault.name,
        "seen by": fault.bound,
        "side": side,
        "acted after s": median([one.acted for one in losses]),
        "failed": int(median([one.failed for one in losses])),
        "of": int(median([one.requests for one in losses])),
        "last failure s": median([one.seconds for one in losses]),
    }


def broken(cluster: Cluster, number: int, faults: Sequence[Fault]) -> list[Row]:
    """As many rounds of every fault, all at once but for those that hit the whole cluster."""
    image, rows = predictor_image(cluster), dict[str, list[Row]]()
    for group in ([fault for fault in faults if not fault.then], *([fault] for fault in faults if fault.then)):
        print(f"{number} rounds of {'; '.join(fault.name for fault in group)}", file=sys.stderr, flush=True)
        with ThreadPoolExecutor(max(1, number * len(group))) as pool:
            step = {fault: Rounds(cluster, fault, number) for fault in group}
            seen = {
                fault: [pool.submit(compare, cluster, fault, image, step[fault]) for _ in range(number)]
                for fault in group
            }
        for fault, futures in seen.items():
            losses = [future.result() for future in futures]
            rows[fault.name] = [row(fault, side, [each[side] for each in losses]) for side in losses[0]]
    return [each for fault in faults for each in rows[fault.name]]


def failing(cluster: Cluster) -> dict[str, Any]:
    """The judged canaries, side by side: their table, and for machines all that it was made of."""
    found, counters = judged.measure(cluster)
    return {"judged": judged.rows(found), "verdicts": [asdict(each) for each in found], "counters": counters}


def main() -> None:
    rounds = 1 if quick() else 2
    asked = sys.argv[1:]
    with cluster_for("benchmark breakage") as cluster:
        install(cluster)
        facts = failing(cluster) if not asked or "errors" in asked else {}
        faults = [fault for fault in FAULTS if not asked or fault.name in asked]
        rows = broken(cluster, rounds, faults) if faults else []
        if facts and rows:
            print(table(facts["judged"]), flush=True)
        publish(
            "breakage", rows or facts["judged"], rate=RATE, patience=PATIENCE, watched=WATCH, rounds=rounds, **facts
        )


if __name__ == "__main__":
    main()

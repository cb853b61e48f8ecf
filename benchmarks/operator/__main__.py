"""Time to first byte of a new model, beside a plain InferenceService; and the time a split takes to hold.

First byte: from the return of `kubectl apply` to the first 200 through the model's public address, polled every
20 ms. Split: from the API server's receipt of the operator's write to the Route (audit log) to the first answer by
the version that it added. `make bench-operator`.

Thousands of versions at once are `make bench-operator.fleet`: benchmarks.operator.fleet.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request

from benchmarks.breakage.__main__ import inference_service
from benchmarks.cluster import Cluster, cluster_for
from benchmarks.report import median, publish, quick
from tests.cluster.rollouts.installation import install, predictor_image, stage
from tests.cluster.rollouts.stage import MODEL, OPERATOR, Stage, first_version, mver, steps


def first_byte(ours: Stage, manifest: dict[str, object], host: str) -> float:
    """Seconds from apply to the first 200."""
    ours.apply(manifest)
    began = time.time()
    request = urllib.request.Request(f"{ours.cluster.gateway}/v2/models/{MODEL}", headers={"Host": host})
    while time.time() - began < 120:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return time.time() - began
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError(f"{host} did not answer within 120 s\n{ours.story()}")


def split_to_effect(ours: Stage) -> float:
    """Seconds from the write that gives version 2 half of the traffic to the first answer of version 2."""
    first_version(ours)
    mark = ours.cluster.audit.mark()
    with ours.stream(rate=50) as caller:
        ours.apply(mver(2, rollout=steps(50, pause="10m")))
        ours.wait_weight(f"{MODEL}-2", 50, 120)
        time.sleep(1)
    writes = [e for e in ours.cluster.audit.writes(OPERATOR, mark) if e.resource == "routes" and e.code < 300]
    written = max(event.at.timestamp() for event in writes if event.namespace == ours.namespace)
    return min(answer.done for answer in caller.answers if answer.version == "2") - written


def measure(cluster: Cluster, rounds: int) -> list[dict[str, str | float | int]]:
    image = predictor_image(cluster)
    ours, theirs, splits = [], [], []
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        with stage(cluster) as here:
            version = mver(1, scaling={"minReplicas": 1})
            ours.append(first_byte(here, version, f"{MODEL}.{here.namespace}.example.com"))
        with stage(cluster) as here:
            host = f"{MODEL}-predictor.{here.namespace}.example.com"
            theirs.append(first_byte(here, inference_service(image, 1), host))
        with stage(cluster) as here:
            splits.append(split_to_effect(here))
    named = (
        ("apply to first byte, Turnout", ours),
        ("apply to first byte, InferenceService", theirs),
        ("split to effect", splits),
    )
    return [
        {"what": what, "median s": median(times), "min s": min(times), "max s": max(times)} for what, times in named
    ]


def main() -> None:
    rounds = 2 if quick() else 7
    with cluster_for("benchmark operator") as cluster:
        install(cluster)
        publish("operator", measure(cluster, rounds), rounds=rounds)


if __name__ == "__main__":
    main()

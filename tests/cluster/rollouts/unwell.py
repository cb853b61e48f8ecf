"""Versions of the predictor that is a little unwell, and the analysis that is to find it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.cluster.rollouts.stage import baked, mver

SICKEN = 668.0  # see tests/cluster/models/unwell.py
HEALTHY: Mapping[str, float] = {"milliseconds": 38}
SLOW: Mapping[str, float] = {"milliseconds": 57}
"""Half as slow again."""


def unwell(model: str, number: int, settings: Mapping[str, float] = HEALTHY, **spec: Any) -> dict[str, Any]:
    """A ModelVersion that always has a pod, so that both sides are there to be counted."""
    predictor = {
        "runtime": "custom",
        "entrypoint": "unwell:Unwell",
        "artifact": baked("scores"),  # it says into which bins scores are counted
        "settings": dict(settings),
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "timeoutSeconds": 10,
    }
    return mver(number, model=model, runtime=predictor, scaling={"minReplicas": 1}, **spec)


def judged(weight: int, *, interval: str = "5s", least: str = "15s", **analysis: Any) -> dict[str, Any]:
    """`rollout` and `analysis`: one step at `weight` that ends by a proof alone; by one for good not before `least`."""
    step = {"minDuration": least, "maxDuration": "20m", "minRequests": 30}
    steps = [{"warmup": {"requests": 5}}, {"setWeight": weight}, {"analysis": step}]
    passes = {"errors": {"passBelow": "0.05"}, "latency": {"passRatio": "4"}}
    return {
        "rollout": {"steps": steps, "promotedScaleDownDelay": "20s", "abortScaleDownDelay": "5s"},
        "analysis": {"interval": interval, **passes, **analysis},
    }

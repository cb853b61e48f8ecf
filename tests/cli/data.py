"""What a local engine, or an API server, says of one version that serves."""

from typing import Any

Raw = dict[str, Any]

VERSION = {
    "apiVersion": "turnout.dev/v1alpha1",
    "kind": "ModelVersion",
    "metadata": {"name": "digits-1", "namespace": "default"},
    "spec": {
        "model": "digits",
        "version": 1,
        "predictor": {"runtime": "sklearn", "artifact": {"uri": "file:///models/digits/1"}},
    },
    "status": {
        "role": "Stable",
        "state": "Live",
        "reason": "Promoted",
        "message": "stable since 2026-11-21 10:40:01Z",
        "url": "http://digits.default.localhost:8080",
        "weight": {"desired": 100, "observed": 100},
        "replicas": {"ready": 1, "floor": 1},
    },
}
TRAFFIC = {
    "default/digits": {
        "requests": 12,
        "errors": 1,
        "versions": {"digits-1": {"requests": 10, "failed": 3, "repeated": 2}},
    }
}


def version(number: int, state: str, *, namespace: str = "support", model: str = "digits", **more: Any) -> Raw:
    """A ModelVersion whose status says this."""
    spec = {
        "model": model,
        "version": number,
        "predictor": {"runtime": "sklearn", "artifact": {"uri": "file:///models/digits"}},
        **more.pop("spec", {}),
    }
    roles = {"Live": "Stable", "Standby": "Standby", "Archived": "None"}
    moving = {"Progressing", "Paused", "Held", "Deploying", "Warming", "Promoting", "RollingBack"}
    role = "Candidate" if state in moving else roles.get(state, "None")
    status = {
        "state": state,
        "role": role,
        "reason": "StepInProgress",
        "observedGeneration": 1,
        **more.pop("status", {}),
    }
    if state in ("Live", "Standby", "Archived"):
        status.setdefault("promotedAt", f"2026-11-21T10:{number:02}:00Z")
    return {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": f"{model}-{number}", "namespace": namespace, **more.pop("metadata", {})},
        "spec": spec,
        "status": status,
    }

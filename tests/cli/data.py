"""What a local engine, or an API server, says of one version that serves."""

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
        "message": "stable since 10:40:01",
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

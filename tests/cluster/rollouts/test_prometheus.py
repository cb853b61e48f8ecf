"""The judge reads a real Prometheus of the cluster; it is killed in mid-analysis, and the rollout waits for it.

It is a process of the node; series have the labels `namespace` and `pod`, as a PodMonitor gives them.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness import Cluster
from tests.cluster.rollouts import installation
from tests.cluster.rollouts.stage import Stage, condition
from tests.cluster.rollouts.unwell import SICKEN, judged, unwell
from tests.evidence.server import Serving, binary

pytestmark = pytest.mark.timeout(900)

MODELS = ("failing", "equal")
PER_SECOND = 20.0
WEIGHT = 30
PATIENCE = 420.0  # seconds for a verdict, on a machine that has other work to do
BLIND = 20.0  # seconds without a source


class Discovery(BaseHTTPRequestHandler):
    """Tells where every pod of a ModelVersion is; Debian's Prometheus cannot ask the API server itself."""

    cluster: ClassVar[Cluster]

    def do_GET(self) -> None:
        groups = [
            {"targets": [f"{address}:8080"], "labels": {"namespace": meta["namespace"], "pod": meta["name"]}}
            for pod in self.cluster.get("pods", "-A", "-l", "turnout.dev/model")["items"]
            if (meta := pod["metadata"]) and (address := pod.get("status", {}).get("podIP"))
        ]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it was killed while it asked
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(groups).encode())

    def log_message(self, *_: object) -> None:
        """Nothing: it is asked each second."""


@pytest.fixture
def discovery(installed: Cluster) -> Iterator[str]:
    Discovery.cluster = installed
    with ThreadingHTTPServer(("127.0.0.1", 0), Discovery) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def prometheus(discovery: str, tmp_path: Path) -> Iterator[Serving]:
    job = {"job_name": "predictors", "http_sd_configs": [{"url": discovery, "refresh_interval": "2s"}]}
    with (server := Serving(binary(), tmp_path, installation.PROMETHEUS, [job])):
        yield server


@pytest.fixture
def analysed(stage: Stage, prometheus: Serving) -> Iterator[Stage]:
    """Two candidates that nobody has found anything wrong with yet, each beside its stable version, and callers."""
    plan = judged(WEIGHT, least="2m", source={"prometheus": "cluster"})  # for the kill to come first
    stage.apply(*(unwell(model, 1) for model in MODELS))
    for model in MODELS:
        stage.wait_state(f"{model}-1", "Live", 180)
    with contextlib.ExitStack() as callers:
        for model in MODELS:
            callers.enter_context(stage.stream(model, rate=PER_SECOND))
        stage.apply(*(unwell(model, 2, **plan) for model in MODELS))
        yield stage


def both(stage: Stage, true: Callable[[Mapping[str, Any]], bool]) -> Callable[[], bool]:
    return lambda: all(true(stage.status(f"{model}-2")) for model in MODELS)


def judged_well(status: Mapping[str, Any]) -> bool:
    """The judge has numbers of both sides, and its last poll had an answer."""
    requests = (status.get("analysis") or {}).get("requests") or {}
    counted = all(requests.get(side, 0) for side in ("canary", "stable"))
    return counted and condition(status, "AnalysisHealthy")["status"] == "True"


def test_a_prometheus_that_is_gone_holds_a_rollout_and_one_that_is_back_decides_it(
    analysed: Stage, prometheus: Serving
) -> None:
    stage = analysed
    stage.wait("both are judged", both(stage, judged_well), 180)
    prometheus.kill()
    stage.wait("both are held", both(stage, lambda status: status["state"] == "Held"))
    stage.poison("failing-2", SICKEN, "failing")
    held = [stage.status(f"{model}-2") for model in MODELS]
    time.sleep(BLIND)
    for model, before in zip(MODELS, held, strict=True):
        status = stage.status(f"{model}-2")
        assert (status["state"], status["reason"]) == ("Held", "SourceError")
        assert condition(status, "AnalysisHealthy")["status"] == "False"
        assert status["step"] == before["step"], "its clock stands still"
        assert stage.written(model) == {f"{model}-1": 100 - WEIGHT, f"{model}-2": WEIGHT}
    prometheus.start()
    stage.wait("both are judged again", both(stage, lambda status: status["state"] != "Held"))
    stage.wait("the one is rolled back", lambda: stage.state("failing-2") == "RolledBack", PATIENCE)
    assert stage.status("failing-2")["reason"] == "ErrorRate"
    stage.wait("the other is promoted", lambda: stage.state("equal-2") == "Live", PATIENCE)

"""Real KServe and Knative keep the rules on which the simulator, and so every history and sweep on it, is built."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from harness import Cluster
from tests.cluster.rollouts import installation
from tests.cluster.rollouts.stage import MODEL, Stage, mver
from tests.simulation.rules import RULES, Facts, facts_of
from turnout.api.version import ModelVersion
from turnout.rollout import rendering
from turnout.rollout.plan import Deploy, RouteChange
from turnout.rollout.snapshot import ModelKey, Share

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

LOOK = 0.2
SETTLING = 2.0  # seconds in which what was just written may still be on its way
NOWHERE = "dev.local/nowhere:1"
SIDE_BY_SIDE = 3
BUSY = 6
"""How many times longer than the simulator a machine with other work to do may take until something comes true."""


class Real:
    """A ground of the cluster's: one namespace without a ModelVersion, so that no operator acts in it."""

    def __init__(self, stage: Stage, image: str) -> None:
        self._stage = stage
        self._image = image
        self._key = ModelKey(stage.namespace, MODEL)

    def make(self, name: str, *, starts: bool = True) -> None:
        manifest = mver(int(name[-1]))
        manifest["metadata"] |= {"namespace": self._key.namespace}
        deploy = Deploy(ModelVersion.model_validate(manifest), self._image if starts else NOWHERE, "hash", ())
        body = rendering.inference_service(self._key.namespace, deploy)
        self._stage.kubectl("create", "-f", "-", stdin=json.dumps(body))

    def remove(self, name: str) -> None:
        self._stage.kubectl("delete", "isvc", name, "--wait=false")

    def route(self, **percents: int) -> None:
        shares = (Share(f"{name.replace('_', '-')}-predictor-00001", percent) for name, percent in percents.items())
        body = rendering.route(self._key, RouteChange(tuple(shares)))
        apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=turnout", "-f", "-")
        self._stage.kubectl(*apply, stdin=json.dumps(body))

    def floor(self, name: str, pods: int) -> None:
        patch = {"metadata": {"annotations": {rendering.MIN_SCALE: str(pods), rendering.OWN_FLOOR: str(pods)}}}
        revision = f"{name}-predictor-00001"
        self._stage.kubectl("patch", "revision", revision, "--type=merge", "-p", json.dumps(patch))

    def crash(self, name: str) -> None:
        self._stage.crash(name)

    def label(self, name: str) -> None:
        self._stage.kubectl("label", "isvc", name, "team=support")

    def look(self) -> Facts:
        route = None
        with contextlib.suppress(Exception):  # there is none yet
            route = self._stage.object("route.serving.knative.dev", MODEL)
        revisions = self._items("revision")
        return facts_of(route, revisions, Counter(_version(pod) for pod in self._items("pod") if _is_ready(pod)))

    def until(self, true: Callable[[Facts], bool], seconds: float) -> None:
        end = time.monotonic() + BUSY * seconds
        while not true(facts := self.look()):
            assert time.monotonic() < end, f"not within {BUSY} x {seconds} s: {facts}"
            time.sleep(LOOK)

    def always(self, true: Callable[[Facts], bool], seconds: float) -> None:
        time.sleep(SETTLING)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            facts = self.look()
            assert true(facts), facts
            time.sleep(LOOK)

    def _items(self, kind: str) -> list[Any]:
        found: list[Any] = json.loads(self._stage.kubectl("get", kind, "-o", "json"))["items"]
        return found


def _version(pod: dict[str, Any]) -> str:
    labels: dict[str, str] = pod["metadata"].get("labels", {})
    return labels.get("serving.knative.dev/service", "").removesuffix("-predictor")


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def play(cluster: Cluster, image: str, sentence: str) -> None:
    """Whether Turnout is installed makes no difference."""
    with installation.stage(cluster) as stage:
        RULES[sentence](Real(stage, image))


@pytest.fixture(scope="module")
def played(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[None]]]:
    """Every rule that was asked for, each in a namespace of its own: they mostly wait."""
    image = installation.predictor_image(cluster)
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    asked = [item.callspec.params["sentence"] for item in items if item.module is request.module]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {sentence: pool.submit(play, cluster, image, sentence) for sentence in asked}


@pytest.mark.parametrize("sentence", RULES)
def test_the_cluster_keeps_the_rule_that(played: Mapping[str, Future[None]], sentence: str) -> None:
    played[sentence].result()

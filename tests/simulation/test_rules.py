"""The simulated KServe and Knative keep the rules that real ones are held against by the same table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.rollout.simulation import KEY, version
from tests.simulation.cluster import Cluster, cluster
from tests.simulation.rules import RULES, Facts, facts_of
from turnout.platform.kubernetes.resources import INFERENCE_SERVICES, REVISIONS, ROUTES
from turnout.rollout import rendering
from turnout.rollout.plan import Deploy, RouteChange
from turnout.rollout.snapshot import Share

LOOK = 0.1


class Simulated:
    """A ground of the simulator's; the operator on it has no ModelVersion to act for."""

    def __init__(self, world: Cluster) -> None:
        self.world = world

    def make(self, name: str, *, starts: bool = True) -> None:
        behaviour = self.world.serving.behaviour(name)
        behaviour.called = False
        behaviour.waits = "" if starts else "ImagePullBackOff"
        deploy = Deploy(version(int(name[-1])), "dev.local/sklearn:1", "hash", ())
        self.world.server.create(INFERENCE_SERVICES, KEY.namespace, rendering.inference_service(KEY.namespace, deploy))

    def remove(self, name: str) -> None:
        self.world.remove(name)

    def route(self, **percents: int) -> None:
        shares = (Share(f"{name.replace('_', '-')}-predictor-00001", percent) for name, percent in percents.items())
        self.world.server.apply(ROUTES, rendering.route(KEY, RouteChange(tuple(shares))))

    def floor(self, name: str, pods: int) -> None:
        revision = f"{name}-predictor-00001"
        body = {"metadata": {"annotations": {rendering.MIN_SCALE: str(pods)}}}
        self.world.server.merge(REVISIONS, KEY.namespace, revision, body)

    def crash(self, name: str) -> None:
        self.world.crash(name)

    def label(self, name: str) -> None:
        self.world.serving.mint(name)

    def look(self) -> Facts:
        server = self.world.server
        behaviours = self.world.serving.behaviours.items()
        ready = {name: sum(pod.ready for pod in behaviour.pods.values()) for name, behaviour in behaviours}
        return facts_of(server.find(ROUTES, KEY.model), list(server.of(REVISIONS)), ready)

    def until(self, true: Callable[[Facts], bool], seconds: float) -> None:
        self.world.run(seconds, until=lambda: true(self.look()))

    def always(self, true: Callable[[Facts], bool], seconds: float) -> None:
        self.world.run(0.5)
        for _ in range(round(seconds / LOOK)):
            assert true(self.look()), self.look()
            self.world.run(LOOK)


@pytest.mark.parametrize("sentence", RULES)
def test_the_simulator_keeps_the_rule_that(sentence: str) -> None:
    with cluster() as world:
        RULES[sentence](Simulated(world))

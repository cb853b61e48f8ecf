"""An operator that watches some namespaces only, as the chart's `watch.namespaces` says: theirs, and no others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from harness import Cluster
from tests.cluster.rollouts import installation
from tests.cluster.rollouts.stage import MODEL, Stage, first_version, mver, steps

pytestmark = pytest.mark.timeout(600)

RELEASE = "turnout-some"
OFF = ("crds.enabled", "rbac.people", "admission.enabled")  # the release that rests has them


@pytest.fixture
def watched(installed: Cluster) -> Iterator[tuple[Stage, Stage, Stage]]:
    """Two namespaces that are watched and one that is not; the operator of all namespaces rests."""
    with contextlib.ExitStack() as ending:
        ending.enter_context(installation.operator_at_rest(installed))
        one, two, other = (ending.enter_context(installation.stage(installed)) for _ in range(3))
        installed.kubectl("create", "namespace", RELEASE)
        ending.callback(installed.kubectl, "delete", "namespace", RELEASE, "--wait=false")
        ending.callback(installed.helm, "uninstall", RELEASE, "--namespace", RELEASE, "--wait")
        values = {f"watch.namespaces[{at}]": each.namespace for at, each in enumerate((one, two))}
        installation.install(installed, RELEASE, RELEASE, **values, **dict.fromkeys(OFF, "false"))
        yield one, two, other


def may(stage: Stage, verb: str, kind: str) -> bool:
    """Whether the operator's account may do that in a namespace, as the API server says."""
    account = f"system:serviceaccount:{RELEASE}:{RELEASE}"
    with contextlib.suppress(Exception):  # kubectl ends with 1 where the answer is no
        return stage.kubectl("auth", "can-i", verb, kind, f"--as={account}").strip() == "yes"
    return False


def test_two_watched_namespaces_roll_out_at_once_and_a_third_stays_untouched(
    watched: tuple[Stage, Stage, Stage],
) -> None:
    one, two, other = watched
    other.apply(mver(1))
    for stage in (one, two):
        first_version(stage)
    for stage in (one, two):
        stage.apply(mver(2, rollout=steps(20, pause="5s")))
    for stage in (one, two):
        stage.wait_state(f"{MODEL}-2", "Live")
    assert [stage.call() for stage in (one, two)] == [(200, "2"), (200, "2")]
    assert other.state(f"{MODEL}-1") == ""
    assert not other.kubectl("get", "isvc,routes.serving.knative.dev", "-o", "name").strip()
    assert [may(stage, "create", "isvc") for stage in watched] == [True, True, False]

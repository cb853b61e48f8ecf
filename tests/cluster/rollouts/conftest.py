"""What every rollout test stands on: Turnout installed once, and a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Cluster
from tests.cluster.rollouts import installation
from tests.cluster.rollouts.stage import Stage


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Cluster:
    """The chart, installed or upgraded to the images of this working tree."""
    installation.install(cluster)
    return cluster


@pytest.fixture
def stage(installed: Cluster) -> Iterator[Stage]:
    with installation.stage(installed) as ours:
        yield ours

"""One real cluster for all tests below: the one that runs (`make cluster`), or one that is started and stopped here.

It is made before the first test, outside every test's time limit. A machine that cannot have one skips these tests
and says so at the end in so many words; with TURNOUT_REQUIRE_CLUSTER=1 (CI) it fails them instead.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Cluster, HarnessError, InUseError, lifecycle, releases
from harness.bare import api_server
from harness.binaries import build, missing
from harness.install import apply, are_established
from harness.layout import LOCK, Layout, here
from harness.lock import shared
from harness.machine import obstacle
from harness.shell import say, until
from turnout.api import crd

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 900  # of a test here: the first one that needs an image waits until it is built

_cluster = pytest.StashKey[Cluster | str]()
_ending = pytest.StashKey[contextlib.ExitStack]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies here needs the cluster, marked by hand or not."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    wanted = any("cluster" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly:
        ending = session.config.stash.setdefault(_ending, contextlib.ExitStack())
        session.config.stash[_cluster] = _prepare(here(), ending)


def _prepare(layout: Layout, ending: contextlib.ExitStack) -> Cluster | str:
    """The cluster, or why there is none; what must be undone afterwards goes to `ending`."""
    try:
        if not lifecycle.settles(layout):
            hindrance = obstacle() or _unbuilt(layout)
            if hindrance:
                return hindrance
            lifecycle.up(layout)
            ending.callback(_stop, layout)
        ending.enter_context(shared(LOCK, "the cluster's tests"))
    except HarnessError as fault:
        return str(fault)
    return Cluster(layout)


def _unbuilt(layout: Layout) -> str | None:
    """Nobody who runs `pytest` means to compile Kubernetes: `make cluster` and CI do."""
    todo = missing(layout)
    if not todo or _required():
        return None
    return f"{', '.join(one.key for one in todo)} must be compiled first: make cluster (some 11 minutes, once)"


def _required() -> bool:
    return os.environ.get("TURNOUT_REQUIRE_CLUSTER") == "1"


def _stop(layout: Layout) -> None:
    try:
        lifecycle.down(layout)
    except InUseError as fault:
        say(f"left running: {fault}")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash.get(_ending, contextlib.ExitStack()).close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reason = config.stash.get(_cluster, None)
    if isinstance(reason, str):
        terminalreporter.section("NOT TESTED ON A REAL CLUSTER", yellow=True, bold=True)
        terminalreporter.line(reason)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A healthy cluster with KServe, Knative and Kourier, and nothing of Turnout's but what tests put there."""
    found = request.config.stash[_cluster]
    if isinstance(found, Cluster):
        return found
    if _required():
        pytest.fail(found, pytrace=False)
    pytest.skip(found)


@pytest.fixture(scope="session")
def api() -> Iterator[Cluster]:
    """An API server of the tests' own, without a node: for all that is rules and no pods."""
    if todo := _unbuilt(here()):
        pytest.skip(todo)
    build(here())
    with api_server() as server:
        yield server


@pytest.fixture(scope="session")
def serving_api() -> Iterator[Cluster]:
    """One more, which knows the kinds of KServe and Knative, and ours; nobody acts on them but a test's operator."""
    if todo := _unbuilt(here()):
        pytest.skip(todo)
    build(here())
    with api_server() as server:
        apply(server.layout, releases.read(server.layout).definitions)
        server.kubectl("apply", "--server-side", "-f", "-", stdin=crd.render())
        until("definitions established", lambda: are_established(server.layout))
        yield server


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, gone afterwards."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")

"""No command needs a right that it does not use: what each asks of the API server, and nothing besides."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.data import version
from tests.cli.test_analyze import RUNNING

Turnout = Callable[..., tuple[int, str, str]]

LIST = ("GET", "/apis/turnout.dev/v1alpha1/namespaces/support/modelversions")
LIST_EVERYWHERE = ("GET", "/apis/turnout.dev/v1alpha1/modelversions")
PAUSED_BY_PLAN = {"reason": "PausedByPlan", "weight": {"desired": 10, "observed": 10}}
VERSIONS = (
    version(1, "Live"),
    version(2, "Paused", status=PAUSED_BY_PLAN),
    version(1, "Live", model="mood"),
    version(2, "Paused", model="mood", spec={"control": {"paused": True}}),
    version(1, "Live", model="tone"),
    version(2, "RolledBack", model="tone"),
    {**RUNNING, "metadata": {**RUNNING["metadata"], "namespace": "support"}},
)

READING = (
    "status", "status digits", "status -o json", "history digits", "analyze signals",
    "plan wish.json", "__complete promote d", "__complete rollback digits 1", "rollback digits --dry-run",
)  # fmt: skip
WRITING = {
    "promote digits": "digits-2", "promote digits --full": "digits-2", "abort digits": "digits-2",
    "pause digits": "digits-2", "resume mood": "mood-2", "rollback digits": "digits-2", "retry tone": "tone-2",
}  # fmt: skip


def asked(turnout: Turnout, server: Any, command: str) -> set[tuple[str, str]]:
    """What it asked for, having done what it was told; or having waited in vain for somebody to act on it."""
    code, _, said = turnout(*command.split())
    assert code in ((0, 3) if "--wait" in command else (0,)), said
    return {(verb, path.partition("?")[0]) for verb, path in server.seen}


@pytest.mark.parametrize("command", READING)
def test_who_reads_lists_the_versions_of_a_namespace(
    turnout: Turnout, cluster: Any, tmp_path: Path, command: str
) -> None:
    (tmp_path / "wish.json").write_text(json.dumps(version(3, "")))
    assert asked(turnout, cluster(*VERSIONS), command) == {LIST}


@pytest.mark.parametrize("command", ["status -A", "__complete status -n s"])
def test_who_reads_every_namespace_lists_them_everywhere(turnout: Turnout, cluster: Any, command: str) -> None:
    assert asked(turnout, cluster(*VERSIONS), command) == {LIST_EVERYWHERE}


@pytest.mark.parametrize("waiting", ["", " --wait --timeout 0s"], ids=["", "wait"])
@pytest.mark.parametrize(("command", "name"), WRITING.items(), ids=WRITING.keys())
def test_who_writes_lists_and_patches_that_one_version(
    turnout: Turnout, cluster: Any, command: str, name: str, waiting: str
) -> None:
    assert asked(turnout, cluster(*VERSIONS), command + waiting) == {LIST, ("PATCH", f"{LIST[1]}/{name}")}

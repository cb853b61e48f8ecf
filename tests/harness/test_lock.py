"""One cluster per machine: who holds it keeps others out, is named to them, and loses it by dying."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import InUseError
from harness.lock import exclusive, holders, lock_pids, shared

HOLD = """
import sys
from harness import lock
from pathlib import Path
with getattr(lock, sys.argv[2])(Path(sys.argv[1]), "a test"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "lock"


@pytest.fixture
def other(path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock as the test asks, until it is killed."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "cluster")}
    command = [sys.executable, "-c", HOLD, str(path), request.param]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=path.parent.parent
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


@pytest.mark.parametrize("other", ["exclusive"], indirect=True)
def test_who_comes_second_is_told_the_pid_and_the_folder_of_the_first(path: Path, other: subprocess.Popen[str]) -> None:
    with pytest.raises(InUseError) as told, shared(path, "a second one"):
        pytest.fail("the lock was free")
    assert f"process {other.pid} " in str(told.value)
    assert str(path.parent.parent) in str(told.value)
    assert str(told.value).startswith("a second one must wait")


@pytest.mark.parametrize("other", ["exclusive"], indirect=True)
def test_a_killed_holder_holds_nothing(path: Path, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    with exclusive(path, "a second one"):
        assert holders(path) == []


@pytest.mark.parametrize("other", ["shared"], indirect=True)
def test_users_share_and_keep_changes_away(path: Path, other: subprocess.Popen[str]) -> None:
    with shared(path, "a second user"):
        assert [holder.pid for holder in holders(path)] == [other.pid]
    with pytest.raises(InUseError), exclusive(path, "a change"):
        pytest.fail("the lock was free")


def test_a_process_that_waits_is_no_holder() -> None:
    table = "1: FLOCK  ADVISORY  WRITE 70 fe:00:99 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 71 fe:00:99 0 EOF\n"
    table += "2: POSIX  ADVISORY  WRITE 72 fe:00:99 0 EOF\n3: FLOCK  ADVISORY  READ 73 fe:00:98 0 EOF\n"
    assert lock_pids(table, os.makedev(0xFE, 0), 99) == [70]

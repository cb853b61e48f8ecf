"""The demo, once for real: what it promises is asserted, and what it starts is gone when it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from turnout.api.loading import load

ROOT = Path(__file__).parent.parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "demo", "--fast", "--port", "0", "--folder", str(folder), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def processes_of(folder: Path) -> list[str]:
    """Every process whose command line names the folder: the engine, Envoy, predictors."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command and int(entry.parent.name) != os.getpid():
            found.append(command)
    return found


class Told:
    """A demo that has been told to its end."""

    def __init__(self, folder: Path) -> None:
        process = demo(folder, "--json", str(folder / "results.json"))
        self.out, self.err = process.communicate()
        self.code = process.returncode
        self.left = processes_of(folder)
        self.folder = folder

    @property
    def results(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / "results.json").read_text())
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    told = Told(tmp_path_factory.mktemp("demo"))
    assert told.code == 0, f"{told.out}\n{told.err}\n{(told.folder / 'engine.log').read_text()}"
    return told


def test_no_caller_saw_an_error(told: Told) -> None:
    assert told.results["failed"] == 0
    assert told.results["failures"] == []
    answered = told.results["answered"]
    assert isinstance(answered, dict)
    assert answered["1"] > 50
    assert answered["2"] > 50
    assert sum(answered.values()) > 300


def test_states_follow_each_other_as_the_story_says(told: Told) -> None:
    states = told.results["states"]
    assert isinstance(states, dict)
    assert is_in_order(["Live", "Standby"], states["digits-1"])
    assert is_in_order(["Deploying", "Progressing", "Live"], states["digits-2"])
    assert is_in_order(["Deploying", "Progressing", "RolledBack"], states["digits-3"])
    assert is_in_order(["Deploying", "Progressing", "RolledBack"], states["digits-4"])
    assert states["digits-5"][-1] == "Failed"
    assert not {"Progressing", "Paused", "Live"} & set(states["digits-5"])
    assert states["digits-night-1"][-1] == "Live"


def is_in_order(expected: list[str], states: list[str]) -> bool:
    rest = iter(states)
    return all(state in rest for state in expected)


def test_the_version_that_fails_now_and_then_is_taken_back_by_proof(told: Told) -> None:
    verdict = told.results["verdict"]
    assert isinstance(verdict, str)
    assert re.search(r"canary .* errors of .*: worse than stable, proven within a false-alarm budget of 1 %", verdict)
    assert verdict in " ".join(told.out.split())
    failed = told.results["failed_by"]
    assert isinstance(failed, dict)
    assert failed["3"] >= 3
    assert failed["2"] == 0
    assert failed["3"] + failed["4"] == told.results["repeated_on_stable"]


def test_the_crashing_version_is_out_within_a_second_and_its_requests_were_repeated(told: Told) -> None:
    seconds = told.results["crash_to_out_seconds"]
    assert isinstance(seconds, float)
    assert 0 < seconds <= 1
    assert isinstance(told.results["repeated_on_stable"], int)
    assert told.results["repeated_on_stable"] >= 1


def test_the_broken_version_never_gets_a_request(told: Told) -> None:
    answered = told.results["answered"]
    assert isinstance(answered, dict)
    assert "5" not in answered


def test_the_better_version_is_better_and_the_sleeper_woke(told: Told) -> None:
    accuracy = told.results["accuracy"]
    assert isinstance(accuracy, dict)
    assert accuracy["1"] < 0.9 < 0.97 < accuracy["2"]
    wake = told.results["wake_seconds"]
    assert isinstance(wake, float)
    assert wake > 0.2  # a process was started: no model that was awake is that slow


def test_the_page_is_one_file_that_needs_no_other(told: Told) -> None:
    page = (told.folder / "story.html").read_text("utf-8")
    assert not re.search(r"""(src|href)\s*=|url\(|@import""", page)
    for words in ("failed at their caller", "RolledBack", "The moment at which version 4 breaks", "digits-night"):
        assert words in page
    for words in ("What the judge knew of version 2", "What the judge knew of version 3", "100: rolled back"):
        assert words in page


def test_the_story_is_told_in_plain_lines_where_there_is_no_terminal(told: Told) -> None:
    assert "\x1b" not in told.out
    assert "is out of the traffic" in told.out
    assert "Try next:" in told.out


def test_its_files_are_ordinary_model_versions(told: Told) -> None:
    loaded = load([told.folder / "versions"])
    assert loaded.problems == ()
    assert len(loaded.versions) == 6


def test_nothing_is_left_running(told: Told) -> None:
    assert told.left == []


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout
    return iter(process.stdout.readline, "")  # a generator would close it when it is dropped


def test_a_reader_that_goes_away_ends_it_in_order(tmp_path: Path) -> None:
    process = demo(tmp_path)
    assert process.stdout
    next(line for line in lines(process) if "turnout up is running" in line)
    process.stdout.close()
    _, err = process.communicate(timeout=300)
    assert err == ""
    assert process.returncode == 141
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("moment", ["Training", "turnout up is running", "Callers begin"])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_it_can_be_stopped_at_any_moment(tmp_path: Path, moment: str, sign: signal.Signals) -> None:
    process = demo(tmp_path)
    assert next((line for line in lines(process) if moment in line), None), f"never came to: {moment}"
    process.send_signal(sign)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if sign is signal.SIGINT or moment != "Training":
        assert process.returncode == 130
        assert "Stopped; every process has ended." in err
    assert processes_of(tmp_path) == []


def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lock").write_text(json.dumps({"pid": os.getpid(), "since": "2026-11-21T10:40:00Z"}))
    process = demo(tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"process {os.getpid()} is at work in {tmp_path}/state" in err

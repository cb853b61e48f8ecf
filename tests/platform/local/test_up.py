"""`turnout up` as a person runs it: real command, real predictors, real signals."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from turnout.cli.serving import line_of
from turnout.platform.local.ports import Ports
from turnout.platform.local.process import start_of
from turnout.platform.local.records import EventRecord

pytestmark = pytest.mark.slow

ECHO = """\
from turnout_predictors import INT64, Predictor, Tensors, dims


class Echo(Predictor):
    class Inputs(Tensors):
        x: INT64 = dims("N")

    class Outputs(Tensors):
        x: INT64 = dims("N")

    def load(self) -> bool:
        return True

    def predict(self, batch, settings):
        return self.Outputs(x=batch.x)
"""
YAML = """\
apiVersion: turnout.dev/v1alpha1
kind: ModelVersion
metadata: {{name: echo-{number}}}
spec:
  model: echo
  version: {number}
  predictor: {{runtime: custom, entrypoint: "echo:Echo"{more}}}
  rollout:
    steps: [warmup: {{requests: 1, timeout: 30s}}, setWeight: 50, pause: {{duration: 1s}}]
"""


def test_an_event_is_told_in_the_clock_of_the_messages() -> None:
    at = datetime(2026, 11, 21, 11, 41, 7, tzinfo=timezone(timedelta(hours=1)))
    line = line_of(EventRecord(time=at, version="echo-2", reason="StepEntered", message="m", warning=False))
    assert line == "10:41:07Z  echo-2                StepEntered         m"


class Up:
    """A folder, and the commands that were started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = Ports().free()
        self.started: list[subprocess.Popen[str]] = []
        (folder / "models").mkdir()
        (folder / "models" / "echo.py").write_text(ECHO)

    def write(self, number: int, more: str = "") -> Path:
        path = self.folder / "models" / f"echo-{number}.yaml"
        path.write_text(YAML.format(number=number, more=more))
        return path

    def start(self, *more: str) -> subprocess.Popen[str]:
        command = (sys.executable, "-m", "turnout.cli", "up", "models", "--port", str(self.port), *more)
        out = (self.folder / f"out-{len(self.started)}.txt").open("w+")
        process = subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=subprocess.STDOUT, text=True)
        out.close()
        self.started.append(process)
        return process

    def said(self, number: int = -1) -> str:
        index = number % len(self.started)
        return (self.folder / f"out-{index}.txt").read_text()

    def until(self, what: Callable[[], object], seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def ask(self) -> str:
        """The version that answers; empty if none does."""
        body = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "INT64", "data": [7]}]}).encode()
        url = f"http://127.0.0.1:{self.port}/v2/models/echo/infer"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as answer:
                return str(json.loads(answer.read())["model_version"])
        except (urllib.error.URLError, OSError):
            return ""

    def children(self) -> dict[str, str]:
        """Processes that the engine has written down: pid and start."""
        recorded: dict[str, str] = json.loads((self.folder / ".turnout/state/processes.json").read_text())
        return recorded


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    for process in up.started:
        process.kill()
        process.wait()


def test_a_person_s_first_minute_and_what_a_second_up_and_ctrl_c_say(up: Up) -> None:
    up.write(1)
    first = up.start()
    up.until(lambda: up.ask() == "1")
    assert f"Serving at http://127.0.0.1:{up.port} " in up.said()

    second = up.start("--port", str(Ports().free()))
    assert second.wait(20) == 1
    held = (
        rf"turnout: {re.escape(str(up.folder / '.turnout'))} is held by process {first.pid} \(.* up models .*\) since"
    )
    assert re.match(held, up.said())

    third = up.start("--state", "elsewhere")
    assert third.wait(20) == 1
    assert f"Port {up.port} of 127.0.0.1 is taken by process" in up.said()
    assert "(envoy): end it, or choose another with --port" in up.said()

    children = up.children()
    assert len(children) == 2
    first.send_signal(signal.SIGINT)
    assert first.wait(15) == 0
    assert [start_of(int(pid)) for pid in children] == ["", ""]
    assert up.children() == {}


def test_an_up_that_is_killed_leaves_no_process_and_the_next_goes_on(up: Up) -> None:
    up.write(1)
    first = up.start()
    up.until(lambda: "Promoted" in up.said())
    children = up.children()
    first.kill()
    first.wait()
    up.until(lambda: not any(start_of(int(pid)) == start for pid, start in children.items()), seconds=5)
    up.write(2)
    up.start()
    up.until(lambda: up.ask() == "1")
    up.until(lambda: re.search("echo-2 .*Promoted", up.said()))
    assert up.ask() == "2"
    assert "echo-1 " not in re.sub("(?m)^.*Standby.*$|^.*WeightChanged.*$", "", up.said())


def test_an_up_that_is_killed_in_the_middle_of_a_rollout_goes_on_at_the_same_step(up: Up) -> None:
    def status() -> dict[str, Any]:
        version = json.loads((up.folder / ".turnout/state/versions/default.echo-2.json").read_text())
        found: dict[str, Any] = version["object"]["status"]
        return found

    up.write(1)
    first = up.start("--plain")
    up.until(lambda: "Promoted" in up.said())
    paused = up.write(2)
    paused.write_text(
        paused.read_text().replace("setWeight: 50, pause: {duration: 1s}", "setWeight: 30, pause: {duration: 1h}")
    )
    up.until(lambda: " 30 % until " in up.said() and status()["state"] == "Paused")
    before, children = status(), up.children()
    assert len(children) == 3
    first.kill()
    first.wait()
    up.until(lambda: not any(start_of(int(pid)) == start for pid, start in children.items()), seconds=5)

    second = up.start("--plain")
    up.until(lambda: {up.ask() for _ in range(10)} == {"1", "2"})
    up.until(lambda: status()["weight"]["observed"] == 30 and status()["state"] == "Paused")  # Held meanwhile, if slow
    after = status()
    same = ("attempt", "plan", "role", "revision")
    assert {field: after.get(field) for field in same} == {field: before.get(field) for field in same}
    assert [after["step"][field] for field in ("index", "startedAt")] == [
        before["step"][field] for field in ("index", "startedAt")
    ]
    children = up.children()
    assert len(children) == 3
    second.send_signal(signal.SIGTERM)
    assert second.wait(15) == 0
    assert not any(start_of(int(pid)) == start for pid, start in children.items())


def test_a_file_with_a_wrong_field_is_told_with_its_line_and_the_others_serve(up: Up) -> None:
    up.write(1)
    bad = up.write(2)
    bad.write_text(bad.read_text().replace("steps:", "stepz:"))
    up.start("--plain")
    up.until(lambda: up.ask() == "1")
    assert "models/echo-2.yaml:9: spec.rollout.stepz: unknown field; did you mean steps?" in up.said()
    up.write(2)
    up.until(lambda: up.ask() == "2")


def test_a_wrong_digest_fails_the_version_by_name_and_the_old_one_serves(up: Up) -> None:
    artifact = up.folder / "models" / "artifacts" / "2"
    artifact.mkdir(parents=True)
    (artifact / "manifest.json").write_text("{}")
    up.write(1)
    up.start()
    up.until(lambda: up.ask() == "1")
    up.write(2, more=f', artifact: {{uri: "file://artifacts/2", digest: "sha256:{"0" * 64}"}}')
    up.until(lambda: f"ArtifactDigestMismatch: artifact {artifact}" in up.said())
    assert up.ask() == "1"


def test_an_orphan_of_a_dead_engine_is_ended_by_the_next(up: Up) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    state = up.folder / ".turnout" / "state"
    state.mkdir(parents=True)
    recorded = {str(orphan.pid): start_of(orphan.pid), str(stranger.pid): "another start of that pid"}
    (state / "processes.json").write_text(json.dumps(recorded))
    up.write(1)
    up.start()
    try:
        assert orphan.wait(20) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for process in (orphan, stranger):
            process.kill()
            process.wait()


def test_no_such_file_is_told_and_waited_for(up: Up) -> None:
    command = (sys.executable, "-m", "turnout.cli", "up", "missing.yaml", "--port", str(up.port))
    out = up.folder / "missing.txt"
    with out.open("w") as stream:
        process = subprocess.Popen(command, cwd=up.folder, stdout=stream, stderr=subprocess.STDOUT)
    try:
        up.started.append(process)  # type: ignore[arg-type]
        deadline = time.monotonic() + 20
        while "missing.yaml:1: no such file or folder" not in out.read_text():
            assert time.monotonic() < deadline, out.read_text()
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("path", ["lib", None], ids=["on a relative PYTHONPATH", "beside the file"])
def test_the_module_of_an_entrypoint_is_found(up: Up, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    up.write(1)
    if path:
        monkeypatch.setenv("PYTHONPATH", path)
        (up.folder / path).mkdir()
        (up.folder / "models" / "echo.py").replace(up.folder / path / "echo.py")
    up.start("--plain")
    up.until(lambda: " Promoted " in up.said())
    assert up.ask() == "1"


def test_a_state_folder_that_is_a_file_is_one_sentence(up: Up) -> None:
    process = up.start("--state", "models/echo.py")
    assert process.wait(20) == 1
    assert up.said() == f"turnout: {up.folder}/models/echo.py is no folder: give --state another place\n"


def test_a_state_folder_that_is_removed_is_told_once_and_the_end_is_in_order(up: Up) -> None:
    up.write(1)
    process = up.start("--plain")
    up.until(lambda: up.ask() == "1")
    children = up.children()
    (up.folder / ".turnout").rename(up.folder / "gone")  # at once: a removal races with what is written meanwhile
    shutil.rmtree(up.folder / "gone")
    up.write(2)
    up.until(lambda: "cannot be written" in up.said())
    assert up.ask() == "1"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    said = f"{up.folder}/.turnout cannot be written: No such file or directory; it was removed while it is in use"
    assert up.said().count("cannot be written") == up.said().count(said) == 1, up.said()
    assert "Traceback" not in up.said()
    assert "Unclosed" not in up.said()
    assert not any(start_of(int(pid)) == start for pid, start in children.items())


def test_a_length_of_time_that_is_none_is_refused(up: Up) -> None:
    process = up.start("--idle", "soon")
    assert process.wait(20) == 2
    assert "'soon' must be a length of time such as 30s, 5m or 1h30m" in up.said()

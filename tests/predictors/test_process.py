"""Real predictor processes: start, serve, drain, hang, and every way of not starting."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SLEEPER = '''
import os, time
from turnout_predictors import FP64, Predictor, Settings, Tensors, dims, load

class Sleeper(Predictor):
    """Sleeps as many seconds as its input says; dies of a negative one."""
    class Inputs(Tensors):
        seconds: FP64 = dims("N")
    class Outputs(Tensors):
        slept: FP64 = dims("N")
    class Settings(Settings):
        load_seconds: float = load(0.0)
        fail: bool = load(False)
        leave: bool = load(False)
    def load(self) -> bool:
        time.sleep(self.settings.load_seconds)
        if self.settings.leave:
            raise SystemExit("no licence")
        return not self.settings.fail
    def predict(self, batch, settings):
        if batch.seconds.min() < 0:
            os._exit(9)
        time.sleep(batch.seconds.max())
        return {"slept": batch.seconds}
'''
INFER = "/v2/models/m/infer"
Start = Callable[..., Any]


def sleep_for(*seconds: float) -> dict[str, Any]:
    return {"inputs": [{"name": "seconds", "datatype": "FP64", "shape": [len(seconds)], "data": list(seconds)}]}


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module `sleeping`."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "sleeping.py").write_text(SLEEPER)
    return folder


COMMON = ("--model_name=m", "--model_version=3", "--runtime=custom", "--entrypoint=sleeping:Sleeper")


@pytest.fixture
def sleeper(start: Start, modules: Path) -> Start:
    return lambda *flags, **more: start(*COMMON, *flags, PYTHONPATH=str(modules), **more)


@pytest.fixture(scope="module")
def shared_sleeper(start_shared: Start, modules: Path) -> Any:
    """Takes a second at most per forward, and was given flags of kserve's server."""
    flags = (
        "--timeout_seconds=1",
        "--grpc_port=9000",
        "--enable_grpc",
        "false",
        "--model_dir=/mnt/models",
        "--workers=1",
    )
    return start_shared(*COMMON, *flags, PYTHONPATH=str(modules)).ready()


@pytest.fixture(scope="module")
def shared_digits(start_shared: Start, published: Any) -> Any:
    return start_shared(*digits_flags(published), MODEL_VERSION="7", K_REVISION="digits-7-00001").ready()


def digits_flags(published: Any) -> tuple[str, ...]:
    return (
        "--model_name=digits",
        "--runtime=sklearn",
        f"--artifact_uri={published.uri}",
        f"--artifact_digest={published.digest}",
    )


def test_digits_over_http_are_the_librarys_own_answer(shared_digits: Any, digits: Any, published: Any) -> None:
    estimator, rows = digits
    with shared_digits.client() as client:
        described = client.get("/v2/models/digits").json
        assert described["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, 64]}]
        body = {
            "id": "x",
            "inputs": [{"name": "features", "datatype": "FP64", "shape": [5, 64], "data": rows[:5].tolist()}],
        }
        answer = client.send("POST", "/v2/models/digits/versions/7/infer", body)
        assert (answer.status, answer.headers["x-model-version"]) == (200, "7")
        outputs = {output["name"]: output for output in answer.json["outputs"]}
        assert outputs["predict"]["data"] == estimator.predict(rows[:5]).tolist()
        assert outputs["predict_proba"]["data"] == estimator.predict_proba(rows[:5]).ravel().tolist()
        (example,) = client.get("/v2/models/digits/examples").json["examples"]
        replayed = client.send("POST", "/v2/models/digits/infer", example["request"]).json["outputs"]
        assert [output["data"] for output in replayed] == [output["data"] for output in example["response"]["outputs"]]
        metrics = client.get("/metrics").body.decode()
    assert 'model="digits",protocol="http",revision="digits-7-00001",start="warm",version="7"} 2.0' in metrics
    for phase in ("pull", "import", "load", "warmup"):
        assert f'turnout_predictor_start_seconds{{model="digits",phase="{phase}"' in metrics
    assert f'digest="{published.digest}"' in metrics


def test_a_connection_survives_every_error(shared_digits: Any) -> None:
    with shared_digits.client() as client:
        infer = "/v2/models/digits/infer"
        for method, path, body, status in [
            ("POST", infer, b"{", 400),
            ("POST", infer, b"x" * (8 << 20) + b"x", 413),
            ("GET", "/nowhere", None, 404),
            ("GET", infer, None, 405),
            ("HEAD", "/v2/models/other", None, 404),
            ("PUT", "/v2", b"body", 405),
            ("GET", "/v2/health/live", None, 200),
            ("HEAD", "/v2/health/live", None, 200),
        ]:
            before = client.connection.sock
            answer = client.send(method, path, body)
            assert answer.status == status
            assert answer.headers["content-type"] == "application/json"
            assert (answer.body == b"") == (method == "HEAD")
            if before is not None:
                assert client.connection.sock is before, f"{method} {path} closed the connection"


def test_the_port_answers_before_the_model_is_loaded(sleeper: Start) -> None:
    process = sleeper('--settings={"load_seconds": 3}')
    process.until("live", lambda: process.ask("GET", "/v2/health/live").status == 200)
    answer = process.ask("GET", "/v2/models/m/ready")
    assert (answer.status, answer.json["code"]) == (503, "not_ready")
    assert process.ask("POST", INFER, sleep_for(0)).status == 200, "it waited for the model"


def test_sigterm_under_load_loses_nothing_that_was_accepted(sleeper: Start) -> None:
    process = sleeper("--drain_delay=0.5").ready()
    statuses: list[int] = []
    lost: list[str] = []
    stop = threading.Event()

    def call() -> None:
        client = process.client()
        while not stop.is_set():
            try:
                answer = client.send("POST", INFER, sleep_for(0.002))
            except ConnectionRefusedError:
                return  # the port is closed: nothing was accepted
            except OSError as fault:
                lost.append(repr(fault))
                return
            statuses.append(answer.status)

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    process.until("busy", lambda: len(statuses) > 50)
    process.process.send_signal(signal.SIGTERM)
    process.until("unready", lambda: process.ask("GET", "/v2/health/ready").status == 503, 5)
    assert process.ended() == 0
    stop.set()
    for caller in callers:
        caller.join()
    assert lost == []
    assert set(statuses) == {200}


def test_sigterm_finishes_what_is_queued(sleeper: Start) -> None:
    process = sleeper().ready()
    answers: list[int] = []
    callers = [
        threading.Thread(target=lambda: answers.append(process.ask("POST", INFER, sleep_for(0.3)).status))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    process.until("queued", lambda: 'inflight{model="m",revision="local",version="3"} 4.0' in metrics(process))
    process.process.send_signal(signal.SIGTERM)
    assert process.ended() == 0
    for caller in callers:
        caller.join()
    assert answers == [200] * 4


def metrics(process: Any) -> str:
    return str(process.ask("GET", "/metrics").body.decode())


def test_sigterm_while_loading_ends_at_once_with_0(sleeper: Start) -> None:
    process = sleeper('--settings={"load_seconds": 60}')
    process.until("live", lambda: process.ask("GET", "/v2/health/live").status == 200)
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(process.ask("POST", INFER, sleep_for(0)).status))
    caller.start()
    process.until("waited for", lambda: 'inflight{model="m",revision="local",version="3"} 1.0' in metrics(process))
    process.process.send_signal(signal.SIGTERM)
    assert process.ended(20) == 0
    caller.join()
    assert answers == [503]


def test_a_client_that_never_finishes_its_body_does_not_keep_a_drained_process(sleeper: Start) -> None:
    process = sleeper("--timeout_seconds=1").ready()
    with socket.create_connection(("127.0.0.1", process.port)) as half:
        half.sendall(f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{".encode())
        process.until("half read", lambda: 'inflight{model="m",revision="local",version="3"} 1.0' in metrics(process))
        process.process.send_signal(signal.SIGTERM)
        assert process.ended(20) == 0


def test_a_hung_forward_is_504_unready_and_live_until_it_returns(shared_sleeper: Any) -> None:
    process = shared_sleeper
    begun = time.monotonic()
    assert process.ask("POST", INFER, sleep_for(3)).status == 504
    assert time.monotonic() - begun < 2
    process.until("unready", lambda: process.ask("GET", "/v2/models/m/ready").status == 503, 5)
    assert process.ask("GET", "/v2/health/live").status == 200
    assert process.ask("POST", INFER, sleep_for(0), X_Request_Deadline_Ms="100").status == 504
    process.until("ready again", lambda: process.ask("GET", "/v2/models/m/ready").status == 200, 20)
    assert process.ask("POST", INFER, sleep_for(0)).status == 200


def test_a_stopped_process_answers_no_probe_and_goes_on_when_continued(shared_sleeper: Any) -> None:
    process = shared_sleeper
    process.process.send_signal(signal.SIGSTOP)
    with process.client(timeout=0.5) as client, pytest.raises(TimeoutError):
        client.get("/v2/models/m/ready")
    process.process.send_signal(signal.SIGCONT)
    process.until("ready", lambda: process.ask("GET", "/v2/models/m/ready").status == 200, 10)


def test_a_crash_is_a_crash_and_leaves_no_message(sleeper: Start) -> None:
    process = sleeper().ready()
    with pytest.raises(OSError, match=r"."):
        process.ask("POST", INFER, sleep_for(-1))
    assert process.ended(10) == 9
    assert not process.termination.exists()


def test_a_taken_port_is_named(shared_sleeper: Any, sleeper: Start) -> None:
    second = sleeper(f"--http_port={shared_sleeper.port}")
    assert second.ended() == 1
    assert f"port {shared_sleeper.port} on 0.0.0.0 cannot be opened" in second.log.read_text()


def test_flags_of_kserves_server_are_ignored_aloud(shared_sleeper: Any) -> None:
    assert "without a meaning here: model_dir, workers" in shared_sleeper.log.read_text()


CANNOT_START = {
    "an unknown flag": (("--runtime=custom", "--modle_name=x"), "SettingsInvalid"),
    "an unknown runtime": (("--runtime=onnx",), "RuntimeNotServed"),
    "a digest that differs": (
        ("--runtime=sklearn", "--artifact_uri={uri}", f"--artifact_digest=sha256:{'0' * 64}"),
        "ArtifactDigestMismatch",
    ),
    "a load that says no": (
        ("--runtime=custom", "--entrypoint=sleeping:Sleeper", '--settings={{"fail": true}}'),
        "LoadFailed",
    ),
}


@pytest.mark.parametrize(("flags", "reason"), CANNOT_START.values(), ids=CANNOT_START.keys())
def test_exits_78_and_leaves_the_reason(
    start: Start, published: Any, modules: Path, flags: tuple[str, ...], reason: str
) -> None:
    given = [flag.format(uri=published.uri) for flag in flags]
    process = start("--model_name=m", *given, PYTHONPATH=str(modules))
    assert process.ended() == 78, process.log.read_text()
    left = process.termination.read_bytes()
    assert len(left) <= 4096
    message = json.loads(left)
    assert message["reason"] == reason
    assert json.dumps(message["message"], ensure_ascii=False)[1:-1] in process.log.read_text()


def test_a_start_that_raises_what_nobody_foresaw_ends_with_its_reason(sleeper: Start) -> None:
    process = sleeper('--settings={"leave": true}')
    assert process.ended() == 78, process.log.read_text()
    message = json.loads(process.termination.read_bytes())
    assert (message["reason"], "SystemExit: no licence" in message["message"]) == ("LoadFailed", True)
    assert "Traceback" in process.log.read_text()


def test_logs_are_json_lines(shared_digits: Any) -> None:
    lines = [json.loads(line) for line in shared_digits.log.read_text().splitlines()]
    assert any(line["message"] == "digits version 7 is ready" for line in lines)
    assert {"time", "level", "logger", "message"} <= set(lines[0])


@pytest.mark.skipif(
    not os.path.exists("/proc/self/fd") and os.environ.get("TURNOUT_REQUIRE_ALL") != "1", reason="needs /proc"
)
def test_idle_connections_and_errors_leave_no_descriptor_behind(shared_digits: Any) -> None:
    process = shared_digits
    folder = f"/proc/{process.process.pid}/fd"

    def open_files() -> int:
        return len(os.listdir(folder))

    process.ask("GET", "/v2")
    before = open_files()
    for _ in range(20):
        process.ask("POST", "/v2/models/digits/infer", b"{")
    process.until("tidy", lambda: open_files() <= before, 5)

"""kserve's own tests of its servers, with our processes in the place of its application. Run by its own Python.

The tests are those of the release's source, untouched: a plugin gives them clients that ask our processes, one for
each model they register. Which of them fail must be exactly what `reviewed` says, with the reason.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.argv = sys.argv[:1]  # kserve parses the command line when it is imported
HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCE = ROOT / ".clients" / "kserve-source" / "test"
SUITES = [SOURCE / "test_server.py", SOURCE / "test_grpc_server.py"]
sys.path[:0] = [str(ROOT), str(SOURCE)]

import grpc  # noqa: E402
import httpx  # noqa: E402
import kserve  # noqa: E402
import pytest  # noqa: E402
from fastapi import testclient  # noqa: E402
from kserve.errors import InvalidInput  # noqa: E402
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub  # noqa: E402
from kserve_stubs import importable  # noqa: E402
from reviewed import LEFT_OUT, SUITE  # noqa: E402

from tests.predictors.conftest import START_SECONDS, free_port  # noqa: E402


class Processes:
    """One of ours for each model that a suite registers."""

    def __init__(self, log: Path) -> None:
        self._log = log
        path = os.pathsep.join(map(str, (HERE, SOURCE, ROOT / "predictors")))
        with log.open("wb") as errors:
            self._source = subprocess.Popen(
                [sys.executable, str(HERE / "kserve_models.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        self._running: dict[str, tuple[int, int, int]] = {}  # number of the process, its ports
        self.model_repository_extension = SimpleNamespace(unload=self._unload, _model_registry=None)

    def close(self) -> None:
        os.killpg(self._source.pid, signal.SIGKILL)
        self._source.communicate()

    def register_model(self, model: Any) -> None:
        kind = type(model)
        if model.ready:
            self._serve(model.name, f"{kind.__module__}.{kind.__qualname__}")
        else:  # it would be ready a moment later: our processes load what they serve
            self._serve(model.name, "Unloaded", "--timeout_seconds=1", health="live")

    def _serve(self, name: str, kind: str, *more: str, health: str = "ready") -> None:
        self._stop(name)
        web, rpc = free_port(), free_port()
        ports = (f"--http_port={web}", f"--grpc_port={rpc}", "--http_host=127.0.0.1")
        flags = (f"--model_name={name}", "--runtime=custom", f"--entrypoint=kserve_models:{kind}", *ports, *more)
        assert self._source.stdin is not None
        assert self._source.stdout is not None
        self._source.stdin.write(json.dumps(flags) + "\n")
        self._source.stdin.flush()
        self._running[name] = int(self._source.stdout.readline()), web, rpc
        self._until(f"http://127.0.0.1:{web}/v2/health/{health}")

    def _until(self, url: str) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError, urllib.error.HTTPError), urllib.request.urlopen(url, timeout=5):
                return
            time.sleep(0.02)
        raise AssertionError(f"{url} is not there\n{self._log.read_text()[-3000:]}")

    async def _unload(self, name: str) -> None:
        self._stop(name)

    def _stop(self, name: str) -> None:
        if name in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._running.pop(name)[0], signal.SIGKILL)

    def of(self, name: str) -> tuple[int, int]:
        """Ports of HTTP and gRPC of that model's process; of any, for a name that nobody registered."""
        if not self._running:
            self._serve("model", "test_server.DummyModel")
        _, web, rpc = self._running.get(name) or next(iter(self._running.values()))
        return web, rpc


@contextlib.contextmanager
def processes() -> Iterator[Processes]:
    with tempfile.TemporaryDirectory() as folder:
        found = Processes(Path(folder) / "log")
        try:
            yield found
        finally:
            found.close()


class ToProcesses(httpx.HTTPTransport):
    """What was meant for kserve's application goes to the process of the model in its path."""

    def __init__(self, processes: Processes) -> None:
        super().__init__()
        self._processes = processes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        segments = [*request.url.path.split("/"), ""]
        name = segments[segments.index("models") + 1] if "models" in segments else ""
        web, _ = self._processes.of(name.partition(":")[0])
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=web)
        return super().handle_request(request)


class Rpc:
    """As grpc_testing's server, of which the suite uses one call."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def invoke_unary_unary(self, *, method_descriptor, request, timeout, **_):  # type: ignore[no-untyped-def]
        _, port = self._processes.of(request.model_name)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = getattr(GRPCInferenceServiceStub(channel), method_descriptor.name)
            try:
                answer, code = call(request, timeout=timeout), grpc.StatusCode.OK
            except grpc.RpcError as refused:
                answer, code = None, refused.code()

        async def response():  # type: ignore[no-untyped-def]
            if code is grpc.StatusCode.INVALID_ARGUMENT:  # what kserve's servicer raises, its server tells as this
                raise InvalidInput("refused")
            return answer

        return SimpleNamespace(termination=lambda: (response(), (), code, ""))


class Plugin:
    """The suite's fixtures, and what became of each test."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.said: dict[str, str] = {}

    @pytest.fixture(scope="session")
    def server(self) -> Processes:
        return self._processes

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if part(item.nodeid) not in LEFT_OUT]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        place = report.nodeid.rpartition("/")[2].removesuffix("[None]")
        self.said[place] = self.said.get(place) or (report.longreprtext[-1500:] if report.failed else "")


def part(place: str) -> str:
    """The class of a test, or its file: `test_server.py::TestModel`."""
    return place.rpartition("/")[2].rpartition("::")[0]


def try_suites() -> dict[str, str]:
    """What each test said; nothing where it passed."""
    with processes() as ours, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        importable(Rpc(ours))
        testclient.TestClient = lambda _, headers=None: httpx.Client(
            transport=ToProcesses(ours), base_url="http://testserver", headers=headers, timeout=START_SECONDS
        )
        kserve.ModelServer.register_model = lambda _, model: ours.register_model(model)
        plugin = Plugin(ours)
        options = ["-q", "-c", os.devnull, "--rootdir", str(SOURCE), "-p", "no:cacheprovider", "-W", "ignore"]
        pytest.main([*options, *map(str, SUITES)], [plugin])
    return plugin.said


def tell(said: dict[str, str]) -> None:
    """A line of JSON for each class of tests that pass, for each that differs as reviewed, for each fault."""
    passed = defaultdict(list)
    for place, fault in said.items():
        if fault and place in SUITE:
            print(json.dumps({"differs": place, "why": SUITE[place]}))
        elif fault:
            print(json.dumps({"case": place, "said": fault}))
        else:
            passed[part(place)].append(place.rpartition("::")[2])
    for place, tests in passed.items():
        print(json.dumps({"case": f"{place}: {', '.join(test.removeprefix('test_') for test in tests)}", "said": ""}))
    for place in SUITE.keys() - {place for place, fault in said.items() if fault}:
        print(json.dumps({"case": place, "said": "it passes, or is there no more: take it from the list"}))
    for place, why in LEFT_OUT.items():
        print(json.dumps({"differs": place, "why": why}))


if __name__ == "__main__":
    tell(try_suites())
    print(json.dumps({"version": version("kserve")}), flush=True)

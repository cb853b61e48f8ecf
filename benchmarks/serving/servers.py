"""The servers under load: each a process group on one core, from an environment of its own that is kept in a cache."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from turnout_predictors import Published

from .workloads import PATH, Workload

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "turnout" / "benchmarks"
CORE = 0  # of the servers; the load has another
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Contender:
    """`packages`: arguments of pip for its environment. `command(python, model, port)` starts it."""

    name: str
    packages: Sequence[str]
    command: Callable[[str, str, int], Sequence[str]]
    environment: Callable[[str, int], Mapping[str, str]] = field(default=lambda model, port: {})


def contenders(folder: Path, published: Published) -> list[Contender]:
    library = f"scikit-learn=={version('scikit-learn')}"
    numeric = ("numpy", library)
    pickled = str(folder / "model.pkl")

    def ours(python: str, model: str, port: int) -> Sequence[str]:
        which = ["--runtime=custom", "--entrypoint=identity:Identity"]
        if model == "W1":
            which = ["--runtime=sklearn", f"--artifact_uri={published.uri}", f"--artifact_digest={published.digest}"]
        return [python, "-m", "turnout_predictors", "--model_name=m", f"--http_port={port}", *which]

    def script(name: str) -> Callable[[str, str, int], Sequence[str]]:
        return lambda python, model, port: [python, str(HERE / "peers" / name), model, str(port), pickled]

    def mlserver(model: str, port: int) -> Mapping[str, str]:
        return {"WORKLOAD": model, "MODEL": pickled, "PYTHONPATH": str(HERE / "peers"), **_mlserver(folder, port)}

    path = os.pathsep.join([str(ROOT / "predictors"), str(folder)])
    floor = ("uvicorn", "uvloop", "httptools", "orjson", *numeric)
    return [
        Contender("floor", floor, script("floor.py")),
        Contender(
            "turnout", ("-r", str(ROOT / "locks" / "predictor-sklearn.txt")), ours, lambda *_: {"PYTHONPATH": path}
        ),
        Contender("kserve", ("kserve==0.21.0", *numeric), script("kserve_server.py")),
        Contender("mlserver", ("mlserver==1.7.1", *numeric), lambda *_: ["mlserver", "start", str(folder)], mlserver),
    ]


def _mlserver(folder: Path, port: int) -> Mapping[str, str]:
    (folder / "model-settings.json").write_text(json.dumps({"name": "m", "implementation": "mlserver_model.Served"}))
    ports = {"HTTP_PORT": port, "GRPC_PORT": port + 1, "METRICS_PORT": port + 2, "PARALLEL_WORKERS": 0}
    return {f"MLSERVER_{name}": str(value) for name, value in ports.items()}


def python_of(contender: Contender) -> str:
    """The interpreter of the contender's environment, which is made on first use."""
    folder = CACHE / contender.name
    python = folder / "bin" / "python"
    wanted = "\n".join(contender.packages)
    note = folder / "packages"
    if not note.is_file() or note.read_text() != wanted:
        print(f"making the environment of {contender.name} in {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", *contender.packages]
        subprocess.run(install, check=True)
        note.write_text(wanted)
    return str(python)


class Server:
    """A running contender. `cold`: seconds from its start to its first answer."""

    def __init__(self, contender: Contender, workload: Workload, log: Path) -> None:
        self.name = contender.name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        python = python_of(contender)
        environment = {**os.environ, **ONE_THREAD, **contender.environment(workload.model, self.port)}
        environment["PATH"] = os.pathsep.join([str(Path(python).parent), environment.get("PATH", "")])
        began = time.monotonic()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(CORE), *contender.command(python, workload.model, self.port)],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._until_answered(workload, log)
        self.cold = time.monotonic() - began

    def _until_answered(self, workload: Workload, log: Path) -> None:
        ends = time.monotonic() + 120
        while time.monotonic() < ends and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request("POST", PATH, workload.body, dict(workload.headers))
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.01)
        raise RuntimeError(f"{self.name} does not answer:\n{log.read_text()[-2000:]}")

    def _pids(self) -> list[int]:
        session = self.process.pid
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if _session(pid) == session]

    def cpu_seconds(self) -> float:
        """User and system time of the whole group."""
        ticks = 0
        for pid in self._pids():
            fields = _stat(pid)
            ticks += int(fields[11]) + int(fields[12]) if fields else 0
        return ticks / os.sysconf("SC_CLK_TCK")

    def pss_mib(self) -> float:
        """Proportional memory of the whole group."""
        kib = 0
        for pid in self._pids():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name: state is 0, session 3, utime 11, stime 12."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else -1

"""docs/clients.md: which clients of others were served, case by case. `python -m tests.predictors.clients.page --write`
runs them all and writes it; a test holds each section to what its client says.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "clients.md"


@dataclass(frozen=True)
class Client:
    """A client: `environment` is its folder below .clients; empty: that of the tests themselves."""

    name: str
    environment: str
    script: str
    what: str
    differs: str = ""  # the head of a table of reviewed differences

    @property
    def python(self) -> Path:
        if not self.environment:
            return Path(sys.executable)
        return ROOT / ".clients" / self.environment / "bin" / "python"


CLIENTS = (
    Client(
        "tritonclient", "triton", "triton_client.py", "NVIDIA's client, its four modules: framing, BYTES, compression"
    ),
    Client(
        "kserve", "", "kserve_client.py", "`InferenceRESTClient` and `InferenceGRPCClient`: what users of KServe have"
    ),
    Client(
        "kserve's suites",
        "kserve",
        "kserve_suite.py",
        "`test_server.py` and `test_grpc_server.py` of its release, untouched, with our processes in the place of its "
        "application and its models in them",
        "why others fail",
    ),
    Client(
        "kserve's server",
        "",
        "kserve_stock.py",
        "checks of ours, which our process passes, against kserve's own `ModelServer` with the same model: it passes "
        "those of the list, and does otherwise in those of the table",
        "kserve does",
    ),
    Client("mlserver", "mlserver", "mlserver_codecs.py", "Seldon's types and codecs: arrays, texts, pandas' frames"),
    Client("schemathesis", "schemathesis", "openapi_client.py", "hostile requests from our own OpenAPI document"),
    Client(
        "atheris",
        "atheris",
        "fuzz_client.py",
        "bytes bred for new paths through the parsers, sixty thousand or `TURNOUT_FUZZ_RUNS` of them",
    ),
)


@dataclass(frozen=True)
class Served:
    """What one client said."""

    client: Client
    version: str
    cases: Sequence[str]
    faults: Sequence[str]
    differs: Mapping[str, Sequence[str]] = field(default_factory=dict)  # places by the reason


def try_client(client: Client, web: str, rpc: str) -> Served:
    """Runs its script in its own environment against a server that is there already."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [client.python, HERE / client.script, web, rpc],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env=environment,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
    tried = [line for line in lines if "case" in line]
    version = next((line["version"] for line in lines if "version" in line), "")
    faults = [f"{line['case']}\n{line['said']}" for line in tried if line["said"]]
    if not version:
        faults.append(f"it ended with {done.returncode}\n{done.stderr[-3000:]}")
    differs = defaultdict[str, list[str]](list)
    for line in lines:
        if "differs" in line:
            differs[line["why"]].append(line["differs"])
    return Served(client, version, [line["case"] for line in tried], faults, differs)


def section(served: Served) -> str:
    """Of the page."""
    lines = [
        f"### {served.client.name} {served.version}",
        "",
        f"{served.client.what[0].upper()}{served.client.what[1:]}.",
        "",
    ]
    lines += [f"- {case}" for case in served.cases]
    if served.differs:
        lines += ["", f"| {served.client.differs} | where |", "|---|---|"]
        lines += [f"| {why} | {'; '.join(places)} |" for why, places in served.differs.items()]
    return "\n".join([*lines, ""])


def write(served: Sequence[Served]) -> None:
    """The sections anew; the words around them stay."""
    head, mark, _ = PAGE.read_text().partition("## What was served\n")
    PAGE.write_text(f"{head}{mark}\n" + "\n".join(map(section, served)))


def main() -> int:
    from tests.predictors.conftest import starter

    with tempfile.TemporaryDirectory() as folder, starter(Path(folder)) as start:
        web, rpc = serve(start)
        found = [try_client(client, web, rpc) for client in CLIENTS]
    for fault in (fault for served in found for fault in served.faults):
        print(fault, file=sys.stderr)
    if any(served.faults for served in found):
        return 1
    write(found)
    return 0


def serve(start: object) -> tuple[str, str]:
    """Addresses of a mirror, over HTTP and gRPC."""
    from tests.predictors.conftest import free_port

    rpc = free_port()
    flags = ("--model_name=mirror", "--model_version=3", "--runtime=custom", "--entrypoint=mirror:Mirror")
    process = start(*flags, f"--grpc_port={rpc}", PYTHONPATH=str(HERE)).ready()  # type: ignore[operator]
    return f"127.0.0.1:{process.port}", f"127.0.0.1:{rpc}"


if __name__ == "__main__":
    sys.exit(main())

"""schemathesis against `mirror`: hostile requests from our own OpenAPI. Run by its own Python: HTTP_ADDRESS."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from cases import case, run

PHASES = "examples,coverage,fuzzing"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


@case(f"every operation, {PHASES.replace(',', ', ')}: {', '.join(CHECKS)}")
def _(web, _rpc):
    given = ["--phases", PHASES, "--checks", ",".join(CHECKS), "--seed", "1", "--max-examples", "20", "--no-color"]
    program = Path(sys.executable).parent / "schemathesis"
    settings = Path(__file__).with_name("schemathesis.toml")
    command = [program, "--config-file", settings, "run", f"http://{web}/openapi.json", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=350)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


if __name__ == "__main__":
    run(version("schemathesis"), *sys.argv[1:3])

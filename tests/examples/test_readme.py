"""README's two terminals without a cluster, done: what its first reader types runs, and serves."""

import json
import re
import urllib.request
from pathlib import Path

import pytest

from tests.examples.pages import clone, free_port, running, shell_blocks, until, until_said

ACTIVATE = ". .venv/bin/activate"
FIRST, SECOND = (
    [re.sub(r"\s+#.*", "", line) for line in block.strip().splitlines()]
    for block in shell_blocks("README.md")
    if block.startswith(ACTIVATE)
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_two_terminals_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    folder, port = clone(tmp_path), free_port()
    *prepare, up = FIRST
    _, call, copy, watch = SECOND
    assert (SECOND[0], up, watch) == (ACTIVATE, "turnout up my-models", "turnout status --watch")
    with running("\n".join([*prepare, f"exec {up} --port {port}"]), folder, tmp_path / "up.log"):
        until(folder, "Live", "digits-1")
        url = call.removeprefix("curl ").replace("localhost:8080", f"127.0.0.1:{port}")
        with urllib.request.urlopen(f"http://{url}", timeout=10) as answer:
            assert json.load(answer)["name"] == "digits"
        with running("\n".join([ACTIVATE, copy, f"exec {watch}"]), folder, tmp_path / "watch.log"):
            until_said("v2", tmp_path / "watch.log")
            until(folder, "Paused", "digits-2")

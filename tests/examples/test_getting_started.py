"""The page of the first ten minutes, done: its commands run, its picture is what is drawn, its table is complete."""

import json
import re
import urllib.request
from pathlib import Path

import pytest

from tests.examples.pages import ROOT, clone, free_port, running, sh, shell_blocks, until
from turnout.api.reasons import Reason, Role, State
from turnout.view.ink import UNICODE
from turnout.view.text import render_text, state_sign
from turnout.view.tree import Clients, ModelView, Traffic, Tree, VersionView

PAGE = (ROOT / "docs" / "getting-started.md").read_text("utf-8")
SHELL = shell_blocks("docs/getting-started.md")
STEP = "step 2/5: 10 %"

PICTURE = Tree(
    models=(
        ModelView(
            "default",
            "digits",
            "http://digits.default.localhost:8080",
            (
                VersionView(
                    name="digits-2",
                    version=2,
                    role=Role.Candidate,
                    state=State.Paused,
                    reason=Reason.PausedByPlan,
                    message="10 % until 10:42:07Z",
                    weight=10,
                    desired_weight=10,
                    step="3/5",
                    ready=1,
                    floor=1,
                    traffic=Traffic(requests=48),
                ),
                VersionView(
                    name="digits-1",
                    version=1,
                    role=Role.Stable,
                    state=State.Live,
                    reason=Reason.Promoted,
                    message="stable since 2026-11-21 10:40:01Z",
                    weight=90,
                    desired_weight=90,
                    ready=1,
                    floor=1,
                    traffic=Traffic(requests=431),
                ),
            ),
        ),
    ),
    clients=Clients(479, 0),
)


def test_the_picture_is_what_is_drawn() -> None:
    assert f"```\n{render_text(PICTURE)}\n```" in PAGE


def test_the_table_names_every_state_with_its_sign() -> None:
    rows = re.findall(r"^\| (\S) ([A-Z][A-Za-z, ]+) \|", PAGE, re.MULTILINE)
    told = {state: sign for sign, states in rows for state in states.split(", ")}
    expected = {state.value: state_sign(state, UNICODE) for state in State if state is not State.Shadowing}
    assert told == expected  # no code serves shadow traffic yet


def block(first_words: str) -> str:
    return next(block for block in SHELL if block.startswith(first_words))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return clone(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_commands_of_the_page_do_what_it_says(checkout: Path) -> None:
    assert "1 ModelVersion, nothing wrong" in sh(block(".venv/bin/python examples/digits/train.py"), checkout)
    port = free_port()
    up, said = f"exec {block('.venv/bin/turnout up').strip()} --port {port}", checkout / "up.log"
    with running(up, checkout, said):
        until(checkout, "Live", "digits-1")
        url = block("curl").split()[1].replace("localhost:8080", f"127.0.0.1:{port}")
        with urllib.request.urlopen(f"http://{url}", timeout=10) as answer:
            assert json.load(answer)["name"] == "digits"
        copy, watch = block("cp examples/digits/digits-2.yaml").strip().splitlines()
        assert watch == ".venv/bin/turnout status --watch"
        sh(copy, checkout)
        until(checkout, "Paused", "digits-2")
    assert STEP in said.read_text()


def test_the_examples_for_a_cluster_pass_lint(checkout: Path) -> None:
    lint = block(".venv/bin/turnout lint manifests/examples").splitlines()[0]
    assert "4 ModelVersions, nothing wrong" in sh(lint, checkout)

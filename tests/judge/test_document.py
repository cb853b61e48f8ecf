"""The page of the measured tables: made from a run, and committed as made."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.judge import tables
from benchmarks.judge.document import page
from benchmarks.judge.measures import figures, upper_bound
from benchmarks.judge.pictures import all_of
from benchmarks.judge.traffic import Cell, simulate
from turnout.api.analysis import Assumption

DOCS = Path(__file__).parents[2] / "docs"


def test_a_run_becomes_a_page_and_pictures() -> None:
    found, served = tables.orientation(40, 1)
    run = {
        "runs": 40,
        "machine": {"python": "3", "cores": 1},
        "tables": {"Beside others, 1 pods": found, "Bad": served},
    }
    assert page(run).count("\n## ") == 2
    for name, content in all_of(run["tables"]).items():  # type: ignore[arg-type]
        assert name in {path.name for path in DOCS.iterdir()}
        assert ElementTree.fromstring(content).tag.endswith("svg")


def test_the_committed_page_says_that_the_promise_was_kept() -> None:
    text = (DOCS / "judge-measured.md").read_text()
    assert "BROKEN" not in text
    assert "missed" not in text
    assert text.count("| kept") >= 20


@pytest.mark.parametrize(("hits", "runs", "bound"), [(38, 5000, 0.01), (0, 300, 0.01), (10, 10, 1.0)])
def test_the_bound_is_clopper_and_pearsons(hits: int, runs: int, bound: float) -> None:
    assert upper_bound(hits, runs) == pytest.approx(bound, abs=6e-4)


def test_what_was_never_found_has_no_time() -> None:
    traffic = simulate(Cell(20, 0.1, 0.005), 5, seed=1)
    seen = figures(tables.judged(traffic, Assumption.CLUSTERED_ERRORS), traffic)
    assert seen.short == "0"

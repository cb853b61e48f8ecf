"""`turnout power`: what can be found at this much traffic, as a table, a sentence and a curve."""

from collections.abc import Callable
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
Turnout = Callable[..., tuple[int, str, str]]


def test_what_can_be_found_at_20_rps_in_10_minutes(turnout: Turnout) -> None:
    code, out, err = turnout("power", "--rps", "20")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "At 20 requests a second, of which 0.5 % fail on stable:"
    assert lines[2].split()[:2] == ["CANDIDATE", "FAILS"]
    assert "3 %, x 6" in out
    assert "In 10 min at 10 % a candidate is found that fails 1.6" in out
    assert lines[-1].startswith("  x 20   ")
    assert f"```text\n{out}```" in (DOCS / "judge.md").read_text()


def test_too_little_traffic_is_said(turnout: Turnout) -> None:
    out = turnout("power", "--rps", "0.01", "--weight", "1")[1]
    assert "nothing can be found: there are too few requests" in out


def test_a_weight_of_ones_own_gets_a_column(turnout: Turnout) -> None:
    assert "AT 33 %" in turnout("power", "--rps", "20", "--weight", "33", "--errors", "10%")[1]


@pytest.mark.parametrize(
    "options", [("--rps", "0"), ("--rps", "x"), ("--rps", "1", "--weight", "0"), ("--rps", "1", "--errors", "100")]
)
def test_what_makes_no_sense_is_refused(turnout: Turnout, options: tuple[str, ...]) -> None:
    code, out, err = turnout("power", *options)
    assert (code, out) == (2, "")
    assert "must be a" in err

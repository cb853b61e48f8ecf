"""Rules of others on a canary's recorded counters: what `benchmarks.breakage` shows beside the judge."""

import pytest

from benchmarks.breakage.judged import CANARIES, RULES, Found, rows
from benchmarks.breakage.recording import Increments, traffic_of

FAILING: Increments = (30, 2, 270, 1)
WELL: Increments = (30, 0, 270, 1)


@pytest.mark.parametrize(
    ("rule", "polls"),
    list(zip(RULES, (20, 16, 1), strict=True)),
)
def test_a_recorded_canary_that_fails_a_fifteenth_is_condemned_when_the_rule_says(rule: str, polls: int) -> None:
    hits = RULES[rule](traffic_of([FAILING] * 28))[0]
    assert int(hits.argmax()) + 1 == polls
    assert not RULES[rule](traffic_of([WELL] * 28)).any()


def test_a_row_counts_who_condemned_and_what_was_served_by_all() -> None:
    canary, rule = CANARIES[0], next(iter(RULES))
    (row,) = rows([Found(canary, rule, 300.0, 30), Found(canary, rule, float("nan"), 50)])
    assert row["condemned"] == "1 of 2"
    assert row["after s, median"] == 300.0
    assert row["bad requests served, median"] == 40

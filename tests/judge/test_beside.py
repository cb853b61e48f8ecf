"""What the benchmark's tables beside other rules, of endings and of requests say, and when a bar is missed."""

import numpy as np
import pytest

from benchmarks.judge import asking, beside, endings
from benchmarks.judge.measures import figures, served_until
from benchmarks.judge.traffic import Cell, simulate


@pytest.fixture(scope="module")
def cells() -> list[beside.Seen]:
    return beside.looked(60, 1)


def test_a_rule_that_condemns_many_of_the_equal_keeps_no_alpha(cells: list[beside.Seen]) -> None:
    assert not {"naive z", "Pocock", "Flagger 5"} & set(beside.keepers(cells, beside.NULLS))
    assert "Flagger 10" in beside.keepers(cells, beside.PLAIN)
    assert set(beside.keepers(cells, beside.NULLS)) <= set(beside.keepers(cells, beside.PLAIN))


def test_ten_failed_checks_are_no_sooner_than_five(cells: list[beside.Seen]) -> None:
    for cell in cells:
        assert cell.figures["Flagger 10"].found <= cell.figures["Flagger 5"].found
        assert (cell.bad["Flagger 10"] >= cell.bad["Flagger 5"]).all()


def test_the_time_of_most_stands_only_where_95_percent_are_found(cells: list[beside.Seen]) -> None:
    late = {row[beside.KEY]: row for row in beside.late(cells)}
    assert not any(str(title).startswith("null") or "null" in str(title) for title in late)
    row = late["0.5 to 10 %"]
    assert row["Argo"] != "–"
    assert float(str(row["clustered (default)"])) >= 60
    assert late["2 rps: 0.5 to 3 %"]["clustered (default)"] == "–"


@pytest.mark.parametrize(
    ("theirs", "word"),
    [
        ([10, 10, 9, 11], "kept"),
        ([12, 12, 12, 12], "kept"),
        ([1, 2, 1, 2], "missed: Argo"),
        ([9, 10, 11, 9], "kept"),  # fewer on average, as chance has it
    ],
)
def test_the_bar_is_missed_where_a_rule_surely_serves_fewer(theirs: list[int], word: str) -> None:
    bad = {beside.DEFAULT: np.array([10, 10, 9, 11]), "Argo": np.array(theirs), "naive z": np.zeros(4, int)}
    assert beside.bar(bad, ["Argo"]) == word


def test_what_is_served_until_a_rollback_ends_with_it() -> None:
    traffic = simulate(Cell(20, 0.1, 0.05), 2, seed=1)
    hits = np.zeros((2, 40), dtype=bool)
    hits[0, 3:] = True
    bad = traffic.canary.bad.sum(2)
    assert served_until(hits, traffic).tolist() == [bad[0, :4].sum(), bad[1].sum()]
    assert figures(hits, traffic).bad == pytest.approx((bad[0, :4].sum() + bad[1].sum()) / 2)


@pytest.mark.parametrize(
    ("cell", "ending"),
    [
        (Cell(0.2, 0.1, 0.005), "too few requests, %"),
        (Cell(200, 0.5, 0.005), "passed, %"),
        (Cell(20, 0.5, 0.005, ratio=20), "rolled back, %"),
        (Cell(2, 0.5, 0.008), "inconclusive, %"),
    ],
    ids=str,
)
def test_a_step_ends_in_one_way(cell: Cell, ending: str) -> None:
    shares = endings.ended(cell, 50)
    held = shares.pop("of them held, %")
    assert held <= shares["inconclusive, %"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares, key=shares.__getitem__) == ending


def test_one_query_a_moment_serves_all_models_of_a_namespace_and_each_pod_is_asked_once() -> None:
    for row in asking.asking((1, 10)):
        models = int(row["models judged"])
        assert row["prometheus"] == 4
        assert (row["pods, 1 a side"], row["pods, 3 a side"]) == (4 * 2 * models, 4 * 6 * models)

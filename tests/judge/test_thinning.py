"""Pods compared at equal numbers of requests: a fair coin between equals, whoever is busier."""

from math import comb

import pytest

from turnout.judge import thinning


def superiority(tolerate: float, canary: tuple[int, int], stable: tuple[int, int]) -> float:
    return thinning.superiority(tolerate, [canary], [stable])


def by_hand(canary: tuple[int, int], stable: tuple[int, int]) -> float:
    """The mean of (a - j)/(a + j) over all draws from stable."""
    (n, a), (size, bad) = canary, stable
    chances = [comb(bad, j) * comb(size - bad, n - j) / comb(size, n) for j in range(min(bad, n) + 1)]
    return sum(p * ((a - j) / (a + j) if a + j else 0.0) for j, p in enumerate(chances))


@pytest.mark.parametrize(
    ("canary", "stable"), [((10, 2), (90, 5)), ((10, 0), (90, 5)), ((10, 3), (90, 0)), ((5, 5), (50, 25))]
)
def test_the_mean_over_all_draws_is_computed(canary: tuple[int, int], stable: tuple[int, int]) -> None:
    assert superiority(1.0, canary, stable) == pytest.approx(by_hand(canary, stable), abs=1e-9)


@pytest.mark.parametrize(
    ("canary", "stable"),
    [((10, 2), (90, 5)), ((40, 7), (40, 3)), ((30, 30), (3000, 10)), ((200, 3), (20, 1)), ((7, 0), (9, 9))],
)
def test_sides_exchanged_are_signs_exchanged(canary: tuple[int, int], stable: tuple[int, int]) -> None:
    assert superiority(1.0, canary, stable) == pytest.approx(-superiority(1.0, stable, canary), abs=1e-6)


@pytest.mark.parametrize("bad", [60, 200, 1500, 40_000])
def test_with_many_bad_events_the_short_cut_favours_the_candidate(bad: int) -> None:
    """Equal rates: what is computed is at most nothing, and near it, whichever side is thinned."""
    size = 20 * bad
    for canary, stable in (((size // 10, bad // 10), (size, bad)), ((size, bad), (size // 10, bad // 10))):
        assert -0.12 < superiority(1.0, canary, stable) <= 0.05


@pytest.mark.parametrize("tally", [(10, 0), (10, 10), (3000, 0), (100_000, 100_000)])
def test_the_worst_that_can_be_said_is_minus_one(tally: tuple[int, int]) -> None:
    for tolerate in (1.0, 3.0):
        for other in ((5, 0), (5, 5), (1_000_000, 999_999)):
            assert -1 <= superiority(tolerate, tally, other) <= 1 + 1e-6
            assert -1 <= superiority(tolerate, other, tally) <= 1 + 1e-6


def test_pods_are_matched_by_rank_and_their_draws_summed() -> None:
    """Two pairs: (a - j)/(a + j) of the sums, over all draws of both."""
    ours, theirs = [(4, 1), (9, 2)], [(30, 6), (50, 10)]
    both = {}
    for i in range(7):
        for j in range(11):
            chance = comb(6, i) * comb(24, 4 - i) if i <= 4 else 0
            other = comb(10, j) * comb(40, 9 - j) if j <= 9 else 0
            both[i, j] = chance / comb(30, 4) * other / comb(50, 9)
    mean = sum(p * (3 - i - j) / (3 + i + j) for (i, j), p in both.items())
    assert thinning.superiority(1.0, ours, theirs) == pytest.approx(mean, abs=1e-6)


def test_pods_without_a_match_are_left_out() -> None:
    alone = thinning.superiority(1.0, [(10, 3)], [(90, 2)])
    assert thinning.superiority(1.0, [(10, 3)], [(90, 2), (50, 50)]) == alone

"""Every bettor plays a game that no candidate can win who is no worse, and all win against one who is."""

from itertools import product
from math import comb, exp, log

import pytest

from turnout.api.analysis import Assumption
from turnout.judge.harm import bettors, log_factors, log_mean, share

ASSUMPTIONS = list(Assumption)
SIDES = [(10, 90), (50, 50), (3, 40), (200, 20)]


def hypergeometric(canary: int, stable: int, events: int) -> list[float]:
    """P(x of the events are the canary's) if which requests failed had nothing to do with the side."""
    total = comb(canary + stable, events)
    return [comb(canary, x) * comb(stable, events - x) / total for x in range(events + 1)]


def binomial(size: int, chance: float) -> list[float]:
    return [comb(size, x) * chance**x * (1 - chance) ** (size - x) for x in range(size + 1)]


@pytest.mark.parametrize("assume", ASSUMPTIONS)
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("events", [1, 2, 5, 15])
def test_no_bettor_gains_on_average_from_a_candidate_that_is_no_worse(
    assume: Assumption, sides: tuple[int, int], events: int
) -> None:
    canary, stable = sides
    gains = [0.0] * bettors(assume)
    for x, chance in enumerate(hypergeometric(canary, stable, events)):
        if chance:
            factors = log_factors(assume, 1.0, [(canary, x)], [(stable, events - x)]) or (0.0,) * len(gains)
            gains = [gain + chance * exp(factor) for gain, factor in zip(gains, factors, strict=True)]
    assert max(gains) <= 1 + 1e-9


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("burst", [1, 4, 20])
def test_bursts_that_fall_on_one_side_whole_are_no_gain_for_bets_on_clusters(
    sides: tuple[int, int], burst: int
) -> None:
    canary, stable = sides
    ours = share(1.0, canary, stable)
    for assume in (Assumption.CLUSTERED_ERRORS,):
        hit = log_factors(assume, 1.0, [(canary, burst)], [(stable, 0)])
        missed = log_factors(assume, 1.0, [(canary, 0)], [(stable, burst)])
        means = [ours * exp(won) + (1 - ours) * exp(lost) for won, lost in zip(hit, missed, strict=True)]
        assert max(means) <= 1 + 1e-9


def test_bursts_that_fall_on_one_side_whole_break_what_takes_requests_as_independent() -> None:
    hit = log_factors(Assumption.INDEPENDENT_REQUESTS, 1.0, [(50, 4)], [(50, 0)])
    missed = log_factors(Assumption.INDEPENDENT_REQUESTS, 1.0, [(50, 0)], [(50, 4)])
    assert max((exp(won) + exp(lost)) / 2 for won, lost in zip(hit, missed, strict=True)) > 1.5


@pytest.mark.parametrize(("requests", "others"), [(20, (200, 200)), (50, (475, 475)), (5, (60, 60))])
@pytest.mark.parametrize("part", [0.1, 0.5, 1.0])
def test_bursts_of_pods_are_no_gain_however_little_traffic_the_candidates_pod_has(
    requests: int, others: tuple[int, int], part: float
) -> None:
    """One of three pods is hit, each as likely; each of its requests fails with the same chance."""
    gains = [0.0] * bettors(Assumption.POD_BURSTS)
    for hit, size in enumerate((requests, *others)):
        for failed, chance in enumerate(binomial(size, part)):
            tallies = [(n, failed if index == hit else 0) for index, n in enumerate((requests, *others))]
            factors = log_factors(Assumption.POD_BURSTS, 1.0, tallies[:1], tallies[1:]) or (0.0,) * len(gains)
            gains = [gain + chance * exp(factor) / 3 for gain, factor in zip(gains, factors, strict=True)]
    assert max(gains) <= 1 + 1e-9


def test_request_share_is_the_wrong_yardstick_for_bursts_of_pods() -> None:
    """What `assume: PodBursts` is for: a third of the bursts is the candidate's, a twentieth of the requests."""
    hit = log_factors(Assumption.CLUSTERED_ERRORS, 1.0, [(50, 50)], [(475, 0), (475, 0)])
    missed = log_factors(Assumption.CLUSTERED_ERRORS, 1.0, [(50, 0)], [(475, 475), (475, 0)])
    assert max(exp(won) / 3 + exp(lost) * 2 / 3 for won, lost in zip(hit, missed, strict=True)) > 2


@pytest.mark.parametrize("assume", ASSUMPTIONS)
@pytest.mark.parametrize("tolerate", [1.0, 2.0])
def test_more_bad_events_on_the_candidate_never_help_it(assume: Assumption, tolerate: float) -> None:
    for (canary, stable), theirs in product(SIDES, (0, 1, 5)):
        wealth = [
            log_mean(log_factors(assume, tolerate, [(canary, x)], [(stable, theirs)])) for x in range(min(canary, 40))
        ]
        assert wealth == sorted(wealth)


@pytest.mark.parametrize("assume", ASSUMPTIONS)
def test_a_candidate_six_times_worse_loses_at_every_weight(assume: Assumption) -> None:
    """Blind to no ratio, with one pod a side and at 10 % above all."""
    for weight in (0.05, 0.1, 0.5):
        canary, stable = round(3000 * weight), round(3000 * (1 - weight))
        factors = log_factors(assume, 1.0, [(canary, round(canary * 0.03))], [(stable, round(stable * 0.005))])
        assert log_mean(factors) > log(1.2)


@pytest.mark.parametrize("assume", ASSUMPTIONS)
@pytest.mark.parametrize(
    ("canary", "stable"),
    [
        pytest.param([], [(100, 3)], id="no pod of the candidate"),
        pytest.param([(0, 0)], [(100, 3)], id="no request on the candidate"),
        pytest.param([(10, 1)], [(0, 0)], id="no request on stable"),
        pytest.param([(10, 0)], [(100, 0)], id="nothing failed"),
    ],
)
def test_an_interval_without_both_sides_carries_no_bet(
    assume: Assumption, canary: list[tuple[int, int]], stable: list[tuple[int, int]]
) -> None:
    assert log_factors(assume, 1.0, canary, stable) == ()


def test_a_tolerated_ratio_is_no_gain() -> None:
    """Poisson counts, the canary twice as bad and twice tolerated: its part of m events is binomial."""
    ours = share(2.0, 100, 900)
    for assume in (Assumption.INDEPENDENT_REQUESTS, Assumption.CLUSTERED_ERRORS):
        for events in (1, 3, 10):
            gains = [0.0] * bettors(assume)
            for x in range(events + 1):
                chance = comb(events, x) * ours**x * (1 - ours) ** (events - x)
                factors = log_factors(assume, 2.0, [(100, x)], [(900, events - x)])
                gains = [gain + chance * exp(factor) for gain, factor in zip(gains, factors, strict=True)]
            assert max(gains) <= 1 + 1e-9

"""What is foretold comes true: the real judge needs about as long as was said."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest

from benchmarks.judge.traffic import POLL_SECONDS, Cell, simulate
from benchmarks.judge.twin import combined, wealth
from turnout.api.analysis import Assumption
from turnout.judge.power import Traffic, least_ratio, seconds_to_detect


@pytest.mark.parametrize("assume", list(Assumption))
@pytest.mark.parametrize(("rps", "weight", "ratio"), [(20, 0.1, 6), (200, 0.5, 3), (20, 0.25, 20)])
def test_half_of_all_attempts_take_about_as_long_as_foretold(
    assume: Assumption, rps: float, weight: float, ratio: float
) -> None:
    foretold = seconds_to_detect(Traffic(rps, weight, 0.005, 0.01, assume=assume), ratio)
    runs = 60 if assume is Assumption.POD_BURSTS else 500
    traffic = simulate(Cell(rps, weight, 0.005, ratio=ratio), runs, seed=3)
    hits = combined(wealth(traffic, assume), latency=False) >= np.log(100)
    median = np.median(np.where(hits.any(1), hits.argmax(1) + 1, 1000)) * POLL_SECONDS
    assert median <= 1.35 * foretold + POLL_SECONDS
    assert median >= 0.65 * foretold - POLL_SECONDS


def test_worse_is_found_sooner_and_so_is_more_traffic() -> None:
    traffic = Traffic(20, 0.1, 0.005, 0.005)
    times = [seconds_to_detect(traffic, ratio) for ratio in (1.0, 1.5, 3, 10, 50)]
    assert times[0] == inf
    assert all(one >= other for one, other in pairwise(times))
    assert seconds_to_detect(Traffic(200, 0.1, 0.005, 0.005), 3) < times[2]


def test_the_least_ratio_is_the_one_that_takes_just_as_long() -> None:
    traffic = Traffic(20, 0.1, 0.005, 0.005)
    ratio = least_ratio(traffic, 600)
    assert seconds_to_detect(traffic, ratio) <= 600 < seconds_to_detect(traffic, ratio / 1.05)


@pytest.mark.parametrize(
    "traffic", [Traffic(0.001, 0.01, 0.005, 0.005), Traffic(20, 0.1, 0.0, 0.005), Traffic(0, 0.1, 0.01, 0.005)]
)
def test_where_nothing_can_be_seen_it_is_said(traffic: Traffic) -> None:
    assert least_ratio(traffic, 600) == inf


def test_blind_to_no_ratio_with_one_pod_a_side() -> None:
    """A sixfold error rate at 10 % under PodBursts, which a share of pods could not see."""
    assert seconds_to_detect(Traffic(20, 0.1, 0.005, 0.005, assume=Assumption.POD_BURSTS), 6) <= 400

"""Latency in buckets: wherever in them stable lies, the slower is found, and the equal passes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.judge.counting import EDGES, Attempt, analysis
from turnout.judge.latency import exceeded_by, first_window, next_window, slower_than
from turnout.judge.memory import added
from turnout.judge.passing import under_stable
from turnout.judge.protocol import Finding, Outcome
from turnout.judge.terms import terms_of

PLACES = {
    "just over a bound": [0.0101],
    "in the middle of a bucket": [0.0125],
    "just under a bound": [0.0149],
    "all over one bucket": [0.0101, 0.0115, 0.0125, 0.0135, 0.0149],
    "in two buckets alike": [0.0125, 0.0175],
    "in two buckets, hardly in the upper": [*(8 * [0.0125]), 0.0175],
    "in two buckets, hardly in the lower": [0.0125, *(8 * [0.0175])],
    "under the lowest bound": [0.0009],
    "over seven buckets": [0.02 + 0.0027 * index for index in range(30)],
}


def judged(stable: Sequence[float], ratio: float, polls: int = 40, **fields: object) -> Finding:
    """Both sides answer without an error, at 20 requests a second and 10 %."""
    attempt = Attempt(analysis(**fields))
    finding = attempt.ask()
    for _ in range(polls):
        attempt.canary[0].serve(30, 0, [ratio * each for each in stable])
        attempt.stable[0].serve(270, 0, stable)
        finding = attempt.ask()
        if finding.outcome is not Outcome.HOLD:
            break
    return finding


@pytest.mark.parametrize("assume", ["IndependentRequests", "ClusteredErrors", "PodBursts"])
@pytest.mark.parametrize("ratio", [1.5, 2.0, 4.0])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_slower_by_half_is_found_wherever_stable_lies(place: str, ratio: float, assume: str) -> None:
    if place == "under the lowest bound" and ratio == 1.5:
        ratio = 1.7  # below the bounds nothing is measured: 0.9 ms is up to 1 ms
    found = judged(PLACES[place], ratio, assume=assume, errors={"passBelow": "0.05"})
    assert (found.outcome, found.reason.value) == (Outcome.HARM, "Latency"), found.message


@pytest.mark.parametrize("pass_ratio", ["1.5", "4", "30"])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_twice_as_slow_never_passes_for_want_of_a_bound(place: str, pass_ratio: str) -> None:
    """With the harm left out: an edge that all of stable's requests exceed would prove anything."""
    fields = {"latency": {"passRatio": pass_ratio, "tolerateRatio": "1000"}, "errors": {"passBelow": "0.05"}}
    found = judged(PLACES[place], 2.0, **fields)
    assert found.outcome is not Outcome.PASS, found.message


@pytest.mark.parametrize("pass_ratio", ["1.5", "4"])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_equal_passes_wherever_stable_lies(place: str, pass_ratio: str) -> None:
    found = judged(PLACES[place], 1.0, latency={"passRatio": pass_ratio}, errors={"passBelow": "0.05"})
    assert found.outcome is Outcome.PASS, found.message


def test_beyond_the_last_bound_nothing_passes_and_nothing_is_harm() -> None:
    found = judged([EDGES[-1] * 2], 1.5, errors={"passBelow": "0.05"})
    assert found.outcome is Outcome.HOLD
    assert found.status.metrics[1].harm == "1"
    said = f"latency cannot pass: more than 10 % of stable's answers take longer than {EDGES[-1]:g} s, the last bound"
    assert found.status.blind == (said,)
    assert said in found.message


def test_pods_that_count_no_times_are_said_not_to() -> None:
    attempt = Attempt(analysis())
    for _ in range(2):
        attempt.serve((30, 0), (270, 0))
        sides = {
            side: tuple(replace(pod.read(), latency=()) for pod in pods)
            for side, pods in (("canary", attempt.canary), ("stable", attempt.stable))
        }
        found = attempt.ask(**sides, edges=())
    assert found.status.blind == ("latency is not judged: the pods count no times to answer",)


WINDOW = (0, 50, 40, 8, 2, 0)  # buckets along five bounds


@pytest.mark.parametrize(
    ("window", "part", "cut"),
    [
        pytest.param(WINDOW, 0.5, 1, id="half exceed the second bound"),
        pytest.param(WINDOW, 0.1, 2, id="a tenth exceeds the third"),
        pytest.param(WINDOW, 0.01, 4, id="two in a hundred are more than one"),
        pytest.param((0, 0, 100, 0, 0, 0), 0.5, 2, id="all in one bucket: its upper bound"),
        pytest.param((100, 0, 0, 0, 0, 0), 0.5, 0, id="all in the first"),
        pytest.param((0, 0, 0, 0, 0, 100), 0.5, 4, id="all beyond the last bound"),
        pytest.param((0, 0, 0, 0, 0, 0), 0.5, 4, id="nothing known"),
        pytest.param((0, 37, 63, 0, 0, 0), 0.5, 2, id="more than is near to half exceed the lower bound"),
        pytest.param((0, 38, 62, 0, 0, 0), 0.5, 1, id="near to half exceed the lower bound"),
    ],
)
def test_an_edge_is_the_lowest_that_as_few_exceed_as_the_quantile_says(
    window: tuple[int, ...], part: float, cut: int
) -> None:
    assert exceeded_by(window, part) == cut


def test_the_part_beyond_an_edge_is_all_where_nothing_is_known() -> None:
    assert slower_than(WINDOW, 2) == pytest.approx(0.1)
    assert slower_than((0, 0, 0), 1) == 1.0


def test_of_a_bucket_where_nothing_comes_any_more_nothing_is_left() -> None:
    """Three requests from a cold start must not be a quiet model's slowest tenth for ever."""
    window, total = (9, 0, 3), (9, 0, 3)
    for _ in range(12):
        now = (total[0] + 3, 0, 3)
        window, total = next_window(window, total, now), now
    assert window[2] == 0
    assert window[0] >= 9
    assert first_window((40_000, 0, 0)) == (4000, 0, 0)


@pytest.mark.parametrize(
    ("ratio", "usual", "relative"),
    [
        pytest.param(1.5, 0.1, True, id="stable exceeds it as its quantile says"),
        pytest.param(1.5, 0.05, True, id="half as often"),
        pytest.param(1.5, 0.04, False, id="too seldom for a ratio"),
        pytest.param(9.9, 0.1, False, id="the ratio is nearly all"),
    ],
)
def test_what_is_bet_on_for_a_pass_is_chosen_from_the_window_before(ratio: float, usual: float, relative: bool) -> None:
    """A bet on the ratio looks at stable's count, one on the absolute part does not."""
    one, other = (under_stable(ratio, 0.1, usual, (100, 10), (900, slow)) for slow in (90, 10))
    assert (one != other) is relative


def test_an_edge_that_stable_exceeds_more_than_its_quantile_says_proves_nothing() -> None:
    assert under_stable(1.5, 0.1, 0.2, (100, 0), (900, 180)) == ()


def test_one_edge_for_each_quantile_and_one_for_an_absolute_bound() -> None:
    from turnout.judge.latency import cuts

    edges = (0.1, 0.2, 0.3, 0.4, 0.5)
    assert cuts(terms_of(analysis()), WINDOW, edges) == (1, 2, 4)
    assert cuts(terms_of(analysis(latency={"passBelow": "0.3"})), WINDOW, edges) == (1, 2, 4, 2)
    assert cuts(terms_of(analysis()), WINDOW, ()) == ()


def test_a_bettor_goes_on_with_what_it_has_whichever_bet_the_window_chooses() -> None:
    """Six either way: with fewer, the wealth of the others would vanish, and the mean jump without a request."""
    relative = under_stable(1.5, 0.1, 0.1, (100, 10), (900, 90))
    absolute = under_stable(1.5, 0.1, 0.0, (100, 0), (900, 0))
    assert len(relative) == len(absolute) == 6
    with pytest.raises(ValueError, match="shorter"):
        added((0, 0, 0), (1.0, 1.0))


@pytest.mark.parametrize("usual", [0.1, 0.0])
def test_no_bettor_on_a_pass_gains_from_a_candidate_at_the_bound(usual: float) -> None:
    """Poisson counts at exactly 1.5 times stable's slow part: the mean factor of each is at most 1."""
    from math import comb, exp

    forbidden = 1.5 * 100 / (1.5 * 100 + 900)
    gains = [0.0] * 6
    events = 12
    for x in range(events + 1):
        if usual:
            chance = comb(events, x) * forbidden**x * (1 - forbidden) ** (events - x)
            factors = under_stable(1.5, 0.1, usual, (100, x), (900, events - x))
        else:
            chance = comb(events, x) * 0.15**x * 0.85 ** (events - x)
            factors = under_stable(1.5, 0.1, usual, (events, x), (900, 0))
        gains = [gain + chance * exp(factor) for gain, factor in zip(gains, factors, strict=True)]
    assert max(gains) <= 1 + 1e-9

"""A stable version that answers and fails: found, told, no control any more; and believed again when it is well."""

import random

import pytest

from tests.judge.counting import Attempt, analysis, only_errors
from turnout.judge.health import STAKES, WELL_AGAIN, bound, fails_by, watched
from turnout.judge.memory import parse
from turnout.judge.protocol import Finding, Outcome

ENOUGH = 4.6  # log of 100


def serve(attempt: Attempt, polls: int, canary: tuple[int, int], stable: tuple[int, int]) -> Finding:
    for _ in range(polls):
        attempt.serve(canary, stable)
        found = attempt.ask()
    return found


def test_a_stable_that_fails_far_beyond_what_a_version_may_is_no_control() -> None:
    """Within two minutes; the candidate, which fails as often, is not rolled back by comparison, and cannot pass."""
    attempt = Attempt(only_errors())
    attempt.ask()
    found = serve(attempt, 8, (100, 30), (900, 270))
    assert "more than 10 % of stable's own requests fail" in found.stable_fails
    assert found.outcome is Outcome.HOLD
    memory = parse(attempt.memory)
    assert memory is not None
    assert fails_by(memory.watch)


@pytest.mark.parametrize(
    ("latency", "stable_bad", "outcome"),
    [
        pytest.param({}, 300, Outcome.PASS, id="latency beside what stable still answers"),
        pytest.param({"passBelow": "0.5"}, 900, Outcome.PASS, id="latency by a bound of its own"),
        pytest.param({"enabled": False}, 900, Outcome.PASS, id="errors alone"),
        pytest.param({}, 900, Outcome.HOLD, id="latency beside nothing"),
    ],
)
def test_a_fix_passes_by_what_it_proves_itself(latency: dict[str, object], stable_bad: int, outcome: Outcome) -> None:
    attempt = Attempt(analysis(latency=latency))
    attempt.ask()
    found = serve(attempt, 40, (100, 0), (900, stable_bad))
    assert found.stable_fails
    assert found.outcome is outcome


def test_one_that_fails_now_and_then_is_a_control() -> None:
    attempt = Attempt(only_errors())
    attempt.ask()
    found = serve(attempt, 40, (100, 9), (900, 81))
    assert found.stable_fails == ""


def test_threshold_knows_no_control() -> None:
    attempt = Attempt(only_errors(judge="Threshold"))
    attempt.ask()
    assert serve(attempt, 20, (100, 0), (900, 450)).stable_fails == ""


def test_it_is_found_as_soon_late_as_early_and_believed_again() -> None:
    attempt = Attempt(only_errors())
    attempt.ask()
    assert serve(attempt, 40, (100, 0), (900, 0)).stable_fails == ""
    assert serve(attempt, 8, (100, 0), (900, 270)).stable_fails
    assert serve(attempt, 1, (100, 0), (900, 0)).stable_fails, "one good poll is no recovery"
    assert serve(attempt, 16, (100, 0), (900, 0)).stable_fails == ""


def test_no_bet_loses_or_wins_more_than_it_may() -> None:
    watch: tuple[int, ...] = ()
    for _ in range(50):
        watch = watched(watch, 0.1, 100, 100, ENOUGH)
    assert all(0 <= each <= 1000 * (ENOUGH + 1.2) for each in watch[1:])
    assert watched(watch, 0.1, 0, 0, ENOUGH) == watch
    for _ in range(50):
        watch = watched(watch, 0.1, 100, 0, ENOUGH)
    assert watch == (0,) * (1 + len(STAKES))
    assert WELL_AGAIN < ENOUGH


@pytest.mark.parametrize("burst", [1, 30])
def test_one_exactly_at_the_bound_is_rarely_called_failing(burst: int) -> None:
    """Errors one by one, or thirty at once: of 200 hours at the bound itself, polled each quarter of a minute."""
    draw, called = random.Random(11), 0
    for _ in range(200):
        watch: tuple[int, ...] = ()
        for _ in range(40):
            bad = burst * sum(draw.random() < bound(0.01) for _ in range(300 // burst))
            watch = watched(watch, bound(0.01), 300, bad, ENOUGH)
        called += fails_by(watch)
    assert called <= 20


def test_half_of_all_requests_is_unwell_whatever_a_version_may() -> None:
    assert (bound(0.005), bound(0.2)) == (0.05, 0.5)

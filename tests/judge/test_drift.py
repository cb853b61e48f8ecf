"""Answers that moved: seen when they did, not when they did not; a pause unless a rollback is asked for."""

import random
from math import exp

import pytest

from tests.judge.counting import Attempt, analysis
from turnout.api.reasons import Reason
from turnout.judge.drift import distance, distance_at_least, log_factor
from turnout.judge.protocol import Finding, Lifted, Outcome

BINS = 10


def answers(draw: random.Random, count: int, shift: float) -> list[int]:
    bins = [0] * BINS
    for _ in range(count):
        bins[min(BINS - 1, max(0, int((draw.gauss(0.5 + shift, 0.15)) * BINS)))] += 1
    return bins


def drifting(
    shift: float, action: str = "Pause", polls: int = 40, tolerance: str = "0.1", seen: float | None = None
) -> Finding:
    draw = random.Random(7)
    fields = {"enabled": True, "output": "score", "action": action, "tolerance": tolerance}
    attempt = Attempt(analysis(drift=fields, latency={"enabled": False}, errors={"enabled": False}), step=None)
    if seen is not None:
        attempt.lifted = {(Reason.Drift, "drift"): Lifted(attempt.at, seen)}
    for pod in (*attempt.canary, *attempt.stable):
        pod.outputs["score"] = [0] * BINS
    finding = attempt.ask()
    for _ in range(polls):
        for pods, count, moved in ((attempt.canary, 60, shift), (attempt.stable, 540, 0.0)):
            pods[0].serve(count, 0)
            pods[0].outputs["score"] = [
                one + more for one, more in zip(pods[0].outputs["score"], answers(draw, count, moved), strict=True)
            ]
        finding = attempt.ask()
        if finding.outcome is not Outcome.HOLD:
            break
    return finding


def test_scores_that_moved_pause_the_rollout() -> None:
    found = drifting(0.15)
    assert (found.outcome, found.reason) == (Outcome.PAUSE, Reason.Drift)
    assert "surely more than 0.1" in found.message


def test_scores_that_moved_no_more_than_a_person_has_let_pass_stop_nothing() -> None:
    """True is a distance of some 0.38: seen and let pass, or more than what was seen then."""
    first = drifting(0.15)
    assert (first.metric, float(first.level) > 0.3) == ("drift", True)
    assert drifting(0.15, seen=float(first.level) + 0.05, polls=200).outcome is Outcome.HOLD
    assert drifting(0.15, seen=0.2, polls=200).outcome is Outcome.PAUSE


def test_scores_that_moved_roll_back_where_that_is_asked_for() -> None:
    found = drifting(0.15, "Rollback")
    assert (found.outcome, found.reason) == (Outcome.HARM, Reason.Drift)


def test_equal_scores_are_no_drift() -> None:
    assert drifting(0.0).outcome is Outcome.HOLD


def test_a_significant_shift_within_the_tolerance_is_no_drift() -> None:
    """A new version is meant to differ."""
    found = drifting(0.02, polls=100)
    assert found.outcome is Outcome.HOLD
    assert float(found.status.metrics[-1].harm) > 100


def test_each_interval_is_a_fair_game_between_equals() -> None:
    """Exactly: two answers a side of one distribution over two bins, whatever was believed before."""
    for past in (((0, 0), (0, 0)), ((9, 1), (2, 30))):
        mean = 0.0
        for ours in range(3):
            for theirs in range(3):
                chance = [0.25, 0.5, 0.25][ours] * [0.25, 0.5, 0.25][theirs]
                mean += chance * exp(log_factor(*past, (2 - ours, ours), (2 - theirs, theirs)))
        assert mean == pytest.approx(1.0, abs=0.05)
        assert mean <= 1.0 + 1e-9


@pytest.mark.parametrize(("side", "gap"), [((10, 0), 1.0), ((5, 5), 0.5), ((0, 10), 0.0)])
def test_the_distance_is_the_greatest_gap_of_the_cumulated_shares(side: tuple[int, int], gap: float) -> None:
    assert distance(side, (0, 10)) == pytest.approx(gap)
    assert distance((0, 10), side) == pytest.approx(gap)
    assert distance(side, ()) == 0.0


def test_the_lower_bound_holds_at_all_looks_at_once() -> None:
    """400 attempts of 50 looks between equals; at alpha 0.05 at most 20 bounds above the truth are expected."""
    draw = random.Random(3)
    wrong = 0
    for _ in range(400):
        sides = [[0] * 5, [0] * 5]
        for look in range(1, 51):
            for side in sides:
                for _ in range(4):
                    side[draw.randrange(5)] += 1
            if distance_at_least(tuple(sides[0]), tuple(sides[1]), look, 0.05) > 0:
                wrong += 1
                break
    assert wrong <= 30


def test_outputs_that_cannot_be_compared_are_left_alone() -> None:
    attempt = Attempt(analysis(drift={"enabled": True}))
    attempt.canary[0].outputs["score"] = [1, 2, 3]
    attempt.stable[0].outputs["score"] = [1, 2]
    attempt.ask()
    attempt.serve((10, 0), (90, 0))
    assert attempt.ask().outcome is Outcome.HOLD
    attempt.stable[0].outputs["score"] = [0] * 50
    attempt.canary[0].outputs["score"] = [0] * 50
    assert attempt.ask().outcome is Outcome.HOLD


def test_counts_over_other_bins_are_not_compared() -> None:
    """Each artifact has bins of its own: a tenth of the answers in each of its own deciles says nothing."""

    def evidence(ours: str, theirs: str) -> str:
        attempt = Attempt(analysis(drift={"enabled": True}, latency={"enabled": False}), step=None)
        sides = ((attempt.canary[0], [30, 0], ours), (attempt.stable[0], [0, 270], theirs))
        for pod, _, bins in sides:
            pod.outputs["score"], pod.bins["score"] = [0, 0], bins
        attempt.ask()
        for _ in range(4):
            for pod, answered, _ in sides:
                pod.serve(sum(answered), 0)
                pod.outputs["score"] = [a + b for a, b in zip(pod.outputs["score"], answered, strict=True)]
            found = attempt.ask()
        return found.status.metrics[-1].harm

    assert evidence("a1", "b2") == "1"
    assert float(evidence("a1", "a1")) > 100

"""Answers that moved: seen when they did, not when they did not; a pause unless a rollback is asked for."""

import random
from math import exp, log

import pytest

from tests.judge.counting import START, Attempt, analysis
from turnout.api.reasons import Reason
from turnout.judge.drift import (
    banked,
    distance,
    distance_at_least,
    doubt,
    log_factor,
    moved_at_least,
    part_of,
    wealth,
)
from turnout.judge.memory import parse
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
        for _look in range(50):
            for side in sides:
                for _ in range(4):
                    side[draw.randrange(5)] += 1
            if distance_at_least(tuple(sides[0]), tuple(sides[1]), 0.05) > 0:
                wrong += 1
                break
    assert wrong <= 20


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


SHARES = [1, 2, 3, 2, 1, 1]
ROWS = tuple(400 * share for share in SHARES)


def spread(count: int, moved: int = 0) -> list[int]:
    """Answers in the shares of publishing, or those shifted by some bins."""
    order = SHARES[-moved:] + SHARES[:-moved] if moved else SHARES
    return [count * share // sum(SHARES) for share in order]


def beside_the_rows(
    canary: int, stable: int | None, bins: tuple[str, str] = ("a", "b"), **fields: object
) -> tuple[Attempt, Finding]:
    """Both sides with rows of their own publishing; answers shifted by so many bins. None: stable has no rows."""
    drift = {"enabled": True, "against": "Reference", **fields}
    attempt = Attempt(analysis(drift=drift, latency={"enabled": False}, errors={"enabled": False}), step=None)
    sides = ((attempt.canary[0], 100, canary, bins[0]), (attempt.stable[0], 900, stable, bins[1]))
    for pod, _, moved, name in sides:
        pod.outputs["score"], pod.bins["score"] = [0] * len(SHARES), name
        if moved is not None:
            pod.reference["score"] = ROWS
    finding = attempt.ask()
    for _ in range(40):
        for pod, count, moved, _ in sides:
            pod.serve(count, 0)
            pod.outputs["score"] = [a + b for a, b in zip(pod.outputs["score"], spread(count, moved or 0), strict=True)]
        finding = attempt.ask()
        if finding.outcome is not Outcome.HOLD:
            break
    return attempt, finding


@pytest.mark.parametrize(
    ("stable", "whose"),
    [
        pytest.param(0, "this version answers otherwise, not the world", id="stable answers as ever"),
        pytest.param(2, "callers ask other things, not this version alone moved", id="stable has moved as well"),
        pytest.param(None, "nothing tells the version from the world", id="stable has no rows"),
    ],
)
def test_answers_that_left_the_rows_of_publishing_pause_and_it_is_said_whose_doing_that_is(
    stable: int | None, whose: str
) -> None:
    _, found = beside_the_rows(2, stable)
    assert (found.outcome, found.reason) == (Outcome.PAUSE, Reason.Drift)
    assert "from those at publishing, surely more than 0.1" in found.message
    assert whose in found.message
    assert found.status.metrics[-1].name == "drift reference"


def test_a_distance_from_the_reference_never_rolls_back() -> None:
    """The promise speaks of stable; a candidate that is its equal may be far from the rows of its publishing."""
    _, found = beside_the_rows(2, 0, action="Rollback")
    assert found.outcome is Outcome.PAUSE
    _, found = beside_the_rows(2, 2, bins=("a", "a"), against="Both", action="Rollback")
    assert found.outcome is Outcome.PAUSE


def test_a_distance_from_the_rows_that_a_person_let_pass_pauses_again_only_if_it_grows() -> None:
    attempt, found = beside_the_rows(2, 0)
    assert (found.metric, float(found.level)) == ("drift reference", pytest.approx(0.4, abs=0.2))
    attempt.lifted = {(Reason.Drift, "drift reference"): Lifted(attempt.at, float(found.level))}
    attempt.serve((100, 0), (900, 0))
    assert attempt.ask().outcome is Outcome.HOLD
    attempt.lifted = {(Reason.Drift, "drift reference"): Lifted(attempt.at, 0.05)}
    assert attempt.ask().outcome is Outcome.PAUSE


def test_answers_as_at_publishing_are_no_drift_whatever_the_world_does_to_stable() -> None:
    _, found = beside_the_rows(0, 3)
    assert found.outcome is Outcome.HOLD
    assert found.status.metrics[-1].canary == "0"
    assert float(found.status.metrics[-1].stable) > 0.1


def test_both_comparisons_share_the_budget() -> None:
    from turnout.judge.terms import terms_of

    both, one = (terms_of(analysis(drift={"enabled": True, "against": each})) for each in ("Both", "Stable"))
    assert both.drift_alpha == one.drift_alpha / 2


@pytest.mark.parametrize(
    ("fields", "bins", "words"),
    [
        pytest.param({"against": "Stable"}, ("a", "b"), "over other bins; publish with like=", id="other bins"),
        pytest.param(
            {"output": "label"}, ("a", "a"), "the candidate counts no answers of output label", id="no counts"
        ),
    ],
)
def test_what_cannot_be_compared_is_said(fields: dict[str, str], bins: tuple[str, str], words: str) -> None:
    _, found = beside_the_rows(0, 0, bins, **fields)
    assert found.outcome is Outcome.HOLD
    assert words in found.message


def test_a_candidate_published_without_rows_is_said_to_have_none() -> None:
    attempt, _ = beside_the_rows(0, 0)
    attempt.canary[0].reference.clear()
    assert "the candidate was published without rows of its first output" in attempt.ask().message


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.05, 0.05), tuple([0.05] * 20)], ids=["even", "one", "twenty"])
def test_the_bound_on_shares_holds_whoever_stops_at_the_worst_moment(shares: tuple[float, ...]) -> None:
    """One side against the truth, looked at after each of 3 000 answers: at alpha 0.1 at most 30 of 300 attempts."""
    import numpy as np

    draw = np.random.default_rng(5)
    truth = np.cumsum(shares)[:-1]
    drawn = draw.choice(len(shares), size=(300, 3000), p=shares)
    gaps = np.zeros((300, 3000))
    counts = np.arange(1, 3001)
    for bound, mass in enumerate(truth):
        gaps = np.maximum(gaps, np.abs(np.cumsum(drawn <= bound, axis=1) / counts - mass))
    bounds = np.array([doubt(n, len(shares), 0.1) for n in counts])
    assert (gaps > bounds).any(axis=1).sum() <= 30


def test_the_bound_is_no_wider_than_a_union_over_looks_of_what_holds_at_one() -> None:
    """Massart's 2 exp(-2 n e²), spent as 6 / (pi² k²) over the looks k, at the fortieth."""
    from math import pi, sqrt

    spent = 0.01 * 6 / (pi * 40) ** 2
    for n in (300, 1000, 10_000):
        assert doubt(n, 20, 0.01) < sqrt(log(2 / spent) / (2 * n))


def test_beyond_the_tolerance_by_chance_is_no_drift_from_the_rows() -> None:
    """Rows and answers of one distribution, 200 attempts at alpha 0.05: the bound never exceeds 0 in more than ten."""
    import numpy as np

    draw, wrong = np.random.default_rng(8), 0
    for _ in range(200):
        rows = np.bincount(draw.integers(0, 6, 500), minlength=6)
        answered = np.zeros(6, int)
        for _ in range(40):
            answered += np.bincount(draw.integers(0, 6, 30), minlength=6)
            if moved_at_least(tuple(answered.tolist()), tuple(rows.tolist()), 0.05) > 0:
                wrong += 1
                break
    assert wrong <= 10


def both_sides(attempt: Attempt, canary: tuple[int, int], stable: tuple[int, int]) -> None:
    """So many answers of each side, shifted by so many bins."""
    for pods, (count, moved) in ((attempt.canary, canary), (attempt.stable, stable)):
        pods[0].serve(count, 0)
        known = pods[0].outputs.get("score") or [0] * len(SHARES)
        pods[0].outputs["score"] = [a + b for a, b in zip(known, spread(count, moved), strict=True)]


def with_drift(**fields: object) -> Attempt:
    attempt = Attempt(analysis(drift={"enabled": True, **fields}, latency={"enabled": False}))
    both_sides(attempt, (0, 0), (0, 0))
    attempt.ask()
    return attempt


def test_a_pass_waits_until_answers_that_moved_would_have_been_seen() -> None:
    """Errors are proven by some hundred requests, long before half of all scores elsewhere are."""
    attempt, found = with_drift(), []
    for _ in range(30):
        both_sides(attempt, (60, 1), (540, 0))
        found.append(attempt.ask())
        if found[-1].outcome is not Outcome.HOLD:
            break
    assert found[-1].outcome is Outcome.PAUSE, found[-1].message
    assert any("answers within 0.2 of stable's" in each.message for each in found)


@pytest.mark.parametrize("against", ["Stable", "Reference", "Both"])
def test_answers_that_stayed_pass(against: str) -> None:
    attempt = with_drift(against=against)
    for pod in (*attempt.canary, *attempt.stable):
        pod.reference["score"] = ROWS
    found = attempt.ask()
    for _ in range(40):
        both_sides(attempt, (60, 0), (540, 0))
        found = attempt.ask()
        if found.outcome is not Outcome.HOLD:
            break
    assert found.outcome is Outcome.PASS, found.message
    assert attempt.canary[0].requests > 300


def test_a_pass_without_drift_being_judged_says_so_and_the_status_too() -> None:
    attempt = Attempt(analysis(drift={"enabled": True}, latency={"enabled": False}))
    attempt.ask()
    for _ in range(20):
        attempt.serve((60, 0), (540, 0))
        found = attempt.ask()
        if found.outcome is not Outcome.HOLD:
            break
    assert found.outcome is Outcome.PASS
    assert "drift is not judged: the candidate counts no answers" in found.message
    assert found.status.blind[0].startswith("drift is not judged: the candidate")


def test_a_world_that_wanders_while_the_weight_rises_blinds_nobody_to_answers_that_move_later() -> None:
    """Equal sides in one world at 10 %, in another at 50 %: sums over both differ, and prove nothing."""
    attempt = with_drift()
    for weight, world, polls in ((10, 0, 40), (50, 2, 40)):
        attempt.weight = weight
        for _ in range(polls):
            both_sides(attempt, (6 * weight, world), (600 - 6 * weight, world))
            found = attempt.ask(weight_since=attempt.at if weight != found_weight(attempt) else START)
            assert found.outcome in {Outcome.HOLD, Outcome.PASS}
    for _ in range(60):
        both_sides(attempt, (300, 4), (300, 2))
        found = attempt.ask()
        if found.outcome is Outcome.PAUSE:
            break
    assert found.outcome is Outcome.PAUSE
    assert float(found.status.metrics[-1].harm) > 100


def found_weight(attempt: Attempt) -> int:
    known = parse(attempt.memory)
    return known.weight if known else 0


def test_the_parts_of_all_epochs_are_no_more_than_one() -> None:
    assert sum(part_of(epoch) for epoch in range(1, 2000)) <= 1
    assert exp(wealth(-1e5, 0.0, 1)) == pytest.approx(1.0)
    assert exp(wealth(banked(-1e5, log(3), 1), 0.0, 2)) == pytest.approx(3 / 2 + 1 / 6 + 1 / 3)


def test_what_is_shown_as_evidence_of_harm_is_what_decides() -> None:
    """A difference within the tolerance, told with certainty: no drift, so no evidence of harm."""
    draw = random.Random(7)
    fields = {"enabled": True, "output": "score", "action": "Rollback", "tolerance": "0.1"}
    attempt = Attempt(analysis(drift=fields, latency={"enabled": False}), step=None)
    for pod in (*attempt.canary, *attempt.stable):
        pod.outputs["score"] = [0] * BINS
    attempt.ask()
    for _ in range(60):
        for pods, count, moved in ((attempt.canary, 300, 0.03), (attempt.stable, 2700, 0.0)):
            pods[0].serve(count, 0)
            came = answers(draw, count, moved)
            pods[0].outputs["score"] = [one + more for one, more in zip(pods[0].outputs["score"], came, strict=True)]
        found = attempt.ask()
    assert float(found.status.metrics[-1].harm) > 100
    assert float(found.status.harm) <= 1
    assert found.outcome is Outcome.HOLD


@pytest.mark.parametrize("rows", [(-5, 1, 1, 1, 1, 1), (10**308,) * 6, (0,) * 6, (1.5,) * 6], ids=str)
def test_rows_of_publishing_that_cannot_be_are_none(rows: tuple[int, ...]) -> None:
    attempt = with_drift(against="Both")
    attempt.canary[0].reference["score"] = rows
    both_sides(attempt, (60, 0), (540, 0))
    found = attempt.ask()
    assert found.outcome is Outcome.HOLD
    assert "the candidate was published without rows" in found.message

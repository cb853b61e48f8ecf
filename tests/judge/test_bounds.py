"""Bounds of the buckets: what is half as slow again is told wherever stable lies, and other bounds are other counts."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import exp, log
from statistics import NormalDist

import pytest

from tests.judge.counting import EDGES, Attempt, Pod, analysis
from turnout.evidence.counting import Counts
from turnout.judge.protocol import Finding, Outcome, PodCounters

EARLIER = EDGES[::2]
"""Every second one, as predictors of earlier builds have them."""
DECADE = [edge for edge in EDGES if 0.01 <= edge <= 0.1]
NARROW = {"a hundredth": 0.01, "three hundredths": 0.03, "seven hundredths": 0.07, "a third": 0.3}
"""Spreads of the logarithm of a latency; of a small model that answers one row they are some hundredths."""


def places(a_bucket: int) -> list[float]:
    """So many in each bucket of a decade, at its bounds and between them; the buckets of others are these times ten."""
    parts = [(part + 0.5) / a_bucket for part in range(a_bucket)]
    between = [low * (high / low) ** part for low, high in pairwise(DECADE) for part in parts]
    return sorted([*between, *(edge * near for edge in DECADE for near in (0.999, 1.0, 1.001))])


def around(middle: float, spread: float, requests: int = 30) -> list[float]:
    """A lognormal's own quantiles: the same in each poll."""
    normal = NormalDist()
    return [middle * exp(spread * normal.inv_cdf((index + 0.5) / requests)) for index in range(requests)]


def buckets(seconds: Sequence[float]) -> list[int]:
    found = [0] * (len(EDGES) + 1)
    for each in seconds:
        found[bisect_left(EDGES, each)] += 1
    return found


def verdict(stable: Sequence[float], ratio: float, assume: str) -> Finding:
    """20 requests a second at 10 %, for ten minutes at most."""
    attempt = Attempt(analysis(assume=assume, errors={"passBelow": "0.05"}))
    finding = attempt.ask()
    sides = [(attempt.canary[0], 30, [ratio * each for each in stable]), (attempt.stable[0], 270, stable)]
    counted = [(pod, requests, buckets(seconds)) for pod, requests, seconds in sides]
    for _ in range(40):
        for pod, requests, found in counted:
            pod.requests += requests
            pod.latency = [count + more * requests // 30 for count, more in zip(pod.latency, found, strict=True)]
        finding = attempt.ask()
        if finding.outcome is not Outcome.HOLD:
            break
    return finding


@pytest.mark.parametrize("assume", ["ClusteredErrors", "IndependentRequests", "PodBursts"])
@pytest.mark.parametrize("ratio", [1.3, 1.5])
@pytest.mark.parametrize("spread", NARROW)
def test_half_as_slow_again_is_told_at_every_place_in_a_bucket(spread: str, ratio: float, assume: str) -> None:
    """And 1.3 times as slow: a model that computes 1.5 times as long answers with what else a request takes."""
    looked = places(5 if assume == "ClusteredErrors" else 1)
    found = {middle: verdict(around(middle, NARROW[spread]), ratio, assume) for middle in looked}
    missed = {middle: each.message for middle, each in found.items() if each.outcome is not Outcome.HARM}
    assert missed == {}
    assert {each.reason.value for each in found.values()} == {"Latency"}


@pytest.mark.parametrize("spread", NARROW)
def test_what_is_equal_passes_at_every_place_in_a_bucket(spread: str) -> None:
    found = {middle: verdict(around(middle, NARROW[spread]), 1.0, "ClusteredErrors") for middle in places(2)}
    assert {middle: each.message for middle, each in found.items() if each.outcome is not Outcome.PASS} == {}


def test_the_bounds_are_closer_than_what_must_be_told_by_more_than_a_narrow_spread() -> None:
    """1.5 over the widest ratio of two bounds leaves room for three sigma of a spread of six hundredths."""
    widest = max(high / low for low, high in pairwise(EDGES))
    assert log(1.5 / widest) > 3 * 0.06


def along(edges: Sequence[float], pod: Pod) -> PodCounters:
    counts = Counts(pod.requests, pod.errors, EDGES, tuple(pod.latency))
    return counts.of_pod(pod.name, pod.started_at, tuple(edges))


def ask(attempt: Attempt, edges: Sequence[float], ratio: float) -> Finding:
    """One interval, and a poll of both sides along these bounds."""
    attempt.canary[0].serve(30, 0, [ratio * 0.0125])
    attempt.stable[0].serve(270, 0, [0.0125])
    canary, stable = (tuple(along(edges, pod) for pod in pods) for pods in (attempt.canary, attempt.stable))
    return attempt.ask(edges=tuple(edges), canary=canary, stable=stable)


SHIFTED = tuple(edge * 1.1 for edge in EARLIER)
CHANGES = {
    "stable is replaced by one of this build": (EARLIER, EDGES),
    "stable is rolled back to an earlier build": (EDGES, EARLIER),
    "as many bounds, at other places": (EARLIER, SHIFTED),
}


@pytest.mark.parametrize("change", CHANGES)
def test_bounds_that_change_cost_an_interval_and_prove_nothing(change: str) -> None:
    """Counts up to other bounds are no increment of these, be there as many of them."""
    before, after = CHANGES[change]
    attempt = Attempt(analysis(errors={"passBelow": "0.05"}))
    for _ in range(4):
        ask(attempt, before, 1.0)
    known = attempt.finding
    changed = ask(attempt, after, 1.0)
    assert known is not None
    assert [each.harm for each in changed.status.metrics] == [each.harm for each in known.status.metrics]
    assert changed.status.requests == known.status.requests
    assert changed.status.memory != known.status.memory
    while changed.outcome is Outcome.HOLD:
        changed = ask(attempt, after, 1.0)
    assert changed.outcome is Outcome.PASS, changed.message


@pytest.mark.parametrize("change", CHANGES)
def test_a_slower_candidate_is_found_though_the_bounds_change(change: str) -> None:
    before, after = CHANGES[change]
    attempt = Attempt(analysis(errors={"passBelow": "0.05"}))
    for _ in range(2):
        ask(attempt, before, 2.0)
    found = ask(attempt, after, 2.0)
    for _ in range(20):
        found = ask(attempt, after, 2.0) if found.outcome is Outcome.HOLD else found
    assert (found.outcome, found.reason.value) == (Outcome.HARM, "Latency")


@pytest.mark.parametrize(
    ("edges", "stable", "said"),
    [
        pytest.param(
            EDGES,
            [0.024],
            "nearly all of stable's answers take 0.022 to 0.027 s, with no bound in between: "
            "what takes less than 1.23 times as long may not be seen to be slower",
            id="in one bucket",
        ),
        pytest.param(
            EARLIER,
            [0.024],
            "nearly all of stable's answers take 0.022 to 0.033 s, with no bound in between: "
            "what takes less than 1.50 times as long may not be seen to be slower",
            id="along the bounds of an earlier build",
        ),
        pytest.param(
            EDGES,
            [0.0004],
            "what stays below 0.001 s, the first bound, is not told from stable, which is below it too",
            id="below the first",
        ),
        pytest.param(EDGES, around(0.024, 0.3), "", id="over many"),
    ],
)
def test_what_may_hide_between_two_bounds_is_shown_and_not_said_with_every_verdict(
    edges: Sequence[float], stable: list[float], said: str
) -> None:
    attempt = Attempt(analysis())
    for _ in range(3):
        attempt.canary[0].serve(30, 0, stable)
        attempt.stable[0].serve(270, 0, stable)
        canary, control = (tuple(along(edges, pod) for pod in pods) for pods in (attempt.canary, attempt.stable))
        found = attempt.ask(edges=tuple(edges), canary=canary, stable=control)
    assert found.status.blind == ((said,) if said else ())
    assert "bound" not in found.message


@pytest.mark.parametrize(
    ("stable", "before", "after"),
    [
        pytest.param(0.4, EDGES, EARLIER, id="to those of an earlier build"),
        pytest.param(0.1, EARLIER, EDGES, id="to those of this one"),
    ],
)
def test_stable_may_die_and_leave_the_bounds_to_the_candidate(
    stable: float, before: Sequence[float], after: Sequence[float]
) -> None:
    """Which are then its own. Meanwhile no edge of stable's is known, and when it is back all goes on."""
    attempt = Attempt(analysis(errors={"passBelow": "0.05"}))

    def interval(edges: Sequence[float], alone: bool) -> Finding:
        attempt.canary[0].serve(60, 0, [stable])
        attempt.stable[0].serve(0 if alone else 540, 0, [stable])
        attempt.stable_unhealthy = alone
        canary, control = (tuple(along(edges, pod) for pod in pods) for pods in (attempt.canary, attempt.stable))
        return attempt.ask(edges=tuple(edges), canary=canary, stable=() if alone else control)

    together = [interval(before, alone=False) for _ in range(3)]
    dead = [interval(after, alone=True) for _ in range(4)]
    assert {found.outcome for found in dead} <= {Outcome.HOLD}
    assert {each.edge for found in dead for each in found.status.metrics if each.edge} == {"60"}
    found, polls = interval(before, alone=False), 1
    assert found.status.requests == dead[-1].status.requests, "an interval between two sets of bounds is lost"
    while found.outcome is Outcome.HOLD and polls < 12:
        found, polls = interval(before, alone=False), polls + 1
    assert found.outcome is Outcome.PASS, found.message
    assert [each.edge for each in found.status.metrics] == [each.edge for each in together[-1].status.metrics]


def test_bounds_are_of_no_account_where_latency_is_not_judged() -> None:
    attempt = Attempt(analysis(latency={"enabled": False}))
    ask(attempt, EARLIER, 1.0)
    for edges in (EDGES, EARLIER, EDGES):
        before = attempt.finding
        found = ask(attempt, edges, 1.0)
        assert before is not None
        assert before.status.requests is None or found.status.requests != before.status.requests

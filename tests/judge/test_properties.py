"""The promise itself, and what must hold of any counters: no stopping rule breaks it, no kill changes it."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from math import log

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.judge.counting import START, Attempt, Pod, analysis, only_errors
from turnout.api.analysis import Assumption
from turnout.judge.harm import bettors, log_factors, log_mean
from turnout.judge.memory import LONGEST, parse, write
from turnout.judge.protocol import End, Finding, Outcome, PodCounters, Poll
from turnout.judge.sequential import SequentialJudge, recalled
from turnout.judge.terms import ERRORS, terms_of
from turnout.judge.verdict import Case

ATTEMPTS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Tallies = Sequence[tuple[tuple[int, int], tuple[int, int]]]


def tally(most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.integers(0, most).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


intervals = st.lists(st.tuples(tally(60), tally(400)), min_size=1, max_size=12)
assumptions = st.sampled_from(list(Assumption))


def play(attempt: Attempt, tallies: Tallies) -> list[Finding]:
    found = [attempt.ask()]
    for canary, stable in tallies:
        attempt.serve(canary, stable)
        found.append(attempt.ask())
    return found


@ATTEMPTS
@given(tallies=intervals, assume=assumptions, killed=st.integers(0, 11))
def test_a_kill_after_any_poll_changes_no_verdict_at_any_later_poll(
    tallies: Tallies, assume: Assumption, killed: int
) -> None:
    """All that survives a kill is the text in the status, read back by a process that knows nothing else.

    Who is not killed never reads what it wrote: it goes on with what it had in mind when it wrote it.
    """
    whole = play(Attempt(analysis(assume=assume)), tallies)
    attempt = Attempt(analysis(assume=assume))
    found = play(attempt, tallies[:killed])
    read_back = parse(attempt.memory)
    assert read_back is not None
    assert write(read_back) == attempt.memory
    terms_of.cache_clear()
    attempt.judge, attempt.memory = SequentialJudge(), write(read_back)
    for canary, stable in tallies[killed:]:
        attempt.serve(canary, stable)
        found.append(attempt.ask())
    assert found == whole


@ATTEMPTS
@given(tallies=intervals, assume=assumptions, at=st.integers(0, 11), more=st.integers(1, 30))
def test_more_bad_events_on_the_candidate_never_help_it(
    tallies: list[tuple[tuple[int, int], tuple[int, int]]], assume: Assumption, at: int, more: int
) -> None:
    index = at % len(tallies)
    (requests, bad), stable = tallies[index]
    worse = [*tallies]
    worse[index] = ((requests, min(requests, bad + more)), stable)
    wealth = [harm_after(each, assume) for each in (tallies, worse)]
    assert wealth[1] >= wealth[0] - 0.01


rare = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 4, 10])
spared = st.lists(st.tuples(st.integers(30, 300), rare, rare), min_size=2, max_size=8)


@ATTEMPTS
@given(
    polls=spared,
    assume=assumptions,
    limit=st.sampled_from(["0.01", "0.05"]),
    more=st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
@example([(300, 4, 0)] + 7 * [(300, 0, 0)], Assumption.CLUSTERED_ERRORS, "0.01", [0, 1, 0, 0, 0, 0, 0, 0])
@example([(100, 10, 0)] + 20 * [(100, 0, 0)], Assumption.CLUSTERED_ERRORS, "0.05", [0, 1, 1, 1, 1, 1, 1, 1])
def test_more_errors_never_complete_a_proof(
    polls: list[tuple[int, int, int]], assume: Assumption, limit: str, more: list[int]
) -> None:
    """Also not by making a burst look less like one."""
    tallies = [((requests, bad), (requests, other)) for requests, bad, other in polls]
    added = [*more, *(0 for _ in polls)]
    worse = [((n, bad + extra), stable) for ((n, bad), stable), extra in zip(tallies, added, strict=False)]
    proofs = [proof_after(each, assume, limit) for each in (tallies, worse)]
    assert max(0.0, proofs[1]) <= max(0.0, proofs[0]) + 0.001


def proof_after(tallies: Tallies, assume: Assumption, limit: str) -> float:
    attempt = Attempt(only_errors(assume=assume, errors={"passBelow": limit}), step=None)
    play(attempt, tallies)
    terms = terms_of(attempt.analysis)
    return Case(terms, recalled(attempt.memory, terms), attempt.question(None), None).proofs[ERRORS]


def harm_after(tallies: Tallies, assume: Assumption) -> float:
    attempt = Attempt(only_errors(assume=assume))
    play(attempt, tallies)
    memory = recalled(attempt.memory, terms_of(attempt.analysis))
    return log_mean([each / 1000 for each in memory.wealths[0]])


@ATTEMPTS
@given(tallies=intervals, assume=assumptions)
def test_two_sides_that_do_exactly_the_same_are_never_told_apart(tallies: Tallies, assume: Assumption) -> None:
    attempt = Attempt(only_errors(assume=assume), weight=50)
    for found in play(attempt, [(canary, canary) for canary, _ in tallies]):
        assert found.outcome is not Outcome.HARM
        assert float(found.status.metrics[0].harm) <= 1.001


@ATTEMPTS
@given(tallies=intervals, assume=assumptions, pods=st.integers(1, 30))
def test_the_memory_fits_whatever_was_counted(tallies: Tallies, assume: Assumption, pods: int) -> None:
    attempt = Attempt(analysis(assume=assume, drift={"enabled": True}))
    attempt.canary = [Pod(f"canary-with-a-long-name-{n}") for n in range(pods)]
    attempt.stable = [Pod(f"stable-with-a-long-name-{n}", requests=10**12) for n in range(pods)]
    for pod in (*attempt.canary, *attempt.stable):
        pod.outputs["label"] = [10**9] * 20
    for found in play(attempt, tallies):
        assert len(found.status.memory) <= LONGEST
        assert parse(found.status.memory) is not None


@ATTEMPTS
@given(memory=st.one_of(st.text(max_size=300), st.binary(max_size=200).map(lambda raw: f"1;1;{raw.hex()}")))
def test_no_memory_raises(memory: str) -> None:
    attempt = Attempt(analysis())
    attempt.memory = memory
    assert attempt.ask().outcome is Outcome.HOLD


@ATTEMPTS
@given(cut=st.integers(0, 400), put=st.text(alphabet="0123456789abcdef;,/-: cs", max_size=5), tallies=intervals)
def test_a_memory_that_somebody_edited_is_not_believed(cut: int, put: str, tallies: Tallies) -> None:
    attempt = Attempt(analysis())
    play(attempt, tallies)
    good = attempt.memory
    edited = good[:cut] + put + good[cut + len(put) :]
    attempt.memory = edited
    found = attempt.ask()
    assert (edited == good) != ("2 x alpha" in found.message)


counts = st.one_of(st.integers(-5, 50), st.just(float("nan")), st.just(2**70))
garbage = st.builds(
    PodCounters,
    pod=st.sampled_from(["a", "b", ""]),
    started_at=st.sampled_from([START - timedelta(days=1), START, START + timedelta(days=900)]),
    requests=counts,
    errors=counts,
    latency=st.lists(counts, max_size=4).map(tuple),
    outputs=st.dictionaries(st.sampled_from(["x", "y"]), st.lists(counts, max_size=30).map(tuple), max_size=2),
)

ends = st.lists(st.builds(End, st.sampled_from(["a", ""]), st.datetimes(timezones=st.just(UTC))), max_size=30).map(
    tuple
)


@ATTEMPTS
@given(
    polls=st.lists(
        st.builds(
            Poll,
            at=st.integers(-3, 30).map(lambda n: START + timedelta(seconds=15 * n)),
            canary=st.lists(garbage, max_size=3).map(tuple),
            stable=st.lists(garbage, max_size=3).map(tuple),
            edges=st.sampled_from([(), (0.1, 0.2), (0.1, 0.2, 0.5)]),
            canary_ends=ends,
            stable_ends=ends,
            custom=st.dictionaries(st.just("depth"), st.floats(allow_nan=True, allow_infinity=True)),
            weight=st.integers(-1, 101),
        ),
        max_size=6,
    ),
    judge=st.sampled_from(["Sequential", "Threshold"]),
    assume=assumptions,
    unhealthy=st.booleans(),
)
def test_no_poll_raises(polls: list[Poll], judge: str, assume: Assumption, unhealthy: bool) -> None:
    custom = [{"name": "depth", "query": "q", "max": "3", "for": "30s"}]
    attempt = Attempt(
        analysis(judge=judge, assume=assume, drift={"enabled": True}, custom=custom), stable_unhealthy=unhealthy
    )
    for poll in polls:
        found = SequentialJudge().look(attempt.question(poll))
        attempt.memory = found.status.memory
        assert parse(attempt.memory) is not None


NULLS = [
    pytest.param(Assumption.INDEPENDENT_REQUESTS, 0.1, 1, id="independent, 10 %"),
    pytest.param(Assumption.INDEPENDENT_REQUESTS, 0.5, 1, id="independent, 50 %"),
    pytest.param(Assumption.CLUSTERED_ERRORS, 0.1, 4, id="clusters of 4, 10 %"),
    pytest.param(Assumption.CLUSTERED_ERRORS, 0.5, 40, id="clusters of 40, 50 %"),
    pytest.param(Assumption.POD_BURSTS, 0.1, 1, id="pods, 10 %"),
    pytest.param(Assumption.POD_BURSTS, 0.5, 4, id="pods, clusters, 50 %"),
]


@pytest.mark.parametrize(("assume", "weight", "cluster"), NULLS)
def test_whoever_stops_at_the_worst_moment_finds_no_more_than_alpha(
    assume: Assumption, weight: float, cluster: int
) -> None:
    """Ville's bound under the most eager stopping rule: the greatest wealth of 80 polls, in 300 attempts each.

    At alpha 0.1 at most 30 are expected; 48 would come once in two thousand times if the promise just held.
    """
    import random

    draw = random.Random(f"{assume}{weight}{cluster}")
    runs, crossed = 300, 0
    for _ in range(runs):
        logs = [0.0] * bettors(assume)
        for _ in range(80):
            ours = round(300 * weight)
            clusters = sum(draw.random() < 0.02 for _ in range(150))
            hit = sum(draw.random() < weight for _ in range(clusters))
            canary, stable = (ours, min(ours, hit * cluster)), (300 - ours, (clusters - hit) * cluster)
            factors = log_factors(assume, 1.0, [canary], [(stable[0], min(stable))])
            logs = [one + more for one, more in zip(logs, factors, strict=True)] if factors else logs
            if log_mean(logs) >= log(10):
                crossed += 1
                break
    assert crossed <= 48

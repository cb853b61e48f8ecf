"""What a clock that is wrong can do to the judge.

Two clocks beside the operator's own come in. A node's says when a process began, and so whether a pod that was not seen
before is new; a Prometheus' says of which moment its samples are. The operator's own says when a poll was, in which
order, and since when a split holds. Pods' own clocks are never asked: they count, and both sides are read at once.

So a clock may widen an interval, lose one or count one late; always of both sides alike.
"""

from datetime import timedelta

import pytest

from tests.judge.counting import START, Attempt, Pod, only_errors
from turnout.judge.protocol import End, Finding, Outcome

MINUTE = timedelta(minutes=1)


def harmed(attempt: Attempt, polls: int) -> list[str]:
    """The evidence after each of so many polls of a candidate that fails a tenth."""
    found = []
    for _ in range(polls):
        attempt.serve((30, 3), (270, 1))
        found.append(attempt.ask().status.harm)
    return found


def begun() -> Attempt:
    attempt = Attempt(only_errors())
    attempt.ask()
    return attempt


@pytest.mark.parametrize("jump", [timedelta(seconds=5), 10 * MINUTE, timedelta(days=400)], ids=str)
def test_an_operator_whose_clock_jumps_forward_counts_what_was_counted(jump: timedelta) -> None:
    """Bets are on counts; how long it took to count them is nobody's evidence."""
    one, other = begun(), begun()
    expected = harmed(one, 4)
    found = harmed(other, 2)
    other.at += jump
    assert [*found, *harmed(other, 2)] == expected


@pytest.mark.parametrize("jump", [timedelta(seconds=15), MINUTE, 10 * MINUTE], ids=str)
def test_an_operator_whose_clock_goes_back_takes_nothing_in_until_it_has_caught_up(jump: timedelta) -> None:
    """Then all of it is one interval. Nothing is counted twice, nothing proven meanwhile, and nothing lost."""
    attempt = begun()
    harmed(attempt, 2)
    memory, last = attempt.memory, attempt.at - timedelta(seconds=15)
    attempt.at -= jump
    meanwhile = 0
    while attempt.at <= last:
        attempt.serve((30, 3), (270, 1))
        meanwhile += 1
        found = attempt.ask()
        assert (found.outcome, attempt.memory) == (Outcome.HOLD, memory)
    found = step(attempt)
    assert found.status.requests is not None
    assert (found.status.requests.canary, found.status.requests.stable) == (30 * (3 + meanwhile), 270 * (3 + meanwhile))


def step(attempt: Attempt) -> Finding:
    attempt.serve((30, 3), (270, 1))
    return attempt.ask()


def test_evidence_is_the_same_however_late_both_sides_are_read() -> None:
    """A Prometheus whose clock is ahead or behind shifts both sides alike: what it tells at 12:00 was then another."""
    late = begun()
    told = [late.poll()]
    for _ in range(4):
        late.serve((30, 3), (270, 1))
        told.append(late.poll())
    other = Attempt(only_errors())
    found = [other.ask(canary=poll.canary, stable=poll.stable).status.harm for poll in told]
    assert found[1:] == harmed(begun(), 4)


@pytest.mark.parametrize(
    ("wrong", "counted"),
    [
        pytest.param(timedelta(), 60, id="right"),
        pytest.param(2 * MINUTE, 60, id="ahead"),
        pytest.param(-2 * MINUTE, 30, id="behind: its first interval is lost"),
    ],
)
def test_a_pod_that_is_born_in_the_attempt_by_a_nodes_clock(wrong: timedelta, counted: int) -> None:
    attempt = begun()
    harmed(attempt, 1)
    attempt.canary[0] = Pod("c-1", started_at=attempt.at - timedelta(seconds=5) + wrong)
    before = attempt.finding
    harmed(attempt, 2)
    assert before is not None
    assert before.status.requests is not None
    assert attempt.finding is not None
    assert attempt.finding.status.requests is not None
    assert attempt.finding.status.requests.canary - before.status.requests.canary == counted


@pytest.mark.parametrize("side", ["canary", "stable"])
@pytest.mark.parametrize("wrong", [-MINUTE, MINUTE], ids=["behind", "ahead"])
def test_an_end_from_before_the_attempt_is_nobodys_whatever_the_nodes_clock_says(side: str, wrong: timedelta) -> None:
    """What the first poll tells is known and not counted."""
    attempt = Attempt(only_errors())
    getattr(attempt, side)[0].ends.append(End("x", START - timedelta(seconds=10) + wrong))
    expected = begun()
    attempt.ask()
    assert harmed(attempt, 3) == harmed(expected, 3)

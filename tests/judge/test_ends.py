"""A process that ends is one bad event of its side, once, and blinds nothing: with few pods and with many."""

from datetime import timedelta
from math import exp

import pytest

from tests.judge.counting import START, Attempt, Pod, analysis
from turnout.judge import ends
from turnout.judge.harm import pod_bursts
from turnout.judge.latency import cuts
from turnout.judge.memory import parse
from turnout.judge.protocol import End, Finding, Outcome
from turnout.judge.terms import terms_of

ASSUMPTIONS = ["IndependentRequests", "ClusteredErrors", "PodBursts"]
EVENLY = [0.02 + 0.0008 * index for index in range(20)]
CROWDS = [1, 13, 24, 25]
DRIFT = {"enabled": True, "output": "score", "against": "Both"}
BINS = 10


def attempt_of(pods_a_side: int, assume: str, **fields: object) -> Attempt:
    """Both sides have counted for long; half of the pods were restarted once, before it all."""
    attempt = Attempt(analysis(assume=assume, drift=DRIFT, **fields))
    for side, name in ((attempt.canary, "c"), (attempt.stable, "s")):
        side[:] = [Pod(f"{name}-{index}", requests=10**6) for index in range(pods_a_side)]
        for index, pod in enumerate(side):
            pod.latency[5] = pod.requests
            pod.outputs["score"] = [pod.requests // BINS] * BINS
            pod.reference["score"] = (100,) * BINS
            pod.ends = [End(pod.name, START - timedelta(hours=2))] if index % 2 else []
    return attempt


def serve(attempt: Attempt, ratio: float = 1.0, moved: int = 0) -> None:
    """20 answers of each candidate pod and 180 of each of stable's; `moved`: bins that are never answered."""
    for side, count, slower in ((attempt.canary, 20, ratio), (attempt.stable, 180, 1.0)):
        for pod in (pod for pod in side if pod.outputs):
            pod.serve(count, 0, [slower * each for each in EVENLY])
            first = moved if side is attempt.canary else 0
            for index in range(count):
                pod.outputs["score"][first + index % (BINS - first)] += 1


def played(attempt: Attempt, ratio: float = 1.0, moved: int = 0) -> tuple[int, Finding]:
    """Until a verdict that is no Hold; one pod a side ends after the second poll."""
    finding = attempt.ask()
    for poll in range(40):
        serve(attempt, ratio, moved)
        if poll == 1:
            attempt.stable[0].end(attempt.at)
            attempt.canary[0].end(attempt.at)
        finding = attempt.ask()
        assert "not judged" not in finding.message
        if finding.outcome is not Outcome.HOLD:
            return poll, finding
    return 40, finding


@pytest.mark.parametrize("pods", CROWDS)
@pytest.mark.parametrize("assume", ASSUMPTIONS)
def test_slowness_is_found_though_processes_have_ended(assume: str, pods: int) -> None:
    _, found = played(attempt_of(pods, assume, errors={"enabled": False}), ratio=2.0)
    assert (found.outcome, found.reason.value) == (Outcome.HARM, "Latency"), found.message


@pytest.mark.parametrize("pods", CROWDS)
@pytest.mark.parametrize("assume", ASSUMPTIONS)
def test_moved_answers_are_found_though_processes_have_ended(assume: str, pods: int) -> None:
    attempt = attempt_of(pods, assume, latency={"enabled": False}, errors={"enabled": False})
    attempt.step = None
    _, found = played(attempt, moved=4)
    assert (found.outcome, found.reason.value) == (Outcome.PAUSE, "Drift"), found.message


@pytest.mark.parametrize("pods", CROWDS)
@pytest.mark.parametrize("assume", ASSUMPTIONS)
def test_an_end_is_one_bad_event_of_its_side_however_often_it_is_read(assume: str, pods: int) -> None:
    attempt = attempt_of(pods, assume, latency={"enabled": False})
    attempt.ask()
    attempt.canary[0].ends.append(End("c-0", attempt.at))
    counted = []
    for _ in range(3):
        attempt.ask()
        memory = parse(attempt.memory)
        assert memory is not None
        counted.append((memory.totals[0], memory.step_requests))
    assert counted == [((1, 1, 0, 0), (1, 0))] * 3


@pytest.mark.parametrize("pods", CROWDS)
@pytest.mark.parametrize("assume", ASSUMPTIONS)
def test_a_candidate_whose_processes_go_on_ending_is_worse(assume: str, pods: int) -> None:
    attempt = attempt_of(pods, assume, latency={"enabled": False})
    attempt.ask()
    for index in range(12):
        serve(attempt)
        attempt.canary[index % pods].end(attempt.at)
        if attempt.ask().outcome is Outcome.HARM:
            break
    assert attempt.finding is not None
    assert attempt.finding.outcome is Outcome.HARM, attempt.finding.message


@pytest.mark.parametrize("assume", ASSUMPTIONS)
def test_a_pod_without_an_answer_yet_blinds_nothing(assume: str) -> None:
    for pods in CROWDS:
        attempt = attempt_of(pods, assume, errors={"enabled": False})
        attempt.stable.append(Pod("s-new"))
        assert "not judged" not in played(attempt)[1].message


@pytest.mark.parametrize(
    ("canary", "stable", "edge"),
    [
        pytest.param((1, 1), (1, 0), 1, id="one pod a side: the candidate's ended"),
        pytest.param((1, 0), (1, 1), -1, id="one pod a side: stable's ended, however busy it is"),
        pytest.param((1, 1), (9, 1), 8 / 9, id="one of nine is drawn: stable's is rarely that one"),
        pytest.param((9, 1), (1, 0), 1 / 9, id="nine pods end nine times as often as one"),
        pytest.param((0, 0), (1, 1), 0, id="a side without pods is no comparison"),
    ],
)
def test_ends_are_compared_at_equal_numbers_of_pods(
    canary: tuple[int, int], stable: tuple[int, int], edge: float
) -> None:
    """Nobody failed a request; the first bettor stakes a tenth."""
    logs = pod_bursts(1.0, [(100, 0)], [(900, 0)], (canary, stable)) or (0.0,)
    assert (exp(logs[0]) - 1) / 0.1 == pytest.approx(edge)


def test_beyond_their_room_ends_of_neither_side_count() -> None:
    attempt = attempt_of(ends.MOST + 1, "ClusteredErrors", latency={"enabled": False})
    attempt.ask()
    for pod in attempt.canary:
        pod.ends.append(End(pod.name, attempt.at))
    attempt.ask()
    memory = parse(attempt.memory)
    assert memory is not None
    assert (memory.totals[0], memory.ends) == ((0, 0, 0, 0), ())


def test_without_a_window_the_last_edge_stands_in() -> None:
    assert cuts(terms_of(analysis()), (), (0.1, 0.2, 0.5)) == (2, 2, 2)

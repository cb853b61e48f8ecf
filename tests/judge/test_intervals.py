"""What an interval is made of when pods come, go and begin anew in it, and which edge it is held against."""

from datetime import timedelta

from tests.judge.counting import START, Attempt, Pod, analysis, only_errors
from turnout.judge.protocol import Finding, Outcome


def served(finding: Finding) -> tuple[int, int]:
    assert finding.status.requests is not None
    return finding.status.requests.canary, finding.status.requests.stable


def test_a_pod_that_vanished_keeps_what_was_counted_and_adds_nothing() -> None:
    """What it did after its last reading nobody can know; nothing is guessed, and nothing is taken back."""
    attempt = Attempt(stable=[Pod("s-0"), Pod("s-1")])
    attempt.ask()
    attempt.serve((50, 0), (400, 4))
    assert served(attempt.ask()) == (50, 400)
    gone = attempt.stable.pop()
    gone.serve(100, 100)
    attempt.serve((50, 0), (300, 3))
    found = attempt.ask()
    assert served(found) == (100, 700)
    assert found.status.metrics[0].stable == "0.01"


def test_a_side_whose_pods_are_all_replaced_goes_on_counting() -> None:
    attempt = Attempt(canary=[Pod("c-0"), Pod("c-1")])
    attempt.ask()
    attempt.serve((40, 2), (360, 2))
    attempt.ask()
    attempt.canary = [Pod(f"c-{n}", started_at=attempt.at - timedelta(seconds=9)) for n in (2, 3)]
    attempt.serve((40, 2), (360, 2))
    assert served(attempt.ask()) == (80, 720)


def test_pods_that_come_go_and_begin_anew_in_one_interval_count_for_what_they_did() -> None:
    attempt = Attempt(canary=[Pod("stays"), Pod("goes"), Pod("anew")])
    attempt.serve((300, 0), (0, 0))
    attempt.ask()
    stays, _, anew = attempt.canary
    anew.end(attempt.at)
    comes = Pod("comes", started_at=START + timedelta(seconds=4))
    attempt.canary = [stays, anew, comes]
    for pod, requests in ((stays, 10), (anew, 20), (comes, 40)):
        pod.serve(requests, 0)
    attempt.serve((0, 0), (700, 0))
    found = attempt.ask()
    assert served(found) == (10 + 20 + 40 + 1, 700), "and the end of a process is a request that ended badly"


def test_a_reset_is_told_by_any_of_a_pods_counters_that_fell() -> None:
    """Ten requests became thirty, but of its two errors one is left: it began anew, and all thirty are new."""
    attempt = Attempt()
    attempt.canary[0].serve(10, 2)
    attempt.ask()
    attempt.canary[0] = Pod("c-0")
    attempt.canary[0].serve(30, 1)
    attempt.serve((0, 0), (270, 0))
    assert served(attempt.ask()) == (30, 270)


def test_an_interval_is_held_against_the_edges_of_those_before_it() -> None:
    """Both sides become four times slower at once: beyond the old edges all are slow, and that is nobody's harm."""
    attempt = Attempt(analysis(errors={"enabled": False}))
    attempt.ask()
    edges = []
    for seconds in (*(4 * [0.011]), *(12 * [0.044])):
        attempt.canary[0].serve(30, 0, [seconds])
        attempt.stable[0].serve(270, 0, [seconds])
        found = attempt.ask()
        assert found.outcome is not Outcome.HARM
        edges.append(float(found.status.metrics[0].edge))
    slow = [float(each) for each in (found.status.metrics[0].canary, found.status.metrics[0].stable)]
    assert slow[0] == slow[1] > 0, "the interval of the change was counted, at the edge from before it"
    assert edges[0] == 0.012
    assert edges[-1] == 0.047
    assert edges == sorted(edges)


def test_metrics_are_weighted_and_the_heavier_decides_sooner() -> None:
    def evidence(weight: int) -> Finding:
        attempt = Attempt(analysis(errors={"weight": weight}))
        attempt.ask()
        for _ in range(4):
            attempt.serve((30, 3), (270, 1))
            found = attempt.ask()
        return found

    light, heavy = evidence(1), evidence(9)
    assert light.status.metrics[0].harm == heavy.status.metrics[0].harm
    assert float(light.status.harm) < float(heavy.status.harm) < float(heavy.status.metrics[0].harm)


def test_the_reason_is_the_metric_with_the_most_evidence() -> None:
    """Both are worse; what is said is what carries the verdict."""
    reasons = []
    for errors, slower in ((6, 1.3), (1, 4.0)):
        attempt = Attempt(analysis())
        found = attempt.ask()
        while found.outcome is Outcome.HOLD:
            attempt.canary[0].serve(30, errors, [0.02 * slower])
            attempt.stable[0].serve(270, 1, [0.02])
            found = attempt.ask()
        assert found.reason is not None
        reasons.append(found.reason.value)
    assert reasons == ["ErrorRate", "Latency"]


def test_an_equal_candidate_whose_errors_cluster_needs_more_to_pass() -> None:
    """As many errors, in bursts: the evidence is divided by how much more they vary than single ones would."""

    def proof(burst: int) -> float:
        attempt = Attempt(only_errors(errors={"passBelow": "0.05"}))
        attempt.ask()
        for poll in range(20):
            bad = burst if poll % burst == 0 else 0
            attempt.serve((100, bad), (900, 9 * bad))
            found = attempt.ask()
        assert found.status.metrics[0].pass_ is not None
        return float(found.status.metrics[0].pass_)

    assert proof(1) > 100 * proof(10)

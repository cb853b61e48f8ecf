"""The memory: at most 2 KiB whatever was counted, and what does not fit costs time or sight, never validity."""

import json
from datetime import timedelta
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.judge import counting
from tests.judge.counting import EDGES, START, Attempt, Pod, analysis
from turnout.api.judgement import AnalysisStatus
from turnout.judge import sequential
from turnout.judge.increments import LARGEST
from turnout.judge.memory import LONGEST, MOST_LOG, Memory, added, parse, write
from turnout.judge.protocol import End, Finding, Outcome, PodCounters, Poll
from turnout.judge.sequential import SequentialJudge

QUANTILES = ["0.1", "0.5", "0.9", "0.99", "0.999"]
BOUNDS = [{"name": f"bound-{'abcdefghij'[n]}", "query": "q", "max": "3"} for n in range(10)]
WHOLE = analysis(
    assume="IndependentRequests",
    latency={"quantiles": QUANTILES, "passBelow": "0.1"},
    drift={"enabled": True, "against": "Both"},
    custom=[{**bound, "dryRun": True} for bound in BOUNDS],
)
"""All that can be remembered, remembered."""

counts = st.one_of(st.integers(0, 1000), st.integers(0, LARGEST), st.just(LARGEST))


@st.composite
def pods(draw: st.DrawFn, side: str) -> tuple[PodCounters, ...]:
    made = []
    for index in range(draw(st.sampled_from([1, 2, 5, 12, 24, 60]))):
        requests, fill = draw(counts), draw(counts)
        made.append(
            PodCounters(
                f"{side}-{index}",
                START - timedelta(hours=draw(st.sampled_from([-1, 1]))),
                requests,
                draw(st.integers(0, requests)),
                (fill,) * (len(EDGES) + 1),
                {"score": (draw(counts),) * 20},
                {"score": (draw(st.one_of(counts, st.just(-3), st.just(10**308))),) * 20},
            )
        )
    return tuple(made)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(polls=st.lists(st.tuples(pods("c"), pods("s")), min_size=1, max_size=5), weights=st.lists(st.just(10)))
def test_any_counters_leave_a_memory_of_2_kib_and_a_status_that_can_be_written(
    polls: list[tuple[tuple[PodCounters, ...], tuple[PodCounters, ...]]], weights: list[int]
) -> None:
    attempt = Attempt(WHOLE)
    values = {bound["name"]: 9.0 for bound in BOUNDS}
    for canary, stable in polls:
        ended = [tuple(End(pod.pod, attempt.at) for pod in side[:6]) for side in (canary, stable)]
        found = attempt.ask(canary=canary, stable=stable, custom=values, canary_ends=ended[0], stable_ends=ended[1])
        assert len(found.status.memory) <= LONGEST
        assert parse(found.status.memory) is not None
        assert write(parse(found.status.memory) or Memory()) == found.status.memory
        written = found.status.model_dump(mode="json", by_alias=True)
        assert AnalysisStatus.model_validate(written).memory == found.status.memory
        assert "x alpha" not in found.message


def crowd(pods_a_side: int, history: int, requests: int = 4000) -> tuple[Attempt, list[Finding]]:
    """Many pods with long histories and twenty bins; the candidate fails six times as often, for 30 polls."""
    attempt = Attempt(analysis(drift={"enabled": True, "against": "Both"}, latency={"quantiles": QUANTILES}))
    for side, name in ((attempt.canary, "c"), (attempt.stable, "s")):
        side[:] = [Pod(f"{name}-{n}", requests=history, errors=history // 100) for n in range(pods_a_side)]
        for pod in side:
            pod.outputs["score"] = [history // 20] * 20
            pod.reference["score"] = (100,) * 20
            pod.latency = [history // 30] * len(pod.latency)
    found = [attempt.ask()]
    for _ in range(30):
        attempt.serve((requests // 10, requests // 10 * 3 // 100), (requests * 9 // 10, requests * 9 // 10 // 200))
        found.append(attempt.ask())
        if found[-1].outcome is not Outcome.HOLD:
            break
    return attempt, found


@pytest.mark.parametrize("pods_a_side", [1, 6, 12, 40])
@pytest.mark.parametrize("history", [10**3, 10**7, 10**11])
def test_a_full_memory_costs_an_interval_and_hides_no_candidate(pods_a_side: int, history: int) -> None:
    attempt, found = crowd(pods_a_side, history)
    assert found[-1].outcome is Outcome.HARM, found[-1].message
    assert len(found) <= 12
    assert len(attempt.memory) <= LONGEST


@pytest.mark.parametrize("history", [10**3, 10**7, 10**11])
def test_twice_as_many_buckets_cost_no_metric_and_hide_no_candidate(
    history: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finely = tuple(round(10.0 ** (step / 12 - 3), 6) for step in range(60))
    monkeypatch.setattr(counting, "EDGES", finely)
    attempt, found = crowd(6, history)
    assert found[-1].outcome is Outcome.HARM, found[-1].message
    assert len(found) <= 12
    assert len(attempt.memory) <= LONGEST
    assert "latency is not judged" not in found[-2].message


def test_pods_that_are_counted_together_are_said_to_be() -> None:
    _, found = crowd(40, 10**7)
    assert "pods a side: more are counted together" in found[1].message
    _, found = crowd(2, 10**7)
    assert "counted together" not in found[1].message


@pytest.mark.parametrize("history", [10**13])
def test_what_can_never_fit_is_said_to_be_given_up(history: int) -> None:
    attempt = Attempt(WHOLE)
    said = ""
    for poll in range(4):
        both = [
            PodCounters(
                f"{side}-0",
                START,
                history * (poll + 1) // 4,
                0,
                (history * (poll + 1) // 4,) * (len(EDGES) + 1),
                {"score": (history * (poll + 1) // 4,) * 20},
            )
            for side in "cs"
        ]
        custom = {bound["name"]: 9.0 for bound in BOUNDS}
        said = attempt.ask(canary=(both[0],), stable=(both[1],), custom=custom).message
    assert "drift is not judged: its counts do not fit the judge's memory" in said


def test_wealth_beyond_all_bounds_is_not_told_apart() -> None:
    assert added((0,), (1e9,)) == (MOST_LOG,)
    assert added((0,), (-1e9,)) == (-MOST_LOG,)
    assert added((MOST_LOG,), (-1.0,)) == (MOST_LOG - 1000,)


def test_a_poll_without_pods_leaves_what_was_remembered() -> None:
    attempt = Attempt(WHOLE)
    attempt.ask()
    before = attempt.memory
    attempt.ask(canary=())
    assert attempt.memory == before
    assert Poll(START).canary == ()


@pytest.mark.parametrize(
    "body",
    ["[]", "{}", "7", "[2,[]]", "[" * 5000, '["2"]', "[2,1,2,3,4,5,6,7,8,9,10,11,12,13,14]", "not json"],
    ids=lambda body: body[:12],
)
def test_text_with_a_right_checksum_that_is_no_memory_is_none(body: str) -> None:
    assert parse(f"{body};{crc32(body.encode()):x}") is None


@pytest.mark.parametrize("pods", [[], [1], "x", {"c1": ["a"]}, {"c1": [1.5]}, {"c1": None}])
def test_a_memory_with_a_right_checksum_and_other_things_than_numbers_is_none(pods: object) -> None:
    attempt = Attempt(analysis())
    attempt.ask()
    sections = json.loads(attempt.memory.rpartition(";")[0])
    sections[-1] = pods
    body = json.dumps(sections)
    assert parse(f"{body};{crc32(body.encode()):x}") is None


def test_a_memory_of_an_earlier_release_is_begun_anew_and_the_budget_says_so() -> None:
    """An operator that is replaced in the middle of an attempt: its successor does not guess at another format."""
    attempt = Attempt(analysis())
    attempt.ask()
    sections = json.loads(attempt.memory.rpartition(";")[0])
    sections[0] -= 1
    body = json.dumps(sections)
    attempt.memory = f"{body};{crc32(body.encode()):x}"
    assert "begun anew: this attempt's false-alarm budget is 2 x alpha" in attempt.ask().message


@pytest.mark.parametrize(
    "counts", [(), (0, 0, 0), (7,), (7, 0, 0), (0, 0, 7), (0, 3, 0, 4, 0)], ids=lambda counts: str(counts)
)
def test_a_histogram_is_written_without_the_empty_buckets_around_it(counts: tuple[int, ...]) -> None:
    memory = Memory(histogram=counts, window=counts)
    found = parse(write(memory))
    assert found is not None
    assert (found.histogram, found.window) == (counts, counts)


@pytest.mark.parametrize("row", [[3], [2, 1, 5, 5], [10**9, 0, 1], [3, -1, 1]], ids=str)
def test_a_histogram_that_no_process_has_is_none(row: list[int]) -> None:
    sections = json.loads(write(Memory()).rpartition(";")[0])
    at = next(index for index, each in enumerate(sections) if each == [[0], [], [], []])
    sections[at][2] = row
    body = json.dumps(sections)
    assert parse(f"{body};{crc32(body.encode()):x}") is None


@pytest.mark.parametrize("room", [1, 256])
@pytest.mark.parametrize("pods_a_side", [1, 40])
def test_what_a_judge_wrote_itself_means_to_it_what_the_text_says(
    pods_a_side: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two attempts at a time, also where the text is too short for all that was counted, or there is no room."""
    monkeypatch.setattr(sequential, "MOST_WRITTEN", room)
    judge, attempts = SequentialJudge(), [crowd(pods_a_side, 10**6 * times)[0] for times in (1, 2)]
    for _ in range(8):
        for attempt in attempts:
            attempt.serve((4000, 40), (36_000, 360))
            question = attempt.question(attempt.poll())
            again = judge.look(question)
            assert attempt.ask() == again
            assert parse(again.status.memory) is not None
    assert len(vars(judge)["_written"]) <= room

"""What a predictor exports is what the judge counts: read from the predictors' own metrics, not from a copy of them."""

import pytest

from turnout.evidence.counting import MOST_SERIES
from turnout.evidence.exposition import UnreadableError, read
from turnout_predictors.telemetry.metrics import EDGES_SECONDS, Metrics

REVISION = "signals-7-predictor-00001"


def exposed(*answers: tuple[str, str, int, float], revision: str = REVISION) -> str:
    metrics = Metrics("signals", "7", revision)
    for start, attempt, code, seconds in answers:
        metrics.answered(start, attempt, code, seconds)
    return metrics.exposition().decode()


def warm(code: int, seconds: float = 0.004, times: int = 1) -> list[tuple[str, str, int, float]]:
    return [("warm", "first", code, seconds)] * times


@pytest.mark.parametrize(
    ("answers", "requests", "errors"),
    [
        pytest.param([], 0, 0, id="nothing was asked yet"),
        pytest.param(warm(200, times=3), 3, 0, id="good answers"),
        pytest.param([*warm(200), *warm(500), *warm(503), *warm(504)], 4, 3, id="5xx and time-outs are errors"),
        pytest.param([*warm(200), *warm(400), *warm(404), *warm(429)], 1, 0, id="a client's mistake is in no count"),
        pytest.param([*warm(200), ("cold", "first", 500, 0.1)], 1, 0, id="a cold start is no evidence"),
        pytest.param([*warm(200), ("warm", "repeat", 500, 0.1)], 1, 0, id="a repeat is no evidence"),
    ],
)
def test_what_counts(answers: list[tuple[str, str, int, float]], requests: int, errors: int) -> None:
    counts = read(exposed(*answers), REVISION)
    assert (counts.requests, counts.errors) == (requests, errors)


def test_latency_is_of_good_answers_and_by_the_predictors_own_edges() -> None:
    counts = read(exposed(*warm(200, 0.004), *warm(200, 0.004), *warm(200, 120.0), *warm(500, 0.0001)), REVISION)
    assert counts.edges == EDGES_SECONDS
    assert sum(counts.latency) == 3
    assert counts.latency[EDGES_SECONDS.index(0.0047)] == 2
    assert counts.latency[-1] == 1


def test_another_revisions_series_are_not_counted() -> None:
    assert read(exposed(*warm(200), revision="signals-7-predictor-00002"), REVISION).requests == 0


def test_outputs_are_counted_by_bin() -> None:
    text = exposed() + "".join(
        f'turnout_predictor_output_total{{model="m",version="7",revision="{REVISION}",output="score",bin="{at}"}} {n}\n'
        for at, n in ((0, 5), (2, 7))
    )
    assert read(text, REVISION).outputs == {"score": (5, 0, 7)}
    assert read(text, REVISION).bins == {"score": ""}, "a predictor of an earlier release names none"


ONE = f'turnout_predictor_output_total{{revision="{REVISION}",output="o%d",bin="1"}} 5\n'


def test_more_series_than_a_predictor_can_have_are_not_read_at_all() -> None:
    most = "".join(ONE % index for index in range(MOST_SERIES))
    assert len(read(most, REVISION).outputs) == MOST_SERIES
    with pytest.raises(UnreadableError, match="more than 4000 series of one process"):
        read(most + "turnout_predictor_requests_total{\n" + ONE % MOST_SERIES, REVISION)


LABELS = f'model="m",version="7",revision="{REVISION}",start="warm",attempt="first"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "no series of a Turnout predictor", id="empty"),
        pytest.param("<html>hello</html>", "no series of a Turnout predictor", id="a page"),
        pytest.param("go_goroutines 7\n", "no series of a Turnout predictor", id="somebody else's metrics"),
        pytest.param(f'turnout_predictor_requests_total{{{LABELS},code="200"}} NaN\n', "NaN", id="no number"),
        pytest.param(f'turnout_predictor_requests_total{{{LABELS},code="fine"}} 1\n', "fine", id="no status code"),
        pytest.param(f"turnout_predictor_requests_total{{{LABELS} 1\n", "cannot be read", id="cut off"),
        pytest.param(
            f'turnout_predictor_request_seconds_bucket{{{LABELS},outcome="ok",le="1.0"}} 5\n'
            f'turnout_predictor_request_seconds_bucket{{{LABELS},outcome="ok",le="+Inf"}} 3\n',
            "do not rise",
            id="a histogram that falls",
        ),
        pytest.param(
            f'turnout_predictor_request_seconds_bucket{{{LABELS},outcome="ok",le="1.0"}} 5\n',
            "Inf",
            id="a histogram without its last bucket",
        ),
        pytest.param(
            f'turnout_predictor_output_total{{revision="{REVISION}",output="o",bin="4000000000"}} 1\n',
            "bin 4000000000",
            id="an output of endless bins",
        ),
    ],
)
def test_what_is_no_exposition_of_ours_is_said(text: str, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        read(text, REVISION)

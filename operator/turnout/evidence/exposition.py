"""From a predictor's `/metrics` to the counters that are evidence. Pure; the names and labels are the predictor's.

Only first attempts of warm requests count: a repeat on stable says nothing of stable, a cold start nothing of the
version. A client's mistake (4xx) says nothing of either, so it is in no count at all; else callers who send worse
requests would make a version look better.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

REQUESTS = "turnout_predictor_requests_total"
SECONDS = "turnout_predictor_request_seconds_bucket"
OUTPUTS = "turnout_predictor_output_total"
START, ATTEMPT, OUTCOME = 'start="warm"', 'attempt="first"', 'outcome="ok"'
INFINITY = "+Inf"
MAX_BINS = 32  # of an output; a predictor exports at most 20


class UnreadableError(ValueError):
    """What answered is no exposition of a Turnout predictor; the sentence is for the status."""


@dataclass(frozen=True, slots=True)
class Counts:
    """One process's counters since it began.

    `latency`: requests answered well by bucket, not cumulated, one bucket more than `edges` (upper bounds in
    seconds). `outputs`: per output the count of each bin.
    """

    requests: int = 0
    errors: int = 0
    edges: tuple[float, ...] = ()
    latency: tuple[int, ...] = ()
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)


def read(text: str, revision: str) -> Counts:
    """The counts of one revision; of one that has answered nothing yet, zeros. Raises `UnreadableError`."""
    answers: dict[str, int] = {}
    buckets: dict[str, int] = {}
    bins: dict[str, dict[int, int]] = {}
    try:
        for sample in _samples(text, revision):
            if sample.name == OUTPUTS:
                _count_output(bins, sample)
            elif sample.name == REQUESTS:
                code = sample.labels["code"]
                answers[code] = answers.get(code, 0) + int(sample.value)
            else:
                edge = sample.labels["le"]
                buckets[edge] = buckets.get(edge, 0) + int(sample.value)
        edges, latency = _histogram(buckets)
        errors = _of_class(answers, 500, 600)
        return Counts(_of_class(answers, 100, 400) + errors, errors, edges, latency, _dense(bins))
    except (ValueError, OverflowError, KeyError, IndexError) as fault:
        raise UnreadableError(f"its /metrics cannot be read: {fault}") from fault


def _samples(text: str, revision: str) -> Iterator[Sample]:
    """The wanted series alone go through the library's parser, which is thorough and not fast."""
    ours = f'revision="{revision}"'
    lines = [line for line in text.splitlines() if ours in line and _is_evidence(line)]
    if not lines and "turnout_predictor_" not in text:
        raise ValueError("there is no series of a Turnout predictor")
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        yield from family.samples


def _is_evidence(line: str) -> bool:
    if line.startswith(OUTPUTS + "{"):
        return True
    if not line.startswith((REQUESTS + "{", SECONDS + "{")) or START not in line or ATTEMPT not in line:
        return False
    return line.startswith(REQUESTS) or OUTCOME in line


def _of_class(answers: dict[str, int], least: int, below: int) -> int:
    return sum(count for code, count in answers.items() if least <= int(code) < below)


def _histogram(cumulated: dict[str, int]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges in rising order and the count between each two, the last above all edges."""
    if not cumulated:
        return (), ()
    by_edge = sorted((float(edge), count) for edge, count in cumulated.items() if edge != INFINITY)
    totals = [0, *(count for _, count in by_edge), cumulated[INFINITY]]
    steps = tuple(after - before for before, after in itertools.pairwise(totals))
    if any(step < 0 for step in steps):
        raise ValueError("the buckets of request_seconds do not rise")
    return tuple(edge for edge, _ in by_edge), steps


def _count_output(bins: dict[str, dict[int, int]], sample: Sample) -> None:
    at = int(sample.labels["bin"])
    if not 0 <= at < MAX_BINS:
        raise ValueError(f"bin {at} of output {sample.labels['output']}: at most {MAX_BINS} are read")
    of_output = bins.setdefault(sample.labels["output"], {})
    of_output[at] = of_output.get(at, 0) + int(sample.value)


def _dense(bins: dict[str, dict[int, int]]) -> dict[str, tuple[int, ...]]:
    return {output: tuple(counts.get(at, 0) for at in _up_to(counts)) for output, counts in bins.items()}


def _up_to(counts: Iterable[int]) -> range:
    return range(max(counts, default=-1) + 1)

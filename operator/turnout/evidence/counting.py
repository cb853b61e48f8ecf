"""From series of a predictor to the counters that are evidence. Pure; the names and labels are the predictor's.

Only first attempts of warm requests count: a repeat on stable says nothing of stable, a cold start nothing of the
version. A client's mistake (4xx) says nothing of either, so it is in no count at all; else callers who send worse
requests would make a version look better.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from turnout.judge.protocol import PodCounters

REQUESTS = "turnout_predictor_requests_total"
SECONDS = "turnout_predictor_request_seconds_bucket"
OUTPUTS = "turnout_predictor_output_total"
REFERENCE = "turnout_predictor_reference"
WARM, FIRST, OK = "warm", "first", "ok"
"""The labels `start`, `attempt` and `outcome` (of SECONDS) of what is evidence."""
INFINITY = "+Inf"
MAX_BINS = 32  # of an output; a predictor exports at most 20
MOST_SERIES = 4000  # of one process; a predictor of a hundred outputs has as many

TOO_MANY = f"more than {MOST_SERIES} series of one process are evidence; its outputs are too many to be compared"
NOTHING_IN_COMMON = "the pods' latency histograms have no bound in common: their predictors are of different makes"


@dataclass(frozen=True, slots=True)
class Counts:
    """One process's counters since it began.

    `latency`: requests answered well by bucket, not cumulated, one bucket more than `edges` (upper bounds in
    seconds). `outputs`: per output the count of each bin; `reference`: the same of the rows at publish; `bins`: the
    name of its bins.
    """

    requests: int = 0
    errors: int = 0
    edges: tuple[float, ...] = ()
    latency: tuple[int, ...] = ()
    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reference: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bins: Mapping[str, str] = field(default_factory=dict)

    def of_pod(self, pod: str, started_at: datetime, edges: tuple[float, ...]) -> PodCounters:
        """As the judge takes them, along some of its own edges; a pod that has answered nothing counts zeros."""
        latency = self._along(edges) if self.latency else (0,) * (len(edges) + 1 if edges else 0)
        return PodCounters(
            pod, started_at, self.requests, self.errors, latency, self.outputs, self.reference, self.bins
        )

    def _along(self, edges: tuple[float, ...]) -> tuple[int, ...]:
        """What lies between two edges that are kept is one bucket."""
        if edges == self.edges:
            return self.latency
        places = [bisect_left(self.edges, edge) + 1 for edge in edges]
        return tuple(sum(self.latency[start:end]) for start, end in pairwise((0, *places, len(self.latency))))


def common_edges(counted: Iterable[Counts]) -> tuple[float, ...]:
    """The edges that all have that have any: another release's may lie closer. ValueError where there is none.

    A count up to an edge is exact whatever lies below it, so along common edges two releases are compared rightly.
    """
    known = {each.edges for each in counted if each.edges}
    if len(known) < 2:
        return next(iter(known), ())
    common = set.intersection(*map(set, known))
    if not common:
        raise ValueError(NOTHING_IN_COMMON)
    return tuple(sorted(common))


class Tally:
    """Takes in the series of one process, in any order. ValueError or KeyError where one makes no sense."""

    def __init__(self) -> None:
        self._taken = 0
        self._answers: dict[int, int] = {}
        self._buckets: dict[str, int] = {}
        self._binned: dict[str, dict[str, dict[int, int]]] = {OUTPUTS: {}, REFERENCE: {}}
        self._bins: dict[str, str] = {}

    def take(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """One series; one that is no evidence is passed over."""
        self._taken += 1
        if self._taken > MOST_SERIES:
            raise ValueError(TOO_MANY)
        if name in self._binned:
            self._take_output(self._binned[name], labels["output"], int(labels["bin"]), int(value))
            self._bins[labels["output"]] = labels.get("bins", "")
        elif labels.get("start") != WARM or labels.get("attempt") != FIRST:
            return
        elif name == REQUESTS:
            code = int(labels["code"])
            self._answers[code] = self._answers.get(code, 0) + int(value)
        elif name == SECONDS and labels.get("outcome") == OK:
            self._buckets[labels["le"]] = self._buckets.get(labels["le"], 0) + int(value)

    @staticmethod
    def _take_output(known: dict[str, dict[int, int]], output: str, at: int, value: int) -> None:
        if not 0 <= at < MAX_BINS:
            raise ValueError(f"bin {at} of output {output}: at most {MAX_BINS} are read")
        bins = known.setdefault(output, {})
        bins[at] = bins.get(at, 0) + value

    def counts(self) -> Counts:
        edges, latency = self._histogram()
        errors = self._of_class(500, 600)
        outputs, reference = (
            {output: tuple(bins.get(at, 0) for at in range(max(bins) + 1)) for output, bins in known.items()}
            for known in self._binned.values()
        )
        return Counts(self._of_class(100, 400) + errors, errors, edges, latency, outputs, reference, self._bins)

    def _of_class(self, least: int, below: int) -> int:
        return sum(count for code, count in self._answers.items() if least <= code < below)

    def _histogram(self) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Edges in rising order and the count between each two, the last above all edges."""
        if not self._buckets:
            return (), ()
        by_edge = sorted((float(edge), count) for edge, count in self._buckets.items() if edge != INFINITY)
        totals = [0, *(count for _, count in by_edge), self._buckets[INFINITY]]
        steps = tuple(after - before for before, after in pairwise(totals))
        if any(step < 0 for step in steps):
            raise ValueError("the buckets of request_seconds do not rise")
        return tuple(edge for edge, _ in by_edge), steps

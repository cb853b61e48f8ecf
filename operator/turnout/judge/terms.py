"""What one analysis promises and asks, as numbers: decimal strings become floats here and nowhere else.

A `Stream` is one count of bad events among good ones: errors, and one per latency quantile. Each bets on its own.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from zlib import crc32

from turnout.api.analysis import Against, Analysis, Assumption, DriftMetric, MetricAction
from turnout.api.scalars import DecimalString

ERRORS, LATENCY, DRIFT, REFERENCE = "errors", "latency", "drift", "drift reference"
DRIFT_NEAR = 2.0
"""A pass needs the answers proven to be nearer than so many times `drift.tolerance`."""
NO_EDGE = -1
"""Of errors, which are no latency stream."""
PASS_QUANTILE = 0.9
"""Latency must pass at the quantile nearest to it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """`quantile` is 0 for errors. `weight`: its part in the sum of evidence; a metric's streams share the metric's.

    `edge`: index among the latency streams; `NO_EDGE` for errors.
    """

    name: str
    metric: str
    tolerate: float
    weight: float
    quantile: float = 0.0
    edge: int = NO_EDGE


@dataclass(frozen=True, slots=True)
class Terms:
    """`fingerprint` changes with whatever changes the meaning of remembered evidence."""

    alpha: float
    beta: float
    interval: float
    assume: Assumption
    streams: tuple[Stream, ...]
    weights: tuple[float, ...]  # of the streams
    error_limit: float | None  # errors.passBelow; None where errors are off
    latency_ratio: float | None  # latency.passRatio; None where latency is off
    latency_limit: float | None  # latency.passBelow in seconds
    beyond: tuple[float, ...]  # per latency stream the part of stable's requests beyond its quantile
    pass_edge: int  # index among the latency streams of the one that must pass; -1 where latency is off
    drift_output: str | None  # None where drift is off
    drift_tolerance: float
    drift_near: float  # the distance below which the answers must be proven to be, for a pass
    drift_alpha: float  # of each comparison of the answers
    drift_from: frozenset[Against]
    drift_rolls_back: bool
    fingerprint: int

    def gates(self, stream: Stream) -> bool:
        """Whether a pass wants a proof from this one: from errors, and one of latency."""
        return stream.edge in (NO_EDGE, self.pass_edge)

    @property
    def slow_part(self) -> float:
        """The part of stable's requests beyond the quantile that must pass."""
        return self.beyond[self.pass_edge]

    @property
    def robust(self) -> bool:
        """Errors are taken to come in clusters."""
        return self.assume is not Assumption.INDEPENDENT_REQUESTS


def number(text: DecimalString, otherwise: float = 0.0) -> float:
    return float(text) if text else otherwise


@lru_cache(maxsize=512)
def terms_of(analysis: Analysis) -> Terms:
    """Remembered for each analysis: the same few are asked about at every poll."""
    errors, latency, drift = analysis.errors, analysis.latency, analysis.drift
    streams = (*_error_streams(analysis), *_latency_streams(analysis))
    distances = [abs(stream.quantile - PASS_QUANTILE) for stream in streams if stream.metric == LATENCY]
    return Terms(
        alpha=number(analysis.alpha, 0.01),
        beta=number(analysis.beta, 0.05),
        interval=analysis.interval.seconds,
        assume=analysis.assume,
        streams=streams,
        weights=tuple(stream.weight for stream in streams),
        error_limit=_within(number(errors.pass_below, 0.01)) if errors.enabled else None,
        latency_ratio=max(1.0, number(latency.pass_ratio, 1.5)) if latency.enabled else None,
        latency_limit=number(latency.pass_below) or None if latency.enabled else None,
        beyond=tuple(1 - stream.quantile for stream in streams if stream.metric == LATENCY),
        pass_edge=distances.index(min(distances)) if latency.enabled else -1,
        drift_output=drift.output if drift.enabled else None,
        drift_tolerance=number(drift.tolerance, 0.1),
        drift_near=DRIFT_NEAR * number(drift.tolerance, 0.1),
        drift_alpha=number(analysis.alpha, 0.01) / len(_compared(drift)),
        drift_from=_compared(drift) if drift.enabled else frozenset(),
        drift_rolls_back=drift.action is MetricAction.ROLLBACK and Against.STABLE in _compared(drift),
        fingerprint=_fingerprint(analysis),
    )


def _compared(drift: DriftMetric) -> frozenset[Against]:
    both = frozenset({Against.STABLE, Against.REFERENCE})
    return both if drift.against is Against.BOTH else frozenset({drift.against})


def _within(fraction: float) -> float:
    return min(0.999, max(1e-6, fraction))


def _error_streams(analysis: Analysis) -> tuple[Stream, ...]:
    metric = analysis.errors
    if not metric.enabled:
        return ()
    return (Stream(ERRORS, ERRORS, number(metric.tolerate_ratio, 1.0) or 1.0, float(metric.weight)),)


def _latency_streams(analysis: Analysis) -> tuple[Stream, ...]:
    metric = analysis.latency
    if not metric.enabled:
        return ()
    ratio, weight = number(metric.tolerate_ratio, 1.0) or 1.0, metric.weight / len(metric.quantiles)
    return tuple(
        Stream(
            f"latency p{(Decimal(quantile or '0') * 100).normalize():f}", LATENCY, ratio, weight, number(quantile), edge
        )
        for edge, quantile in enumerate(metric.quantiles)
    )


def _fingerprint(analysis: Analysis) -> int:
    kept = (analysis.assume, analysis.alpha, analysis.beta, analysis.errors, analysis.latency, analysis.drift)
    return crc32("|".join(str(part) for part in kept).encode())

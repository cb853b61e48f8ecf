"""One budget alpha for the whole attempt: the weighted mean of all metrics' evidence, under any dependence of them."""

from collections.abc import Sequence
from math import exp, log

from turnout.judge.harm import log_mean
from turnout.judge.terms import Stream, Terms

SUSPICION = log(10.0)
"""Evidence of harm from which on a step without proof is not let through by policy."""

Wealth = Sequence[float]
"""The logs of one stream's bettors."""


def combined(terms: Terms, wealths: Sequence[Wealth], drift: float | None) -> float:
    """The log of the mean evidence of harm. `drift` takes part, with weight 1, only where it may roll back."""
    parts = [(stream.weight, log_mean(logs)) for stream, logs in zip(terms.streams, wealths, strict=True)]
    if drift is not None and terms.drift_rolls_back:
        parts.append((1.0, drift))
    if not parts:
        return 0.0
    most = max(value for _, value in parts)
    return most + log(sum(weight * exp(value - most) for weight, value in parts) / sum(weight for weight, _ in parts))


def of_metric(terms: Terms, wealths: Sequence[Wealth], metric: str) -> float:
    """The log of one metric's evidence: the mean over its streams."""
    logs = [log_mean(wealth) for stream, wealth in zip(terms.streams, wealths, strict=True) if stream.metric == metric]
    return log_mean(logs)


def culprit(terms: Terms, wealths: Sequence[Wealth]) -> Stream | None:
    """The stream that carries most of the evidence."""
    parts = [(_part(stream, logs), stream) for stream, logs in zip(terms.streams, wealths, strict=True)]
    return max(parts, key=lambda part: part[0])[1] if parts else None


def strength(terms: Terms, wealths: Sequence[Wealth]) -> float:
    """The log of what the culprit carries."""
    return max(_part(stream, logs) for stream, logs in zip(terms.streams, wealths, strict=True))


def _part(stream: Stream, logs: Wealth) -> float:
    return log(stream.weight) + log_mean(logs)
